# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Requests to stop a session: one file for each way in the folder of the session, so that no caller undoes another's.

Any process that may write to the state folder makes them; the worker looks for them again and again.
"""

from __future__ import annotations

import json
import time
from typing import Any, Final
from uuid import UUID

from ..errors import EngineError
from ..stops import Stop, StopRequest
from . import files
from .state_folder import SMALL, StateFolder
from .worker_process import read_status

BEGIN_SECONDS: Final = 30.0  # how long a worker may take from holding its job to its first status
POLL_SECONDS: Final = 0.05


def ask_to_stop(folder: StateFolder, session_id: str, *, request: StopRequest) -> None:
    """Leave a request for the worker of a session. Raises what writing a file does."""
    files.write_atomically(_path(folder, session_id, request.how), json.dumps(request.as_dict()).encode())


def find_request(folder: StateFolder, session_id: UUID | str) -> StopRequest | None:
    """Return the request that stops soonest; None when there is none, or when nobody can tell now."""
    for how in reversed(Stop):
        path = _path(folder, session_id, how)
        try:
            if files.exists(path):
                return _read(path, how)
        except EngineError:
            return None  # the folder fails for now: a session does not end of that, and looks again
    return None


def newest_status(folder: StateFolder, job: str) -> dict[str, Any] | None:
    """Return the status of the newest session of a job, waiting for one that is about to begin; None without any."""
    deadline = time.monotonic() + BEGIN_SECONDS
    while True:
        session_id = folder.newest_session(job)
        if session_id is None:
            return None
        status = read_status(folder.path, session_id)
        if status is not None or not folder.is_alive(session_id) or time.monotonic() > deadline:
            return status
        time.sleep(POLL_SECONDS)


def _path(folder: StateFolder, session_id: UUID | str, how: Stop) -> str:
    return folder.session(session_id, f"stop-{how.value}.json")


def _read(path: str, how: Stop) -> StopRequest:
    """Read a request; that the file is there says enough, whatever is in it."""
    try:
        return StopRequest.from_dict(json.loads(files.read_small(path, limit=SMALL)))
    except (EngineError, ValueError):
        return StopRequest(how, "somebody", 0.0)
