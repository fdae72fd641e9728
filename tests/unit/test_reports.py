# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a session: sums, ratios, and what the whole says when parts failed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import (
    DiskReport,
    MachineReport,
    Outcome,
    PointReport,
    SessionReport,
    Traffic,
)

ERROR: dict[str, object] = {"code": "transport_failed"}


def session(*outcomes: Outcome, error: dict[str, object] | None = None) -> SessionReport:
    machines = tuple(MachineReport(f"vm{number}", outcome) for number, outcome in enumerate(outcomes))
    return SessionReport(UUID(int=1), "web", 10.0, 12.5, machines, error)


@pytest.mark.parametrize(
    ("report", "outcome"),
    [
        (session(Outcome.DONE, Outcome.DONE), Outcome.DONE),
        (session(Outcome.DONE, Outcome.FAILED, Outcome.CANCELLED), Outcome.FAILED),
        (session(Outcome.DONE, Outcome.CANCELLED), Outcome.CANCELLED),
        (session(error=ERROR), Outcome.FAILED),
        (session(error={"code": "cancelled"}), Outcome.CANCELLED),
    ],
)
def test_worst_part_decides(report, outcome):
    assert report.outcome is outcome
    assert report.as_dict()["state"] == outcome.value


def test_traffic_adds_up_and_knows_its_ratio():
    one = Traffic(disk=100, total=60, read=60, sent=20, zero=10, same=5)
    both = one + one
    assert (both.disk, both.read, both.sent, both.ratio) == (200, 120, 40, 3.0)
    assert Traffic(read=5).ratio is None
    assert one.rate(2.0) == 30
    assert one.rate(0.0) == 0


def test_machine_result_names_its_new_restore_point_and_its_consistency():
    point = PointReport(UUID(int=7), "p", 5.0, "Crash")
    disk = DiskReport("SCSI 0:0", UUID(int=2), "changed", "tracked", Traffic(read=10, sent=5), 2.0, "network")
    report: Any = MachineReport(
        "vm", Outcome.DONE, restore_point=UUID(int=7), restore_points=(point,), disks=(disk,), transfer_seconds=2.0
    ).as_dict()
    assert report["consistency"] == "Crash"
    assert report["rate"] == 5
    assert report["disks"][0]["bottleneck"] == "network"
    assert session(Outcome.DONE).as_dict()["duration_seconds"] == 2.5
