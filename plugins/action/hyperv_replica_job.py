# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve the inventory for a replication job, start or stop its session, and follow it."""

from __future__ import annotations

import typing as t

from ..module_utils._spec import JOB_MODULE, JOB_RULES
from ..plugin_utils.action_base import Result
from ..plugin_utils.asker import asker
from ..plugin_utils.session_action import SessionAction, opening


class ActionModule(SessionAction):
    """Action plugin of hyperv_replica_job."""

    def converge(self) -> Result:
        options = self.options(JOB_MODULE, **JOB_RULES)
        job = self._job(options)
        if job is not None:
            self.require_hosts(job)  # in every state
        if options["state"] == "stopped":
            return self._stop(options)
        if options["state"] != "started" or job is None:
            return self.module("hyperv_replica_job", self._task.args)
        result = self.run_resolved("hyperv_replica_job", job, options=options)
        if self._task.check_mode or not options["wait"]:
            return result
        return self.follow(result, options, opening=opening(result["session"]))

    def _job(self, options: dict[str, t.Any]) -> dict[str, t.Any] | None:
        """Return the job that the task declares; to start one that it only names, ask the catalog."""
        if options["vms"] is not None:
            return options
        return self.stored_job(options) if options["state"] == "started" else None

    def _stop(self, options: dict[str, t.Any]) -> Result:
        """Ask the session of the job to stop, and see it end."""
        by = options["stopped_by"] or asker(self._task_vars)
        result = self.module("hyperv_replica_job", {**self._task.args, "stopped_by": by})
        if self._task.check_mode or not options["wait"] or result["session"] is None:
            return result
        return self.follow(result, options, opening=result["msg"], any_end_will_do=True)
