# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify the replicas of a job and follow that, or pin a restore point of one."""

from __future__ import annotations

from ..module_utils._spec import REPLICA_MODULE, REPLICA_RULES
from ..plugin_utils.action_base import Result
from ..plugin_utils.session_action import SessionAction, opening


class ActionModule(SessionAction):
    """Action plugin of hyperv_replica."""

    def converge(self) -> Result:
        options = self.options(REPLICA_MODULE, **REPLICA_RULES)
        job = self.stored_job(options)
        if job is None:
            return self.module("hyperv_replica", self._task.args)  # it says so
        self.require_hosts(job)
        result = self.run_resolved("hyperv_replica", job, options=options)
        if self._task.check_mode or not options["wait"] or not options["verify"]:
            return result
        return self.follow(result, options, opening=opening(result["session"]))
