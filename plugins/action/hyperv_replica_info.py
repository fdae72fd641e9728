# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve the host whose replica records are asked for; everything else is the module's."""

from __future__ import annotations

from ..module_utils._spec import INFO_MODULE, INFO_RULES
from ..plugin_utils.action_base import EngineAction, Result


class ActionModule(EngineAction):
    """Action plugin of hyperv_replica_info."""

    def converge(self) -> Result:
        options = self.options(INFO_MODULE, **INFO_RULES)
        if options["host"] is None:
            return self.module("hyperv_replica_info", self._task.args)
        self.inventory.require(options["host"], option="host")
        topology = self.inventory.topology(manager=self.manager, hosts=[options["host"]], movers=[])
        arguments = {**self._task.args, "topology": topology.settings, "secrets": topology.secrets}
        try:
            return self.module("hyperv_replica_info", arguments)
        finally:
            self.forget_temporary_files()
