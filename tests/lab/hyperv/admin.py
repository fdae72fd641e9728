# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator of the lab does: machines ready to be replicated, and states that a test wants to meet."""

from __future__ import annotations

import ntpath
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import LocalFile, open_leaf
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation, DiskGeometry
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.hardware import new_mac_address
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import has_to_merge
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import VHDX, Drive, Machine
from ansible_collections.opendr.hyperv.tests.lab.hyperv.tracking import INVALID_STATE


@dataclass(frozen=True, slots=True)
class NewDisk:
    """A disk to make and attach. ``image`` is a raw file with its first content; sizes are bytes."""

    size: int
    controller: str = "SCSI"
    number: int = 0
    location: int = 0
    block_size: int = 2 * MiB
    fixed: bool = False
    image: str | None = None
    kind: str = VHDX
    path: str | None = None
    disk_id: str | None = None


class Admin:
    """Makes and changes things at once, without the questions a cmdlet would ask."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._lab = host.lab
        self._held: dict[str, LocalFile] = {}

    def create_machine(
        self, name: str, *, folder: str, generation: int = 2, version: str = "", disks: list[NewDisk] | None = None
    ) -> Machine:
        """Create a machine that is off, with disks and one adapter; also of a version that this host cannot make."""
        with self._lab.lock:
            wanted = version or self._lab.state.default_version
            known = self._lab.state.versions
            machine = self._host.machines.new_vm(
                name=name, generation=generation, version=wanted if wanted in known else known[-1], folder=folder
            )
            machine.version = wanted
            machine.settings.nics[0].mac_address = new_mac_address(self._lab)
            for disk in disks or []:
                self.add_disk(machine.vm_id, disk)
            self._lab.commit()
            return machine

    def add_disk(self, vm_id: str, disk: NewDisk) -> Drive:
        """Make a disk file beside the machine's configuration and attach it."""
        with self._lab.lock:
            machine = self._lab.machine(vm_id)
            slot = {"controller": disk.controller, "number": disk.number, "location": disk.location}
            stem = f"{machine.name}-{disk.controller}-{disk.number}-{disk.location}-{uuid4().hex[:6]}"
            path = disk.path or f"{machine.folder}\\{stem}.vhdx"
            if disk.kind == VHDX:
                self._lab.images.create(path, _geometry(disk))
            attach = self._host.disks.add_vm_hard_disk_drive
            drive = attach(vm_id, **slot, path=path, kind=disk.kind)  # type: ignore[arg-type]
            if disk.kind == VHDX:
                self._lab.shadows.create(machine.vm_id, drive.disk_id, size=disk.size)
                if disk.image is not None:
                    self._host.guest.provision(machine, drive, image=Path(disk.image))
                self._host.disks.note_leaves(machine)
                self._lab.commit()
            return drive

    def edit_offline(self, vm_id: str, slot: str, *, offset: int, data: bytes) -> None:
        """Write into a leaf of a machine that is off, as somebody who mounts the file: nothing tracks it."""
        with self._lab.lock:
            machine = self._lab.machine(vm_id)
            self._lab.require_off(machine, "The disk")
            drive = next(each for each in machine.settings.vhdx_drives() if each.slot == slot)
            chain = self._lab.images.open(machine.chain(drive.path), writable=True)
            try:
                chain.write(offset, data)
                chain.flush()
            finally:
                chain.close()
            if self._lab.shadows.live(machine.vm_id, drive.disk_id).exists():
                self._lab.shadows.write(machine.vm_id, drive.disk_id, offset=offset, data=data)

    def reopen(self, vm_id: str, slot: str) -> None:
        """Let somebody open a leaf for writing and write nothing: another FileWriteGuid, the same DataWriteGuid."""
        with self._lab.lock:
            machine = self._lab.machine(vm_id)
            drive = next(each for each in machine.settings.vhdx_drives() if each.slot == slot)
            chain = self._lab.images.open(machine.chain(drive.path), writable=True)
            try:
                chain.prepare(chain.leaf.data_write_guid)
            finally:
                chain.close()

    def move_storage(self, vm_id: str, folder: str) -> None:
        """Move all disk files of a machine that is off, as Move-VMStorage does."""
        with self._lab.lock:
            machine = self._lab.machine(vm_id)
            self._lab.require_off(machine, "The storage")
            self._lab.volumes.make_folder(folder)
            moved = {path: ntpath.join(folder, ntpath.basename(path)) for path in machine.files}
            for old, new in moved.items():
                self._lab.volumes.local(old).rename(self._lab.volumes.local(new))
            machine.files = {moved[path]: moved.get(parent, "") for path, parent in machine.files.items()}
            for settings in (machine.settings, *(each.settings for each in machine.checkpoints)):
                for drive in settings.vhdx_drives():
                    drive.path = moved[drive.path]
            self._host.disks.note_leaves(machine)
            self._lab.commit()

    def lose_tracking(self, vm_id: str, *, code: int = INVALID_STATE) -> None:
        """Let the host forget what it tracked for all disks of a machine; ``code`` is what queries answer."""
        with self._lab.lock:
            machine = self._lab.machine(vm_id)
            for drive in machine.settings.vhdx_drives():
                self._lab.tracking.lose(machine.vm_id, drive.disk_id, code=code)
            self._lab.commit()

    def hold_back_merging(self, vm_id: str, *, held: bool = True) -> None:
        """Keep a machine's files from being merged, as ExportSystemDefinition without storage does, or let them be."""
        with self._lab.lock:
            self._lab.machine(vm_id).merge_held_back = held
            self._lab.commit()

    def hold_file(self, path: str) -> None:
        """Hold a file alone, as an antivirus program does, until it is released."""
        self._held[path] = open_leaf(self.local_path(path))

    def release_file(self, path: str) -> None:
        """Let go of a file that ``hold_file`` holds."""
        self._held.pop(path).close()

    def set_switches(self, values: dict[str, object]) -> None:
        """Choose answers of the host. Raises Refusal INVALID_ARGUMENT for an unknown switch or value."""
        with self._lab.lock:
            try:
                self._lab.state.switches = self._lab.state.switches.changed(values)
            except ValueError as error:
                raise Refusal(Kind.INVALID_ARGUMENT, str(error)) from error
            self._lab.commit()

    def fail_vss(self, *, count: int) -> None:
        """Let the next ``count`` application-consistent checkpoints fail; -1: all of them, 0: none."""
        with self._lab.lock:
            self._lab.state.vss_failures = count
            self._lab.commit()

    def limit_volume(self, letter: str, *, size: int) -> None:
        """Set the size of a volume; the host's own writes and what it tells keep to it, movers do not."""
        with self._lab.lock:
            self._lab.volumes.limit(letter, size=size)
            self._lab.commit()

    def mount_volume(self, letter: str, *, size: int) -> None:
        """Give an empty volume a file system of that size (root only): movers meet the limit as well."""
        with self._lab.lock:
            self._lab.volumes.mount(letter, size=size)
            self._lab.commit()

    def unmount_volumes(self) -> None:
        """Take the mounted volumes away, with everything on them. The machines on them should be gone."""
        with self._lab.lock:
            self._lab.volumes.unmount()
            self._lab.commit()

    def fill_volume(self, letter: str, *, free: int) -> None:
        """Leave ``free`` bytes on a volume; a large number empties it again."""
        with self._lab.lock:
            self._lab.volumes.fill(letter, free=free)
            self._lab.commit()

    def set_replica_roots(self, roots: list[str]) -> None:
        """Set the folders that may hold replicas."""
        with self._lab.lock:
            self._lab.state.replica_roots = list(roots)
            self._lab.commit()

    def set_clock(self, *, offset: float) -> None:
        """Let the host's clock be wrong by so many seconds from now on."""
        with self._lab.lock:
            self._lab.state.clock_offset = offset
            self._lab.commit()

    def set_memory(self, size: int) -> None:
        """Set the memory of the host, in bytes."""
        with self._lab.lock:
            self._lab.state.memory = size
            self._lab.commit()

    def settle(self) -> bool:
        """Do all merges now, due or not; return whether everything is merged."""
        with self._lab.lock:
            for machine in self._lab.state.machines.values():
                machine.merge_after = 0.0
            self._host.upkeep.settle(now=self._lab.steady())
            return not any(has_to_merge(machine) for machine in self._lab.state.machines.values())

    def shadow_of(self, checkpoint: str) -> dict[str, Path]:
        """Return local raw files by disk id: the source at the moment of a checkpoint (id or name), also a gone one."""
        return self._lab.shadows.of_checkpoint(checkpoint.removeprefix("Microsoft:"))

    def local_path(self, path: str) -> str:
        """Return where a Windows path lies on the machine that runs the lab; for tests and movers only."""
        return str(self._lab.volumes.local(path))


def _geometry(disk: NewDisk) -> DiskGeometry:
    return DiskGeometry(
        disk_id=UUID(disk.disk_id) if disk.disk_id else uuid4(),
        virtual_size=disk.size,
        block_size=disk.block_size,
        logical_sector_size=512,
        physical_sector_size=4096,
        allocation=Allocation.FIXED if disk.fixed else Allocation.DYNAMIC,
    )
