# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The Hypervisor port over PSRP: each method is one contract function, or a loop of one."""

from __future__ import annotations

from typing import Any, Final, Protocol
from uuid import UUID

from ..errors import FormatError, HypervisorError, PeerError, StateError, TrackingLost
from ..extents import Extent, normalize, unpack_pairs
from ..machines import (
    Activity,
    Checkpoint,
    Consistency,
    Fence,
    FrozenDisk,
    Hardware,
    HostInfo,
    Leaf,
    MachineConfig,
    Nic,
    ReferencePoint,
    RestorePoint,
    Slot,
    SourceFence,
    StoredRecord,
    Switch,
    VirtualMachine,
    VolumeSpace,
)
from ..model.contract import EXTENTS_ENCODING
from ..units import TiB
from . import hypervisor_rows as rows
from .hypervisor_refusals import explained

_WINDOW: Final = 1 * TiB  # bytes: what is asked of GetVirtualDiskChanges at once


class HostFunctions(Protocol):
    """Calls contract functions of one host: ``psrp.PsrpHost``, or the lab's model without a network between."""

    @property
    def name(self) -> str: ...

    def call(self, function: str, **parameters: object) -> list[dict[str, Any]]:
        """Return the rows of a function, checked. Raises HypervisorError with the error id, TransportError."""

    def close(self) -> None: ...


