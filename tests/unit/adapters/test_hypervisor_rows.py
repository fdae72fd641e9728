# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import hypervisor_rows as rows
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import PeerError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import (
    Allocation,
    Consistency,
    DiskKind,
    PowerState,
    Slot,
)

DISK_ID = UUID("2f3a5c7e-0000-4000-8000-123456789abc")
VM = {
    "Kind": "vm",
    "VmId": DISK_ID,
    "Name": "web01",
    "State": "Running",
    "Generation": 2,
    "Version": "9.0",
    "CheckpointType": "Production",
    "Notes": "",
    "Folder": r"C:\VMs\web01",
    "ProcessorCount": 2,
    "MemoryStartup": 2**31,
    "MemoryDynamic": True,
    "MemoryMinimum": 2**29,
    "MemoryMaximum": 2**32,
    "SecureBoot": True,
    "SecureBootTemplate": "MicrosoftWindows",
    "BootOrder": ("SCSI 0:0",),
}
DISK = {
    "Kind": "disk",
    "ControllerType": "SCSI",
    "ControllerNumber": 0,
    "ControllerLocation": 1,
    "VirtualDiskId": DISK_ID,
    "VirtualSize": 2**30,
    "BlockSize": 2**25,
    "LogicalSectorSize": 512,
    "PhysicalSectorSize": 4096,
    "Allocation": "Dynamic",
    "FileSize": 2**20,
    "Path": r"C:\VMs\web01\disk.vhdx",
    "DiskKind": "Vhdx",
}
NIC = {
    "Kind": "nic",
    "NicId": "n",
    "Name": "LAN",
    "MacAddress": "00155D010203",
    "MacIsStatic": True,
    "SwitchName": "prod",
    "VlanId": 0,
}
CHECKPOINT = {
    "CheckpointId": "c",
    "Name": "opendr",
    "CreatedAt": "2026-11-25T12:00:00.1234567Z",
    "Consistency": "Application",
    "LeaseSeconds": 7,
    "IgnoredDisks": ("SCSI 0:2", "IDE 1:0"),
}


def test_configuration_is_put_together_from_its_objects() -> None:
    config = rows.machine_config([NIC, DISK, VM, {**DISK, "ControllerLocation": 2, "DiskKind": "PassThrough"}])
    assert config.machine.version_number == (9, 0)
    assert config.hardware.memory.dynamic
    assert [nic.name for nic in config.hardware.nics] == ["LAN"]
    first, second = config.disks
    assert (first.slot, first.kind, first.file_size) == (Slot("SCSI", 0, 1), DiskKind.VHDX, 2**20)
    assert first.geometry is not None
    assert (first.geometry.disk_id, first.geometry.allocation) == (DISK_ID, Allocation.DYNAMIC)
    assert (second.kind, second.geometry) == (DiskKind.PASS_THROUGH, None)


@pytest.mark.parametrize("count", [0, 2])
def test_configuration_of_another_number_of_machines_is_refused(count: int) -> None:
    with pytest.raises(PeerError, match=f"{count} machines"):
        rows.machine_config([VM] * count)


@pytest.mark.parametrize("state", ["Off", "Running", "Saved", "Paused"])
def test_lasting_power_state_is_known(state: str) -> None:
    assert rows.virtual_machine({**VM, "State": state}).state is PowerState(state)


def test_passing_power_state_is_other() -> None:
    assert rows.virtual_machine({**VM, "State": "FastSavedCritical"}).state is PowerState.OTHER


@pytest.mark.parametrize("version", ["", "9", "9.0.1", "nine", "-1.0"])
def test_configuration_version_must_be_two_numbers(version: str) -> None:
    with pytest.raises(PeerError, match="configuration version"):
        rows.virtual_machine({**VM, "Version": version})


def test_checkpoint_has_time_lease_and_ignored_slots() -> None:
    checkpoint = rows.checkpoint(CHECKPOINT)
    assert checkpoint.created_at == pytest.approx(1795608000.123456, abs=1e-5)
    assert checkpoint.consistency is Consistency.APPLICATION
    assert checkpoint.lease_seconds == 7
    assert checkpoint.ignored_disks == (Slot("SCSI", 0, 2), Slot("IDE", 1, 0))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("CreatedAt", "2026-11-25T12:00:00"),
        ("CreatedAt", "yesterday"),
        ("Consistency", "Perfect"),
        ("IgnoredDisks", ("NVMe 0:0",)),
    ],
)
def test_word_that_is_not_understood_is_named(member: str, value: object) -> None:
    with pytest.raises(PeerError, match="does not know"):
        rows.checkpoint({**CHECKPOINT, member: value})


@pytest.mark.parametrize(
    "text", ["2026-11-25T12:00:00Z", "2026-11-25T12:00:00.0000000+00:00", "2026-11-25T13:00:00+01:00"]
)
def test_time_with_zone_is_read(text: str) -> None:
    assert rows.timestamp(text) == 1795608000.0


def test_reference_point_pairs_disks_with_their_ids() -> None:
    row = {"ReferencePointId": "r", "Consistency": "Crash", "VirtualDiskIds": (str(DISK_ID),), "RctIds": ("rct:1",)}
    assert rows.reference_point(row).rct_ids == {DISK_ID: "rct:1"}
    for wrong in ({"RctIds": ()}, {"VirtualDiskIds": ("no GUID",)}):
        with pytest.raises(PeerError):
            rows.reference_point({**row, **wrong})


def test_restore_point_without_parent_is_the_first() -> None:
    row = {"RestorePointId": DISK_ID, "ParentId": "", "Name": "n", "CreatedAt": "2026-11-25T12:00:00Z"}
    assert rows.restore_point(row).parent_id is None
    assert rows.restore_point({**row, "ParentId": str(DISK_ID)}).parent_id == DISK_ID
