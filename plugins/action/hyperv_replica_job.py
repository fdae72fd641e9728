# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve the inventory for a replication job, start or stop its session, and follow it."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterable

from ..module_utils._spec import JOB_MODULE, JOB_RULES
from ..plugin_utils.action_base import Result
from ..plugin_utils.asker import asker
from ..plugin_utils.execution_environment import is_thrown_away
from ..plugin_utils.session_action import SessionAction

EPHEMERAL = (
    "the catalog is a file in {state_dir} inside a container and ends with it; give catalog_url or mount state_dir to "
    "keep jobs and history (replicas and their restore points do not depend on it)"
)


class ActionModule(SessionAction):
    """Action plugin of hyperv_replica_job."""

    def converge(self) -> Result:
        options = self.options(JOB_MODULE, **JOB_RULES)
        job = self._job(options)
        if job is not None:
            for option, name in _named(job):  # a host that is not in the inventory is refused in every state
                self.inventory.require(name, option=option)
        if options["state"] == "stopped":
            return self._stop(options)
        if options["state"] != "started" or job is None:
            return self.module("hyperv_replica_job", self._task.args)
        result = self._start(job, options)
        if self._task.check_mode or not options["wait"]:
            return result
        return self.follow(result, options, opening=_opening(result["session"]))

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

    def _stop(self, options: dict[str, t.Any]) -> Result:
        """Ask the session of the job to stop, and see it end."""
        by = options["stopped_by"] or asker(self._task_vars)
        result = self.module("hyperv_replica_job", {**self._task.args, "stopped_by": by})
        if self._task.check_mode or not options["wait"] or result["session"] is None:
            return result
        return self.follow(result, options, opening=result["msg"], any_end_will_do=True)


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
    return (
        f"{verb} session {session['session_id']}; it goes on when this play is interrupted: run the task again to "
        "attach to it, or with state: stopped to end it"
    )
