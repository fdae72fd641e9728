# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User checkpoints: Checkpoint-VM, Get-VMSnapshot, Rename-VMSnapshot, Restore-VMSnapshot, Remove-VMSnapshot."""

from __future__ import annotations

import copy

from ansible_collections.opendr.hyperv.tests.lab.hyperv.disks import Disks
from ansible_collections.opendr.hyperv.tests.lab.hyperv.freezing import freeze, put_leaves, take_out
from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import behaviour
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import RECOVERY, Checkpoint, Machine
from ansible_collections.opendr.hyperv.tests.lab.hyperv.tracking import INVALID_STATE
from ansible_collections.opendr.hyperv.tests.lab.hyperv.upkeep import Upkeep

STANDARD = "Standard"


class Snapshots:
    """The checkpoint tree as users and replicas see it."""

    def __init__(self, lab: Lab, disks: Disks, *, upkeep: Upkeep) -> None:
        self.lab = lab
        self._disks = disks
        self._upkeep = upkeep

    @behaviour("Checkpoint-VM", "D", source="PS Checkpoint-VM; refused while CheckpointType is Disabled")
    def checkpoint_vm(self, vm_id: str, *, snapshot_name: str) -> Checkpoint:
        """Raises Refusal CHECKPOINTS_DISABLED, BUSY, IN_USE, CHAIN_BROKEN, VOLUME_FULL."""
        machine = self.lab.machine(vm_id)
        if machine.checkpoint_type == "Disabled":
            raise Refusal(Kind.CHECKPOINTS_DISABLED, f"Checkpoints are disabled for {machine.name}")
        self.lab.require_no_backup(machine)
        if self.lab.state.switches.checkpoint_while_merging == "refused":
            self.lab.require_no_merge(machine)
        self.lab.require_leaves_free(machine)
        consistency = "Application" if machine.state == "Running" and machine.checkpoint_type != STANDARD else "Crash"
        return freeze(
            self.lab, self._disks, machine=machine, name=snapshot_name, kind=STANDARD, consistency=consistency
        )

    @behaviour("Get-VMSnapshot", "D", source="PS Get-VMSnapshot; SnapshotType tells recovery checkpoints")
    def get_vm_snapshot(self, vm_id: str) -> list[Checkpoint]:
        return list(self.lab.machine(vm_id).checkpoints)

    @behaviour("Rename-VMSnapshot", "D", source="PS Rename-VMSnapshot")
    def rename_vm_snapshot(self, vm_id: str, *, checkpoint_id: str, new_name: str) -> Checkpoint:
        machine = self.lab.machine(vm_id)
        checkpoint = self._find(machine, checkpoint_id)
        checkpoint.name = new_name
        self.lab.shadows.relabel(machine.vm_id, checkpoint.checkpoint_id, name=new_name)
        self.lab.commit()
        return checkpoint

    @behaviour("Restore-VMSnapshot", "D", source="PS Restore-VMSnapshot: the present leaf is discarded")
    def restore_vm_snapshot(self, vm_id: str, *, checkpoint_id: str) -> None:
        """Bring disks, hardware and notes back. Raises Refusal WRONG_STATE, BUSY, IN_USE, CHAIN_BROKEN."""
        machine = self.lab.machine(vm_id)
        checkpoint = self._find(machine, checkpoint_id)
        if machine.state != "Off":
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} cannot be restored while it is {machine.state}")
        self.lab.require_no_backup(machine)
        self.lab.require_no_merge(machine)
        self.lab.require_leaves_free(machine)
        settings = copy.deepcopy(checkpoint.settings)
        put_leaves(self.lab, machine, settings=settings)
        machine.settings = settings
        machine.current_parent = checkpoint.checkpoint_id
        machine.trash = []
        machine.thawing = checkpoint.checkpoint_id
        if self.lab.state.switches.applied_checkpoint == "lost":
            for drive in settings.vhdx_drives():
                self.lab.tracking.lose(machine.vm_id, drive.disk_id, code=INVALID_STATE)
        self._disks.note_leaves(machine)
        self.lab.commit()
        self.lab.thaw_shadows(machine)

    @behaviour("Remove-VMSnapshot", "D", source="PS Remove-VMSnapshot; its data is merged into its neighbour, in time")
    def remove_vm_snapshot(self, vm_id: str, *, checkpoint_id: str) -> None:
        """Take a checkpoint away; the merge begins later. Raises Refusal SNAPSHOT_NOT_FOUND, BUSY, IN_USE."""
        machine = self.lab.machine(vm_id)
        checkpoint = self._find(machine, checkpoint_id)
        if checkpoint.kind == RECOVERY:
            raise Refusal(Kind.WRONG_STATE, f"{checkpoint.name} is a recovery checkpoint")
        self.lab.require_no_backup(machine)
        self.lab.require_leaves_free(machine)
        take_out(machine, checkpoint)
        machine.merge_after = self.lab.steady() + self.lab.state.switches.merge_delay_ms / 1000
        self.lab.commit()
        if self.lab.state.switches.removal_returns == "merged":
            self._upkeep.settle(now=machine.merge_after)

    def _find(self, machine: Machine, checkpoint_id: str) -> Checkpoint:
        checkpoint = machine.checkpoint(checkpoint_id.removeprefix("Microsoft:").upper())
        if checkpoint is None:
            raise Refusal(Kind.SNAPSHOT_NOT_FOUND, f"{machine.name} has no checkpoint {checkpoint_id}")
        return checkpoint