class PsrpHypervisor:
    """One Hyper-V host; see ``ports.Hypervisor``. Threads may share it."""

    def __init__(self, host: HostFunctions) -> None:
        self._host = host

    @property
    def name(self) -> str:
        return self._host.name

    def host(self) -> HostInfo:
        return rows.host_info(self._one("Get-HvrHost"))

    def switches(self) -> list[Switch]:
        return [rows.switch(row) for row in self._call("Get-HvrSwitch")]

    def find_machines(self, name: str) -> list[VirtualMachine]:
        return [rows.virtual_machine(row) for row in self._call("Get-HvrVm", Name=name)]

    def machine(self, vm_id: UUID) -> VirtualMachine:
        return rows.virtual_machine(self._one("Get-HvrVm", VmId=vm_id))

    def configuration(self, vm_id: UUID) -> MachineConfig:
        return rows.machine_config(self._call("Get-HvrVmConfig", VmId=vm_id))

    def create_checkpoint(self, fence: SourceFence, vm_id: UUID, *, name: str, consistency: Consistency) -> Checkpoint:
        given = {"VmId": vm_id, "Name": name, "Consistency": consistency.value}
        return rows.checkpoint(self._one("New-HvrCheckpoint", **_source_fence(fence), **given))

    def checkpoints(self, vm_id: UUID) -> list[Checkpoint]:
        return [rows.checkpoint(row) for row in self._call("Get-HvrCheckpoint", VmId=vm_id)]

    def checkpoint_disks(self, vm_id: UUID, checkpoint_id: str) -> list[FrozenDisk]:
        found = self._call("Get-HvrCheckpointDisk", VmId=vm_id, CheckpointId=checkpoint_id)
        return [rows.frozen_disk(row) for row in found]

    def hold_source(self, fence: SourceFence, vm_id: UUID, *, seconds: int) -> None:
        self._call("Set-HvrCheckpointLease", **_source_fence(fence), VmId=vm_id, Seconds=seconds)

    def convert_checkpoint(self, fence: SourceFence, vm_id: UUID, *, checkpoint_id: str) -> ReferencePoint:
        given = {"VmId": vm_id, "CheckpointId": checkpoint_id}
        return rows.reference_point(self._one("Convert-HvrCheckpoint", **_source_fence(fence), **given))

    def remove_checkpoint(self, fence: SourceFence, vm_id: UUID, *, checkpoint_id: str) -> None:
        self._call("Remove-HvrCheckpoint", **_source_fence(fence), VmId=vm_id, CheckpointId=checkpoint_id)

    def reference_points(self, vm_id: UUID) -> list[ReferencePoint]:
        return [rows.reference_point(row) for row in self._call("Get-HvrReferencePoint", VmId=vm_id)]

    def remove_reference_point(self, fence: SourceFence, vm_id: UUID, *, reference_point_id: str) -> None:
        self._call("Remove-HvrReferencePoint", **_source_fence(fence), VmId=vm_id, ReferencePointId=reference_point_id)

    def changed_extents(self, path: str, *, rct_id: str, size: int) -> list[Extent]:
        found: list[Extent] = []
        offset = 0
        try:
            while offset < size:
                extents, offset = self._changed_window(offset, path=path, rct_id=rct_id, size=size)
                found += extents
        except (HypervisorError, PeerError, FormatError, StateError) as error:
            # Whatever is wrong with the answer, "nothing changed" is not what it means.
            raise TrackingLost(
                f"host {self.name}: no changes of {path} since {rct_id}: {error.message}",
                hint="the disk is compared or read in full instead",
                reason=error.reason or "query_failed",
            ) from error
        return normalize(found, size=size)

    def create_machine(self, fence: Fence, *, name: str, marker: str, generation: int, version: str) -> VirtualMachine:
        row = self._one("New-HvrVm", **_fence(fence), Name=name, Marker=marker, Generation=generation, Version=version)
        return rows.virtual_machine(row)

    def update_machine(self, fence: Fence, vm_id: UUID, *, name: str, hardware: Hardware) -> None:
        self._call("Set-HvrVm", **_fence(fence), VmId=vm_id, Name=name, **rows.hardware_parameters(hardware))

    def set_nic(self, fence: Fence, vm_id: UUID, *, nic: Nic) -> None:
        self._call(
            "Set-HvrNic",
            **_fence(fence),
            VmId=vm_id,
            Name=nic.name,
            MacAddress=nic.mac_address,
            SwitchName=nic.switch_name,
            VlanId=nic.vlan_id,
        )

    def remove_nic(self, fence: Fence, vm_id: UUID, *, name: str) -> None:
        self._call("Remove-HvrNic", **_fence(fence), VmId=vm_id, Name=name)

    def attach_disk(self, fence: Fence, vm_id: UUID, *, slot: Slot, path: str) -> None:
        self._call("Add-HvrDisk", **_fence(fence), VmId=vm_id, **rows.slot_parameters(slot), Path=path)

    def detach_disk(self, fence: Fence, vm_id: UUID, *, slot: Slot) -> None:
        self._call("Remove-HvrDisk", **_fence(fence), VmId=vm_id, **rows.slot_parameters(slot))

    def leaves(self, vm_id: UUID) -> list[Leaf]:
        return [rows.leaf(row) for row in self._call("Get-HvrLeaf", VmId=vm_id)]

    def create_restore_point(self, fence: Fence, vm_id: UUID, *, name: str) -> RestorePoint:
        return rows.restore_point(self._one("New-HvrRestorePoint", **_fence(fence), VmId=vm_id, Name=name))

    def restore_points(self, vm_id: UUID) -> list[RestorePoint]:
        return [rows.restore_point(row) for row in self._call("Get-HvrRestorePoint", VmId=vm_id)]

    def apply_restore_point(self, fence: Fence, vm_id: UUID, *, restore_point_id: UUID) -> None:
        self._call("Restore-HvrRestorePoint", **_fence(fence), VmId=vm_id, RestorePointId=restore_point_id)

    def remove_restore_point(self, fence: Fence, vm_id: UUID, *, restore_point_id: UUID) -> None:
        self._call("Remove-HvrRestorePoint", **_fence(fence), VmId=vm_id, RestorePointId=restore_point_id)

    def remove_file(self, fence: Fence, path: str) -> None:
        self._call("Remove-HvrFile", **_fence(fence), Path=path)

    def volume(self, path: str) -> VolumeSpace:
        return rows.volume(self._one("Get-HvrVolume", Path=path))

    def activity(self, vm_id: UUID) -> Activity:
        return rows.activity(self._one("Get-HvrActivity", VmId=vm_id))

    def chain(self, path: str) -> tuple[str, ...]:
        row = self._one("Test-HvrChain", Path=path)
        if not row["Valid"]:
            raise explained(
                HypervisorError(
                    f"host {self.name}: the chain of {path} is broken: {row['Reason']}",
                    function="Test-HvrChain",
                    error_id="Hvr.ChainBroken",
                )
            )
        paths: tuple[str, ...] = row["Paths"]
        return paths

    def write_record(self, folder: str, text: str, *, expected_epoch: int, expected_revision: int) -> None:
        self._call(
            "Set-HvrReplicaRecord",
            Folder=folder,
            ExpectedEpoch=expected_epoch,
            ExpectedRevision=expected_revision,
            Record=text,
        )

    def find_records(self, folder: str) -> list[StoredRecord]:
        return [rows.stored_record(row) for row in self._call("Find-HvrReplicaRecord", Folder=folder)]

    def remove_record(self, fence: Fence) -> None:
        self._call("Remove-HvrReplicaRecord", **_fence(fence))

    def close(self) -> None:
        self._host.close()

    def _changed_window(self, offset: int, *, path: str, rct_id: str, size: int) -> tuple[list[Extent], int]:
        """Return the changes of one window, and where the next one begins."""
        answer = self._call(
            "Get-HvrChangedRange", Path=path, RctId=rct_id, Offset=offset, Length=min(_WINDOW, size - offset)
        )
        found: list[Extent] = []
        for row in answer:
            if row["Encoding"] != EXTENTS_ENCODING:
                raise PeerError(f"changed extents are encoded as {row['Encoding']!r}", reason="contract")
            found += unpack_pairs(row["Extents"])
        end: int = answer[-1]["NextOffset"] if answer else offset
        if end <= offset:  # ProcessedByteLength 0: asking again would never end
            raise PeerError(f"the query does not get beyond offset {offset}", reason="no_progress")
        return found, end

    def _call(self, function: str, **parameters: object) -> list[rows.Row]:
        try:
            return list(self._host.call(function, **parameters))
        except HypervisorError as refusal:
            raise explained(refusal) from refusal

    def _one(self, function: str, **parameters: object) -> rows.Row:
        """Call a function that emits exactly one object."""
        found = self._call(function, **parameters)
        if len(found) != 1:
            raise PeerError(f"host {self.name}: {function} emitted {len(found)} objects, want 1", reason="contract")
        return found[0]


def _source_fence(fence: SourceFence) -> dict[str, object]:
    return {"ReplicaId": fence.replica_id, "Epoch": fence.epoch}


def _fence(fence: Fence) -> dict[str, object]:
    return {"Folder": fence.folder, "Epoch": fence.epoch}
