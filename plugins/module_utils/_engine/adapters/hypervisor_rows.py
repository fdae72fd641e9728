# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Rows of the host contract as values of ``machines.py``, and back.

The rows have been checked: members are there and have their types. What is left to check is what the words mean; a word
that cannot be understood is a PeerError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeVar
from uuid import UUID

from ..errors import PeerError
from ..machines import (
    Activity,
    Allocation,
    AttachedDisk,
    Checkpoint,
    CheckpointType,
    Consistency,
    DiskGeometry,
    DiskKind,
    Firmware,
    FrozenDisk,
    Hardware,
    HostInfo,
    Leaf,
    MachineConfig,
    Memory,
    Nic,
    PowerState,
    ReferencePoint,
    RestorePoint,
    Slot,
    StoredRecord,
    Switch,
    VirtualMachine,
    VolumeSpace,
)

Row = Mapping[str, Any]
Word = TypeVar("Word", bound=Enum)
MERGING: Final = "MergingDisks"  # VMOperationalStatus of Get-VM
_SLOT: Final = re.compile(r"(IDE|SCSI) (\d{1,3}):(\d{1,3})")


def host_info(row: Row) -> HostInfo:
    return HostInfo(
        name=row["Name"],
        module_version=row["ModuleVersion"],
        os_build=row["OsBuild"],
        supported_versions=row["SupportedVersions"],
        default_version=row["DefaultVersion"],
    )


def activity(row: Row) -> Activity:
    return Activity(
        is_idle=row["Idle"],
        is_merging=not row["Idle"] and set(row["Operations"]) == {MERGING},
        problem=row["Problem"],
        merge_held_back=row["MergeHeldBack"],
    )


def switch(row: Row) -> Switch:
    return Switch(row["SwitchId"], row["Name"], row["SwitchType"])


def virtual_machine(row: Row) -> VirtualMachine:
    if not re.fullmatch(r"\d{1,4}\.\d{1,4}", row["Version"]):
        raise _unknown("configuration version", row["Version"])
    return VirtualMachine(
        vm_id=row["VmId"],
        name=row["Name"],
        state=_power_state(row["State"]),
        generation=row["Generation"],
        version=row["Version"],
        checkpoint_type=_word(CheckpointType, row["CheckpointType"]),
        notes=row["Notes"],
        folder=row["Folder"],
    )


def machine_config(rows: Iterable[Row]) -> MachineConfig:
    """Put the objects of Get-HvrVmConfig together: one machine, its disks and adapters.

    A host lists them in an order that changes between calls; here disks are in the order of their slots.
    """
    by_kind: dict[str, list[Row]] = {"vm": [], "disk": [], "nic": []}
    for row in rows:
        by_kind[row["Kind"]].append(row)
    if len(by_kind["vm"]) != 1:
        raise PeerError(f"{len(by_kind['vm'])} machines in one configuration", reason="contract")
    machine = by_kind["vm"][0]
    return MachineConfig(
        machine=virtual_machine(machine),
        hardware=_hardware(machine, sorted((nic(row) for row in by_kind["nic"]), key=lambda n: (n.name, n.nic_id))),
        disks=tuple(sorted((_attached_disk(row) for row in by_kind["disk"]), key=lambda disk: disk.slot)),
    )


def nic(row: Row) -> Nic:
    return Nic(
        nic_id=row["NicId"],
        name=row["Name"],
        mac_address=row["MacAddress"],
        mac_is_static=row["MacIsStatic"],
        switch_name=row["SwitchName"],
        vlan_id=row["VlanId"],
    )


def checkpoint(row: Row) -> Checkpoint:
    return Checkpoint(
        checkpoint_id=row["CheckpointId"],
        name=row["Name"],
        created_at=timestamp(row["CreatedAt"]),
        consistency=_word(Consistency, row["Consistency"]),
        lease_seconds=max(0, row["LeaseSeconds"]),
        ignored_disks=tuple(_slot_named(text) for text in row["IgnoredDisks"]),
    )


def frozen_disk(row: Row) -> FrozenDisk:
    return FrozenDisk(slot=_slot(row), chain=row["ChainPaths"], geometry=_geometry(row), file_size=row["FileSize"])


def reference_point(row: Row) -> ReferencePoint:
    disks, ids = row["VirtualDiskIds"], row["RctIds"]
    if len(disks) != len(ids):
        raise PeerError(f"reference point with {len(disks)} disks and {len(ids)} RCT ids", reason="contract")
    return ReferencePoint(
        reference_point_id=row["ReferencePointId"],
        consistency=_word(Consistency, row["Consistency"]),
        rct_ids={_uuid(disk): rct_id for disk, rct_id in zip(disks, ids, strict=True)},
    )


