# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What goes from a state folder, and when: files of old sessions, engines that nobody uses any more.

The rules are in docs/design/session.md. What cannot be removed now stays for the next time.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ..errors import EngineError
from . import files
from .state_folder import StateFolder
from .worker_process import read_status

SESSIONS_KEPT: Final = 20  # of each job
HOUR: Final = 3600.0  # seconds
DAY: Final = 24 * HOUR
SESSION_SECONDS_MAX: Final = 90 * DAY
ENGINE_SECONDS_MAX: Final = 30 * DAY
ARCHIVE: Final = ".pyz"


@dataclass(frozen=True, slots=True)
class _Ended:
    session_id: str
    job: str | None  # None: it was refused before it had a status
    ended_at: float


@contextmanager
def engine_in_use(program: str) -> Iterator[None]:
    """Keep the archive that this process runs from, and note that it was used. No other program is ever removed."""
    if not program.endswith(ARCHIVE):
        yield
        return
    with files.translated(program):
        os.utime(program)
    with files.open_shared(program):
        yield


def tidy(folder: StateFolder, *, now: float) -> None:
    """Remove what is too old or too much. Live sessions, and what they use, stay."""
    _tidy_sessions(folder, now=now)
    _tidy_engines(folder.engines, now=now)


def _tidy_sessions(folder: StateFolder, *, now: float) -> None:
    jobs: dict[str | None, list[_Ended]] = defaultdict(list)
    for session in _ended_sessions(folder):
        jobs[session.job].append(session)
    for job, sessions in jobs.items():
        sessions.sort(key=lambda session: session.ended_at, reverse=True)
        gone = [
            session.session_id
            for number, session in enumerate(sessions)
            if now - session.ended_at > (SESSION_SECONDS_MAX if number < SESSIONS_KEPT else HOUR)
        ]
        for session_id in gone:
            shutil.rmtree(folder.session(session_id), ignore_errors=True)
        if job is not None:
            _forget_job(folder, job, gone)


def _ended_sessions(folder: StateFolder) -> Iterator[_Ended]:
    """Yield sessions that no worker holds, killed ones among them."""
    for session_id in _names(folder.session_root):
        try:
            path = folder.session(session_id)
            if not folder.is_alive(session_id):
                # The folder changes with each status: its time is that of the last one.
                yield _Ended(session_id, _job_of(folder, session_id), os.stat(path).st_mtime)
        except (OSError, EngineError):
            continue  # no session, or another worker tidies too


def _job_of(folder: StateFolder, session_id: str) -> str | None:
    try:
        status = read_status(folder.path, session_id)
    except EngineError:
        return None  # damaged
    return None if status is None else str(status.get("job"))


def _forget_job(folder: StateFolder, job: str, gone: list[str]) -> None:
    """Forget the newest session of a job that has not run for long, unless it is starting now."""
    try:
        if folder.newest_session(job) in gone:
            with folder.hold(f"job-{job}"):
                if folder.newest_session(job) in gone:
                    files.remove_file(folder.job(job))
    except EngineError:
        pass


def _tidy_engines(path: str, *, now: float) -> None:
    for name in _names(path):
        engine = os.path.join(path, name)
        try:
            if name.endswith(ARCHIVE) and now - os.stat(engine).st_mtime > ENGINE_SECONDS_MAX:
                with files.open_leaf(engine):
                    files.remove_file(engine)
        except (OSError, EngineError):
            continue  # a worker runs from it


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
