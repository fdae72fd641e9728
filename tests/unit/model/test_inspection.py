# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be replicated is refused before anything is done, with the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import ConsistencyPolicy
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import (
    AttachedDisk,
    CheckpointType,
    Consistency,
    DiskKind,
    HostInfo,
    PowerState,
    Slot,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.inspection import (
    require_all_frozen,
    require_replicable,
    require_version_at,
    wanted_consistency,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.model.samples import DISK, OTHER_DISK, config, frozen, geometry


def disk(location=0, disk_id=DISK, kind=DiskKind.VHDX):
    described = geometry(disk_id) if kind is DiskKind.VHDX else None
    return AttachedDisk(Slot("SCSI", 0, location), f"C:\\{location}.vhdx", kind, described, file_size=MiB)


def machine(*disks, **changes):
    found = config()
    return replace(found, machine=replace(found.machine, **changes), disks=disks or (disk(),))


def reason_of(call, *arguments, **named):
    with pytest.raises(EngineError) as caught:
        call(*arguments, **named)
    assert caught.value.hint
    return caught.value.reason


def test_ordinary_machine_is_accepted():
    require_replicable(machine(disk(0), disk(1, OTHER_DISK)), host="hv-a")
    require_replicable(machine(version="6.2", state=PowerState.SAVED), host="hv-a")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (machine(version="6.1"), "version_too_old"),
        (machine(version="5.0"), "version_too_old"),
        (machine(checkpoint_type=CheckpointType.DISABLED), "checkpoints_disabled"),
        (machine(state=PowerState.OTHER), "vm_state"),
        (replace(machine(), disks=()), "vm_without_disks"),
        (machine(disk(0), disk(1, OTHER_DISK, DiskKind.PASS_THROUGH)), "disk_unsupported"),
        (machine(disk(0), disk(1)), "disk_ids_equal"),
    ],
)
def test_what_cannot_be_replicated_is_refused(found, reason):
    assert reason_of(require_replicable, found, host="hv-a") == reason


def test_target_must_run_the_version():
    host = HostInfo("hv-b", "1", "20348", ("8.0", "9.0"), "9.0")
    require_version_at(host, machine().machine, host="hv-b")
    newer = machine(version="10.0").machine
    assert reason_of(require_version_at, host, newer, host="hv-b") == "version_not_supported"


def test_disk_that_a_checkpoint_lacks_is_never_skipped():
    require_all_frozen(machine(), [frozen()])
    assert reason_of(require_all_frozen, machine(disk(0), disk(1, OTHER_DISK)), [frozen()]) == "disk_not_frozen"


@pytest.mark.parametrize(
    ("state", "policy", "wanted"),
    [
        (PowerState.RUNNING, ConsistencyPolicy.APPLICATION, Consistency.APPLICATION),
        (PowerState.RUNNING, ConsistencyPolicy.APPLICATION_OR_CRASH, Consistency.APPLICATION),
        (PowerState.RUNNING, ConsistencyPolicy.CRASH, Consistency.CRASH),
        (PowerState.OFF, ConsistencyPolicy.APPLICATION, Consistency.CRASH),
        (PowerState.SAVED, ConsistencyPolicy.APPLICATION_OR_CRASH, Consistency.CRASH),
        (PowerState.PAUSED, ConsistencyPolicy.CRASH, Consistency.CRASH),
    ],
)
def test_consistency_follows_state_and_policy(state, policy, wanted):
    assert wanted_consistency(machine(state=state).machine, policy) is wanted


def test_saved_machine_cannot_be_application_consistent():
    saved = machine(state=PowerState.SAVED).machine
    assert reason_of(wanted_consistency, saved, ConsistencyPolicy.APPLICATION) == "consistency_impossible"
