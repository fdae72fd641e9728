# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve the inventory for a replication job, start its session, and follow it."""

from __future__ import annotations

import os
import time
import typing as t
from collections.abc import Iterable

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display

from ..module_utils._engine.errors import EngineError
from ..module_utils._failure import failure
from ..module_utils._spec import JOB_MODULE, JOB_RULES
from ..plugin_utils.action_base import EngineAction, ModuleFailed, Result
from ..plugin_utils.execution_environment import is_thrown_away
from ..plugin_utils.follower import ConnectionLost, Event, Follower, Session, Status
from ..plugin_utils.session_result import ending, report

COLORS = {"warning": "COLOR_WARN", "error": "COLOR_ERROR", "heartbeat": "COLOR_SKIP", "end": "COLOR_OK"}
EPHEMERAL = (
    "the catalog is a file in {state_dir} inside a container and ends with it; give catalog_url or mount state_dir to "
    "keep jobs and history (replicas and their restore points do not depend on it)"
)

display = Display()


class ActionModule(EngineAction):
    """Action plugin of hyperv_replica_job."""

    def converge(self) -> Result:
        options = self.options(JOB_MODULE, **JOB_RULES)
        job = self._job(options)
        if job is not None:
            for option, name in _named(job):  # a host that is not in the inventory is refused in every state
                self.inventory.require(name, option=option)
        if options["state"] != "started" or job is None:
            return self.module("hyperv_replica_job", self._task.args)
        result = self._start(job, options)
        if self._task.check_mode or not options["wait"]:
            return result
        return self._follow(result, options)

    def _job(self, options: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """Return the job that the task declares; to start one that it only names, ask the catalog."""
        if options["vms"] is not None:
            return options
        if options["state"] != "started":
            return None
        asked = {"gather": ["jobs"], "name": options["name"], "state_dir": options["state_dir"]}
        if options["catalog_url"] is not None:
            asked["catalog_url"] = options["catalog_url"]
        found = self.module("hyperv_replica_info", asked)["jobs"]
        return found[0] if found else None

    def _start(self, job: dict[str, t.Any], options: dict[str, t.Any]) -> Result:
        """Start the session of the job, or find the one that runs."""
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
            result = self.module("hyperv_replica_job", arguments)
        finally:
            self.forget_temporary_files()
        local = self._connection.transport == "local"
        if local and not options["catalog_url"] and is_thrown_away(os.environ, os.path.exists):
            result.setdefault("warnings", []).append(EPHEMERAL.format(state_dir=options["state_dir"]))
        return result

    def _follow(self, result: Result, options: dict[str, t.Any]) -> Result:
        session = result["session"]
        self._say(options, {"kind": "phase", "text": _opening(session)})
        follower = Follower(
            Session(session["session_id"], options["name"], options["poll_interval"], options["timeout"]),
            poll=lambda seen: self._poll(options["state_dir"], session["session_id"], seen),
            show=lambda event: self._say(options, event),
            clock=time,
        )
        try:
            status = follower.follow()
        except EngineError as error:
            return {**result, "failed": True, **failure(error)}
        except ModuleFailed as error:
            return {**result, **error.result, "session": session}
        return {**result, "session": {**session, **report(status)}, **ending(status)}

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


def _named(job: dict[str, t.Any]) -> Iterable[tuple[str, str]]:
    """Return the hosts of a job, each with the option that names it."""
    for option in ("source_host", "target_host"):
        yield option, job[option]
    for option in ("source_proxies", "target_proxies"):
        yield from ((option, name) for name in job[option] or [])


def _movers(job: dict[str, t.Any], side: str) -> list[str]:
    """The proxies of a side; without any the mover on the host itself."""
    return job[f"{side}_proxies"] or [job[f"{side}_host"]]


def _opening(session: dict[str, t.Any]) -> str:
    verb = "attached to running" if session["attached"] else "started"
    return f"{verb} session {session['session_id']}; it goes on when this play is interrupted"
