# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a session stands, in numbers and in words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import (
    Amount,
    DiskStatus,
    MachineStatus,
    clock_face,
    describe_amount,
    overall_percent,
    readable,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB

DISK = UUID(int=1)


def disk(processed: int, total: int, outcome: Outcome = Outcome.RUNNING) -> DiskStatus:
    return DiskStatus("SCSI 0:0", DISK, "changed", "tracked", outcome, Amount(total, processed, processed // 2, MiB))


def test_percent_rounds_down_and_counts_bytes_of_all_disks():
    machine = MachineStatus("vm", Outcome.RUNNING, disks=(disk(0, 3 * MiB), disk(MiB, MiB)))
    assert machine.percent == 25
    assert MachineStatus("vm", Outcome.RUNNING, disks=(disk(999, 1000),)).percent == 99


def test_hundred_percent_only_when_each_disk_is_done():
    assert MachineStatus("vm", Outcome.RUNNING, disks=(disk(MiB, MiB),)).percent == 99
    assert MachineStatus("vm", Outcome.RUNNING, disks=(disk(MiB, MiB, Outcome.DONE),)).percent == 100
    assert MachineStatus("vm", Outcome.RUNNING, disks=(disk(0, 0, Outcome.DONE),)).percent == 100


def test_session_percent_is_the_mean_of_its_machines():
    done, waiting = MachineStatus("a", Outcome.DONE), MachineStatus("b")
    assert overall_percent([done, waiting]) == 50
    assert overall_percent([]) == 0


def test_time_left_needs_a_rate():
    assert Amount(10 * MiB, 4 * MiB, 0, MiB).eta_seconds == 6
    assert Amount(10 * MiB, 4 * MiB, 0, 0).eta_seconds is None


def test_amount_in_words():
    amount = Amount(10 * GiB, 5 * GiB, 3 * GiB + 100 * MiB, 100 * MiB)
    assert describe_amount(amount, percent=50) == "50 % of 10.0 GiB, 3.1 GiB sent, 100.0 MiB/s, 00:51 left"
    assert describe_amount(Amount(), percent=0) == "0 % of 0 B, 0 B sent"
    assert describe_amount(Amount(), percent=100) == "nothing to send"


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (61, "01:01"), (3600, "1:00:00")])
def test_clock_face(seconds, text):
    assert clock_face(seconds) == text


def test_readable_sizes():
    assert [readable(size) for size in (0, 1023, 1024, 5 * MiB)] == ["0 B", "1023 B", "1.0 KiB", "5.0 MiB"]


def test_status_has_the_documented_members():
    status: Any = MachineStatus("vm", Outcome.RUNNING, disks=(disk(MiB, 2 * MiB),)).as_dict()
    amounts = {"percent", "bytes_total", "bytes_processed", "bytes_sent", "rate", "eta_seconds"}
    assert set(status) == amounts | {"name", "vm_id", "replica", "state", "phase", "disks", "error"}
    assert set(status["disks"][0]) == amounts | {"slot", "disk_id", "scope", "reason", "state", "waiting"}
