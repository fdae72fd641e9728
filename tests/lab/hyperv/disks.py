# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a machine and files of the host: attaching, Get-VHD, Test-VHD, volumes, deletion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import behaviour
from ansible_collections.opendr.hyperv.tests.lab.hyperv.hardware import forget_missing_boot_devices
from ansible_collections.opendr.hyperv.tests.lab.hyperv.images import Described
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import VHDX, Drive, Machine, same_path
from ansible_collections.opendr.hyperv.tests.lab.hyperv.tracking import CHANGED_OFFLINE

SCSI_CONTROLLERS_MAX: Final = 4
LOCATIONS: Final = {"IDE": 2, "SCSI": 64}  # per controller


class Disks:
    """Attached disks and their files."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @behaviour("Get-VMHardDiskDrive", "D", source="PS Get-VMHardDiskDrive; Path is the leaf")
    def get_vm_hard_disk_drive(self, vm_id: str) -> list[Drive]:
        return list(self.lab.machine(vm_id).settings.drives)

    @behaviour("Add-VMHardDiskDrive", "D", source="PS Add-VMHardDiskDrive, Add-VMScsiController; IDE only while off")
    def add_vm_hard_disk_drive(
        self, vm_id: str, *, controller: str, number: int, location: int, path: str, kind: str = VHDX
    ) -> Drive:
        """Attach a disk, adding SCSI controllers as needed; another ``kind`` than VHDX cannot be replicated."""
        machine = self.lab.machine(vm_id)
        drive = Drive(controller, number, location, path, kind)
        self._check_slot(machine, drive)
        if kind == VHDX:
            self._adopt(machine, drive)
        settings = machine.settings
        if controller == "SCSI":
            settings.scsi_controllers = max(settings.scsi_controllers, number + 1)
        with self.lab.images.paused(machine):
            settings.drives.append(drive)
        settings.drives.sort(key=lambda each: (each.controller, each.number, each.location))
        if machine.generation == 2:
            settings.boot_order.append(drive.slot)
        self.note_leaves(machine)
        self.lab.commit()
        return drive

    @behaviour("Remove-VMHardDiskDrive", "D", source="PS Remove-VMHardDiskDrive; the file stays, IDE only while off")
    def remove_vm_hard_disk_drive(self, vm_id: str, *, controller: str, number: int, location: int) -> None:
        machine = self.lab.machine(vm_id)
        slot = f"{controller} {number}:{location}"
        drive = next((each for each in machine.settings.drives if each.slot == slot), None)
        if drive is None:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} has no disk at {slot}")
        if controller == "IDE":
            self.lab.require_off(machine, "A disk at an IDE controller")
        with self.lab.images.paused(machine):
            machine.settings.drives.remove(drive)
            self._let_go(machine, drive)
        forget_missing_boot_devices(machine)
        self.lab.commit()

    @behaviour("Get-VHD", "D", source="PS Get-VHD")
    def get_vhd(self, path: str) -> list[Described]:
        """Describe a file and its parents, leaf first. Raises Refusal FILE_NOT_FOUND, CHAIN_BROKEN."""
        return [self.lab.images.describe(each) for each in self.lab.images.walk(path)]

    @behaviour("Test-VHD", "D", source="PS Test-VHD")
    def test_vhd(self, path: str) -> bool:
        try:
            self.lab.images.walk(path)
        except Refusal as refusal:
            if refusal.kind is not Kind.CHAIN_BROKEN:
                raise
            return False
        return True

    @behaviour(
        "GetVolumePathName", "D", source="sdk-api GetVolumePathNameW; the lab mounts volumes at drive letters only"
    )
    def get_volume_path_name(self, path: str) -> str:
        """Return where the volume of a path is mounted, whether the path exists or not."""
        return self.lab.volumes.mount_point(path)

    @behaviour("GetDiskFreeSpaceEx", "D", source="sdk-api GetDiskFreeSpaceExW")
    def get_disk_free_space(self, path: str) -> tuple[int, int]:
        """Return size and free bytes."""
        return self.lab.volumes.space(path)

    @behaviour("Remove-Item", "D", source="PS Remove-Item; a file that a virtual machine uses is locked")
    def remove_item(self, path: str) -> None:
        """Delete one file; missing is success. Raises Refusal IN_USE."""
        machines = self.lab.state.machines.values()
        used = any(same_path(path, each) for machine in machines for each in needed_files(machine))
        if used or self.lab.volumes.is_locked(path):
            raise Refusal(Kind.IN_USE, f"The process cannot access {path} because it is being used by another process")
        for machine in machines:  # a base that nothing names any more was only remembered
            machine.files = {each: parent for each, parent in machine.files.items() if not same_path(each, path)}
        self.lab.commit()
        self.lab.volumes.remove_file(path)

    def note_leaves(self, machine: Machine) -> None:
        """Remember the content of the leaves of a machine that is off, to notice if somebody edits them."""
        machine.leaf_guids = {
            drive.path: self.lab.images.describe(drive.path).data_write_guid
            for drive in machine.settings.vhdx_drives()
            if machine.state == "Off" and self.lab.volumes.exists(drive.path)
        }

    def notice_offline_edits(self, machine: Machine) -> None:
        """Lose the tracking of disks that were changed while the machine was off. Source: winerror.h 0xC03A0022."""
        for drive in machine.settings.vhdx_drives():
            noted = machine.leaf_guids.get(drive.path)
            if noted and self.lab.images.describe(drive.path).data_write_guid != noted:
                self.lab.tracking.lose(machine.vm_id, drive.disk_id, code=CHANGED_OFFLINE)
        self.note_leaves(machine)

    @contextmanager
    def offline_edits_allowed(self, machine: Machine) -> Iterator[None]:
        """Notice foreign edits of the leaves, then do something that changes them rightfully."""
        self.notice_offline_edits(machine)
        yield
        self.note_leaves(machine)

    def _check_slot(self, machine: Machine, drive: Drive) -> None:
        limit = SCSI_CONTROLLERS_MAX if drive.controller == "SCSI" else 2
        if drive.controller not in LOCATIONS or (drive.controller == "IDE" and machine.generation == 2):
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} has no {drive.controller} controllers")
        if not (0 <= drive.number < limit and 0 <= drive.location < LOCATIONS[drive.controller]):
            raise Refusal(Kind.INVALID_ARGUMENT, f"{drive.slot} is no place for a disk")
        if drive.controller == "IDE" or drive.number >= machine.settings.scsi_controllers:
            self.lab.require_off(machine, "A controller or a disk at IDE")
        if any(each.slot == drive.slot for each in machine.settings.drives):
            raise Refusal(Kind.SLOT_IN_USE, f"{machine.name} has a disk at {drive.slot} already")

    def _adopt(self, machine: Machine, drive: Drive) -> None:
        """Check a file and its parents and take them into the machine's tree."""
        if not self.lab.volumes.exists(drive.path):
            raise Refusal(Kind.FILE_NOT_FOUND, f"The system cannot find the file {drive.path}")
        drive.path = self.lab.volumes.windows(drive.path)
        if self.lab.volumes.is_locked(drive.path):
            raise Refusal(Kind.IN_USE, f"The file {drive.path} is being used by another process")
        for other in self.lab.state.machines.values():
            if any(same_path(drive.path, each.path) for each in other.settings.drives):
                raise Refusal(Kind.IN_USE, f"The file {drive.path} is attached to {other.name}")
        chain = self.lab.images.walk(drive.path)
        drive.disk_id = str(self.lab.images.describe(drive.path).geometry.disk_id)
        machine.files.update(zip(chain, [*chain[1:], ""], strict=True))

    def _let_go(self, machine: Machine, drive: Drive) -> None:
        """Take the files that nothing else of the machine names out of its tree: they are the user's again."""
        needed = needed_files(machine)
        for path in machine.chain(drive.path) if drive.path in machine.files else []:
            if path not in needed:
                machine.files.pop(path)


def needed_files(machine: Machine) -> set[str]:
    """Return the files of the present state, of each checkpoint, and of a merge that goes on."""
    pinned = {each.path for each in machine.settings.vhdx_drives()}
    pinned |= {each.path for c in machine.checkpoints for each in c.settings.vhdx_drives()}
    pinned |= {machine.merge.child} if machine.merge else set()
    return {file for path in pinned for file in machine.chain(path)}
