# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of hyperv_replica; what it shares with that of hyperv_replica_job is tested there."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.action.hyperv_replica import ActionModule
from ansible_collections.opendr.hyperv.tests.unit.plugins.action import test_hyperv_replica_job as job

REPLICA = "hyperv_replica"
PIN = {"restore_point": "0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d", "pinned": True}
STARTED = {"changed": False, "session": {"session_id": "8c1f", "attached": False}}


class Scripted(job.Scripted, ActionModule):
    """Answers instead of running modules."""

    converge = ActionModule.converge

    def __init__(self, arguments: dict[str, Any], *, check: bool = False) -> None:
        super().__init__(arguments, check=check)
        self._task.args = {"name": "web", **arguments}
        self.answers[REPLICA] = [STARTED]

    @property
    def modules(self) -> list[str]:
        return [name for name, _arguments in self.asked if name != "forget"]


def test_verification_is_started_and_followed() -> None:
    action = Scripted({"verify": "sample"})
    result = action.go()
    assert (result["session"]["state"], result["changed"]) == ("done", False)
    assert action.modules == [job.INFO, REPLICA, job.STATUS]
    given = action.asked[1][1]
    assert set(given["topology"]["hosts"]) == {"hv-a", "hv-b"}
    assert given["secrets"]["passwords"]["hv-a"] == "S3cret!"
    assert len(action.placed) == 1


@pytest.mark.parametrize("arguments", [{"verify": "full", "wait": False}, PIN])
def test_what_needs_no_waiting_is_not_followed(arguments: dict[str, Any]) -> None:
    action = Scripted(arguments)
    action.go()
    assert action.modules == [job.INFO, REPLICA]


def test_check_mode_starts_nothing() -> None:
    action = Scripted({"verify": "full"}, check=True)
    action.answers[REPLICA] = [{"changed": False, "session": None}]
    assert action.go()["session"] is None
    assert action.placed == []


def test_job_that_is_not_stored_is_told_by_the_module() -> None:
    action = Scripted({"verify": "full"})
    action.answers[job.INFO] = [{"jobs": []}]
    action.go()
    assert action.asked[1] == (REPLICA, {"name": "web", "verify": "full"})


def test_host_that_is_not_in_the_inventory_is_refused() -> None:
    action = Scripted({"verify": "full"})
    action.answers[job.INFO] = [{"jobs": [{**job.STORED, "target_host": "nowhere"}]}]
    assert action.go()["failure"]["reason"] == "host_unknown"


@pytest.mark.parametrize("arguments", [{}, {"verify": "full", **PIN}, {"restore_point": PIN["restore_point"]}])
def test_task_has_to_ask_for_one_thing(arguments: dict[str, Any]) -> None:
    action = Scripted(arguments)
    assert action.go()["failure"]["reason"] == "options_invalid"
    assert action.modules == []
