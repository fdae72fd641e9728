# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""An action that follows a session: polls it, shows what it says, and makes the result of the task of its end."""

from __future__ import annotations

import os
import time
import typing as t

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display

from ..module_utils._engine.errors import EngineError, StateError
from ..module_utils._failure import failure
from .action_base import EngineAction, ModuleFailed, Result
from .follower import GONE, ConnectionLost, Event, Follower, Session, Status
from .session_result import ending, report

COLORS = {"warning": "COLOR_WARN", "error": "COLOR_ERROR", "heartbeat": "COLOR_SKIP", "end": "COLOR_OK"}

display = Display()


class SessionAction(EngineAction):
    """Options of every task that follows: ``state_dir``, ``name``, ``timeout``, ``poll_interval``, ``progress``."""

    def follow(
        self, result: Result, options: dict[str, t.Any], *, opening: str, any_end_will_do: bool = False
    ) -> Result:
        """Follow the session in ``result`` to its end and return the result with its report.

        ``opening`` is shown first. A bad end fails the task unless ``any_end_will_do``. So does a session that is lost
        sight of; it stays in the result.
        """
        session = result["session"]
        play = os.getppid()

        def poll(seen: int) -> Status | None:
            if os.getppid() != play:
                raise _unwatched(session["session_id"])
            return self._poll(options["state_dir"], session["session_id"], seen)

        self._say(options, {"kind": "phase", "text": opening})
        follower = Follower(
            Session(session["session_id"], options["name"], options["poll_interval"], options["timeout"]),
            poll=poll,
            show=lambda event: self._say(options, event),
            clock=time,
        )
        try:
            status = follower.follow()
        except EngineError as error:
            if any_end_will_do and error.reason == GONE:
                return {**result, "warnings": [*result.get("warnings", []), error.message]}
            return {**result, "failed": True, **failure(error)}
        except ModuleFailed as error:
            return {**result, **error.result, "session": session}
        return {**result, "session": {**session, **report(status)}, **({} if any_end_will_do else ending(status))}

    def _poll(self, state_dir: str, session_id: str, seen: int) -> Status | None:
        asked = {"sessions": [session_id], "events_after": seen, "state_dir": state_dir}
        try:
            found = self.module("hyperv_replica_session_info", asked)["sessions"]
        except AnsibleConnectionFailure as error:
            self._connection._shell.tmpdir = None  # it may be another machine's when the connection is back
            raise ConnectionLost(str(error)) from error
        return found[0] if found else None

    def _say(self, options: dict[str, t.Any], event: Event) -> None:
        if options["progress"] != "lines":
            return
        color = COLORS.get(event["kind"])
        prefix = f"{options['name']}: "  # a job is often called like its only machine
        line = event["text"] if event["text"].startswith(prefix) else prefix + event["text"]
        display.display(line, color=C.config.get_config_value(color) if color else None)


def _unwatched(session_id: str) -> StateError:
    """A play that was killed leaves the process of its task behind, which nobody would end before the session does."""
    return StateError(f"the play was killed; session {session_id} goes on", current="running", reason="play_killed")
