# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery checkpoints, reference points and change queries: Msvm_VirtualSystemSnapshotService and its neighbours."""

from __future__ import annotations

from uuid import uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, after
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.disks import Disks
from ansible_collections.opendr.hyperv.tests.lab.hyperv.freezing import freeze, take_out
from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import behaviour
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import (
    RECOVERY,
    Checkpoint,
    Machine,
    ReferencePoint,
    same_path,
)
from ansible_collections.opendr.hyperv.tests.lab.hyperv.tracking import NOT_INITIALIZED, UNKNOWN_ID, lost

PRODUCTION_SINCE = (6, 2)  # configuration version; below it there are no production checkpoints
TRACKED_SINCE = (8, 0)

Ranges = tuple[int, list[int] | None, list[int] | None]


class Checkpoints:
    """What a backup product calls."""

    def __init__(self, lab: Lab, disks: Disks) -> None:
        self.lab = lab
        self._disks = disks

    @behaviour("CreateSnapshot", "F", source="W32 CreateSnapshot; type 32768 = recovery: xHVB, Bareos, nxm")
    def create_snapshot(self, vm_id: str, *, consistency: str) -> Checkpoint:
        """Make a recovery checkpoint, IgnoreNonSnapshottableDisks set; its name is given by rename_vm_snapshot.

        Raises:
            Refusal: BUSY, WRONG_STATE, CHECKPOINTS_DISABLED, CHECKPOINT_FAILED, VERSION_TOO_OLD, VOLUME_FULL, IN_USE.
        """
        machine = self.lab.machine(vm_id)
        if machine.version_number < PRODUCTION_SINCE:
            raise Refusal(Kind.VERSION_TOO_OLD, f"{machine.name} of version {machine.version} has no such checkpoints")
        if machine.checkpoint_type == "Disabled":
            raise Refusal(Kind.CHECKPOINTS_DISABLED, f"Checkpoints are disabled for {machine.name}")
        self.lab.require_no_backup(machine)
        if self.lab.state.switches.checkpoint_while_merging == "refused":
            self.lab.require_no_merge(machine)
        consistency = self._consistency(machine, consistency)
        self.lab.require_leaves_free(machine)
        name = f"{machine.name} - Backup - ({self.lab.now():.0f})"
        # The epoch begins before the disks are frozen: what is written in between is told again, never missed.
        tracked = machine.settings.vhdx_drives() if machine.version_number >= TRACKED_SINCE else []
        self._disks.notice_offline_edits(machine)
        rct_ids = {each.disk_id: self.lab.tracking.begin_epoch(machine.vm_id, each.disk_id) for each in tracked}
        checkpoint = freeze(self.lab, self._disks, machine=machine, name=name, kind=RECOVERY, consistency=consistency)
        checkpoint.rct_ids = rct_ids
        self.lab.commit()
        return checkpoint

    @behaviour("ConvertToReferencePoint", "D", source="W32 ConvertToReferencePoint: only recovery checkpoints")
    def convert_to_reference_point(self, vm_id: str, *, checkpoint_id: str) -> ReferencePoint:
        """Turn a recovery checkpoint into a reference point; its files are merged afterwards."""
        machine = self.lab.machine(vm_id)
        checkpoint = self._recovery(machine, checkpoint_id)
        if machine.version_number < TRACKED_SINCE and self.lab.state.switches.untracked_conversion == "refused":
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} of version {machine.version} has no change tracking")
        pairs = list(checkpoint.rct_ids.items())
        if self.lab.state.switches.reference_point_order == "shuffled":
            self.lab.random.shuffle(pairs)
        point = ReferencePoint(
            reference_point_id=f"Microsoft:{str(uuid4()).upper()}",
            checkpoint_id=checkpoint.checkpoint_id,
            consistency=checkpoint.consistency,
            disk_ids=[disk_id for disk_id, _unused in pairs],
            rct_ids=[rct_id for _unused, rct_id in pairs],
        )
        machine.reference_points.append(point)
        self._release(machine, checkpoint)
        return point

    @behaviour("DestroySnapshot", "F", source="Bareos; the merge goes on afterwards")
    def destroy_snapshot(self, vm_id: str, *, checkpoint_id: str) -> None:
        """Remove a recovery checkpoint; tracking goes on from the older reference points."""
        machine = self.lab.machine(vm_id)
        self._release(machine, self._recovery(machine, checkpoint_id))

    @behaviour("Msvm_ReferencePointOfVirtualSystem", "S", source="xHVB; points of other products are among them")
    def get_reference_points(self, vm_id: str) -> list[ReferencePoint]:
        return list(self.lab.machine(vm_id).reference_points)

    @behaviour("DestroyReferencePoint", "D", source="W32 Msvm_VirtualSystemReferencePointService")
    def destroy_reference_point(self, vm_id: str, *, reference_point_id: str) -> None:
        """Forget a reference point; its change-tracking ids are unknown from then on."""
        machine = self.lab.machine(vm_id)
        point = next((p for p in machine.reference_points if p.reference_point_id == reference_point_id), None)
        if point is None:
            raise Refusal(Kind.CHECKPOINT_NOT_FOUND, f"{machine.name} has no reference point {reference_point_id}")
        machine.reference_points.remove(point)
        self._forget_epochs(machine, point.disk_ids)
        self.lab.commit()

    @behaviour("GetVirtualDiskChanges", "D", source="W32 GetVirtualDiskChanges; sdk-api QueryChangesVirtualDisk")
    def get_virtual_disk_changes(self, path: str, *, limit_id: str, byte_offset: int, byte_length: int) -> Ranges:
        """Return ProcessedByteLength, ChangedByteOffsets and ChangedByteLengths of a window of the virtual disk.

        Raises:
            Refusal: FILE_NOT_FOUND, TRACKING_LOST, INVALID_ARGUMENT for a window the disk does not have.
        """
        if not self.lab.volumes.exists(path):
            raise Refusal(Kind.FILE_NOT_FOUND, f"The system cannot find the file {path}", code=32779)
        machine, disk_id, until = self._tracked(path)
        size = self.lab.images.describe(path).geometry.virtual_size
        whole = byte_length == size and self.lab.state.switches.whole_disk_query == "refused"
        if byte_length <= 0 or byte_offset < 0 or byte_offset + byte_length > size or whole:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{byte_length} bytes at {byte_offset} are no window of {path}")
        known = {rct_id for point in machine.reference_points for rct_id in point.rct_ids}
        if limit_id not in known | {rct_id for c in machine.checkpoints for rct_id in c.rct_ids.values()}:
            raise lost(UNKNOWN_ID, f"The change tracking identifier {limit_id} is not valid")
        changes = self.lab.tracking.changes(machine.vm_id, disk_id, rct_id=limit_id, until=until, size=size)
        return self._window(changes, offset=byte_offset, length=byte_length)

    def _window(self, changes: list[Extent], *, offset: int, length: int) -> Ranges:
        switches = self.lab.state.switches
        if switches.processed_length == "short":
            length = min(length, max(MiB, length // 2))
        inside = [Extent(e.offset, min(e.end, offset + length) - e.offset) for e in after(changes, offset)]
        pairs = [extent for extent in inside if extent.length > 0]
        if switches.changed_pairs == "twice":
            pairs += [Extent(e.offset + e.length // 2, e.length - e.length // 2) for e in pairs[::2]]
        if switches.changed_pairs != "sorted":
            self.lab.random.shuffle(pairs)
        if not pairs and switches.no_changes == "null":
            return length, None, None
        return length, [pair.offset for pair in pairs], [pair.length for pair in pairs]

    def _tracked(self, path: str) -> tuple[Machine, str, str]:
        """Find machine, disk and the epoch that ends with the file."""
        for machine in self.lab.state.machines.values():
            for checkpoint in machine.checkpoints:
                for drive in checkpoint.settings.vhdx_drives():
                    if same_path(drive.path, path):
                        frozen = self.lab.state.switches.changed_until == "checkpoint"
                        return machine, drive.disk_id, checkpoint.rct_ids.get(drive.disk_id, "") if frozen else ""
            if machine.owns(path):
                return machine, str(self.lab.images.describe(path).geometry.disk_id), ""
        raise lost(NOT_INITIALIZED, f"Change tracking is not initialized for {path}")

    def _consistency(self, machine: Machine, wanted: str) -> str:
        """Return the consistency that is really possible. Raises Refusal WRONG_STATE or CHECKPOINT_FAILED."""
        switches, state = self.lab.state.switches, machine.state
        allowed = {"Off": switches.recovery_on_off, "Saved": switches.recovery_on_saved}
        if state != "Running" and allowed.get(state, switches.recovery_on_paused) == "refused":
            raise Refusal(Kind.WRONG_STATE, f"No recovery checkpoint of {machine.name} while it is {state}")
        if wanted != "Application":
            return "Crash"
        if state != "Running":
            if switches.off_consistency == "refused":
                raise Refusal(Kind.CHECKPOINT_FAILED, f"The guest of {machine.name} does not answer", code=0x8004230F)
            return "Crash"
        if self.lab.state.vss_failures:
            self.lab.state.vss_failures -= 1 if self.lab.state.vss_failures > 0 else 0
            self.lab.commit()
            raise Refusal(Kind.CHECKPOINT_FAILED, f"VSS in the guest of {machine.name} timed out")
        return "Application"

    def _recovery(self, machine: Machine, checkpoint_id: str) -> Checkpoint:
        checkpoint = machine.checkpoint(checkpoint_id.removeprefix("Microsoft:").upper())
        if checkpoint is None or checkpoint.kind != RECOVERY:
            raise Refusal(Kind.CHECKPOINT_NOT_FOUND, f"{machine.name} has no recovery checkpoint {checkpoint_id}")
        return checkpoint

    def _release(self, machine: Machine, checkpoint: Checkpoint) -> None:
        take_out(machine, checkpoint)
        self._forget_epochs(machine, list(checkpoint.rct_ids))
        machine.merge_after = self.lab.steady() + self.lab.state.switches.merge_delay_ms / 1000
        self.lab.commit()

    def _forget_epochs(self, machine: Machine, disk_ids: list[str]) -> None:
        wanted = {rct_id for point in machine.reference_points for rct_id in point.rct_ids}
        wanted |= {rct_id for checkpoint in machine.checkpoints for rct_id in checkpoint.rct_ids.values()}
        for disk_id in disk_ids:
            self.lab.tracking.keep_only(machine.vm_id, disk_id, wanted=wanted)