def restore_point(row: Row) -> RestorePoint:
    return RestorePoint(
        restore_point_id=row["RestorePointId"],
        parent_id=_uuid(row["ParentId"]) if row["ParentId"] else None,
        name=row["Name"],
        created_at=timestamp(row["CreatedAt"]),
    )


def leaf(row: Row) -> Leaf:
    return Leaf(slot=_slot(row), disk_id=row["VirtualDiskId"], path=row["Path"])


def volume(row: Row) -> VolumeSpace:
    return VolumeSpace(root=row["Root"], size=row["Size"], free=row["Free"])


def stored_record(row: Row) -> StoredRecord:
    return StoredRecord(
        folder=row["Folder"],
        epoch=row["Epoch"],
        revision=row["Revision"],
        age_seconds=max(0, row["AgeSeconds"]),  # by a clock that may have jumped back
        text=row["Record"],
    )


def slot_parameters(slot: Slot) -> dict[str, object]:
    """Return the parameters that name a slot."""
    return {
        "ControllerType": slot.controller,
        "ControllerNumber": slot.number,
        "ControllerLocation": slot.location,
    }


def hardware_parameters(hardware: Hardware) -> dict[str, object]:
    """Return the parameters of Set-HvrVm, the name apart."""
    return {
        "ProcessorCount": hardware.processor_count,
        "MemoryStartup": hardware.memory.startup,
        "MemoryDynamic": hardware.memory.dynamic,
        "MemoryMinimum": hardware.memory.minimum,
        "MemoryMaximum": hardware.memory.maximum,
        "SecureBoot": hardware.firmware.secure_boot,
        "SecureBootTemplate": hardware.firmware.secure_boot_template,
        "BootOrder": hardware.firmware.boot_order,
    }


def timestamp(text: str) -> float:
    """Return seconds since 1970 of an ISO 8601 time with its zone; .NET writes seven digits of a second."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _unknown("time", text) from error
    if moment.tzinfo is None:
        raise _unknown("time without zone", text)
    return moment.timestamp()


def _hardware(row: Row, nics: Iterable[Nic]) -> Hardware:
    return Hardware(
        processor_count=row["ProcessorCount"],
        memory=Memory(
            startup=row["MemoryStartup"],
            dynamic=row["MemoryDynamic"],
            minimum=row["MemoryMinimum"],
            maximum=row["MemoryMaximum"],
        ),
        firmware=Firmware(
            secure_boot=row["SecureBoot"],
            secure_boot_template=row["SecureBootTemplate"],
            boot_order=row["BootOrder"],
        ),
        nics=tuple(nics),
    )


def _attached_disk(row: Row) -> AttachedDisk:
    kind = _word(DiskKind, row["DiskKind"])
    return AttachedDisk(
        slot=_slot(row),
        path=row["Path"],
        kind=kind,
        geometry=_geometry(row) if kind is DiskKind.VHDX else None,
        file_size=row["FileSize"],
    )


def _geometry(row: Row) -> DiskGeometry:
    return DiskGeometry(
        disk_id=row["VirtualDiskId"],
        virtual_size=row["VirtualSize"],
        block_size=row["BlockSize"],
        logical_sector_size=row["LogicalSectorSize"],
        physical_sector_size=row["PhysicalSectorSize"],
        allocation=_word(Allocation, row["Allocation"]),
    )


def _slot(row: Row) -> Slot:
    return Slot(row["ControllerType"], row["ControllerNumber"], row["ControllerLocation"])


def _slot_named(text: str) -> Slot:
    match = _SLOT.fullmatch(text)
    if not match:
        raise _unknown("slot", text)
    return Slot(match[1], int(match[2]), int(match[3]))


def _power_state(text: str) -> PowerState:
    """Hyper-V has some twenty states; those that last are told apart."""
    try:
        return PowerState(text)
    except ValueError:
        return PowerState.OTHER


def _word(words: type[Word], text: str) -> Word:
    try:
        return words(text)
    except ValueError as error:
        raise _unknown(words.__name__, text) from error


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise _unknown("GUID", text) from error


def _unknown(what: str, text: str) -> PeerError:
    return PeerError(
        f"the host speaks of {what} {text!r}, which this version does not know",
        hint="use the same version of the collection on the manager and on the host",
        reason="contract",
    )
