# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""An action about a job: resolves it, starts its session, follows that, and makes the result of the task of its end."""

from __future__ import annotations

import os
import time
import typing as t
from collections.abc import Iterable

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display

from ..module_utils._engine.errors import EngineError, StateError
from ..module_utils._failure import failure
from .action_base import EngineAction, ModuleFailed, Result
from .execution_environment import is_thrown_away
from .follower import GONE, ConnectionLost, Event, Follower, Session, Status
from .session_result import ending, report

EPHEMERAL = (
    "the catalog is a file in {state_dir} inside a container and ends with it; give catalog_url or mount state_dir to "
    "keep jobs and history (replicas and their restore points do not depend on it)"
)
COLORS = {"warning": "COLOR_WARN", "error": "COLOR_ERROR", "heartbeat": "COLOR_SKIP", "end": "COLOR_OK"}

display = Display()


class SessionAction(EngineAction):
    """Options of every task that follows: ``state_dir``, ``name``, ``timeout``, ``poll_interval``, ``progress``."""

    def stored_job(self, options: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """Ask the catalog for a job that the task only names; None when there is none."""
        asked = {"gather": ["jobs"], "name": options["name"], "state_dir": options["state_dir"]}
        if options["catalog_url"] is not None:
            asked["catalog_url"] = options["catalog_url"]
        found = self.module("hyperv_replica_info", asked)["jobs"]
        return found[0] if found else None

    def require_hosts(self, job: dict[str, t.Any]) -> None:
        """Refuse a job with a host that is not in the inventory, by the option that names it."""
        for option, name in _named(job):
            self.inventory.require(name, option=option)

    def run_resolved(self, name: str, job: dict[str, t.Any], *, options: dict[str, t.Any]) -> Result:
        """Run a module with the engine in place and everything that it needs to reach the hosts of a job."""
        topology = self.inventory.topology(
            manager=self.manager,
            hosts=[job["source_host"], job["target_host"]],
            movers=[*_movers(job, "source"), *_movers(job, "target")],
        )
        settings = dict(topology.settings)
        if not self._task.check_mode:
            settings["engine"] = self.place_engine(options["state_dir"])
        arguments = {**self._task.args, "topology": settings, "secrets": topology.secrets}
        try:
            result = self.module(name, arguments)
        finally:
            self.forget_temporary_files()
        local = self._connection.transport == "local"
        if local and not options["catalog_url"] and is_thrown_away(os.environ, os.path.exists):
            result.setdefault("warnings", []).append(EPHEMERAL.format(state_dir=options["state_dir"]))
        return result

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


def opening(session: dict[str, t.Any]) -> str:
    """Say first of a session what somebody has to know who is about to interrupt the play."""
    verb = "attached to running" if session["attached"] else "started"
    return (
        f"{verb} session {session['session_id']}; it goes on when this play is interrupted: run the task again to "
        "attach to it, or hyperv_replica_job with state: stopped to end it"
    )


def _named(job: dict[str, t.Any]) -> Iterable[tuple[str, str]]:
    """Return the hosts of a job, each with the option that names it."""
    for option in ("source_host", "target_host"):
        yield option, job[option]
    for option in ("source_proxies", "target_proxies"):
        yield from ((option, name) for name in job[option] or [])


def _movers(job: dict[str, t.Any], side: str) -> list[str]:
    """The proxies of a side; without any the mover on the host itself."""
    return job[f"{side}_proxies"] or [job[f"{side}_host"]]


def _unwatched(session_id: str) -> StateError:
    """A play that was killed leaves the process of its task behind, which nobody would end before the session does."""
    return StateError(f"the play was killed; session {session_id} goes on", current="running", reason="play_killed")
