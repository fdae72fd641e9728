# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: Get-VM, New-VM, Rename-VM, Set-VM, Remove-VM."""

from __future__ import annotations

import ntpath
from uuid import uuid4

from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import behaviour
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Machine, Nic, same_path

CHECKPOINT_TYPES = ("Disabled", "Production", "ProductionOnly", "Standard")
NAME_LENGTH_MAX = 100
DEFAULT_ADAPTER = "Network Adapter"


class Machines:
    """Configurations as such; hardware, disks, power and checkpoints have their own parts."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @behaviour("Get-VM", "D", source="PS Get-VM; names are not unique")
    def get_vm(self, *, vm_id: str | None = None, name: str | None = None) -> list[Machine]:
        """Return one machine by id (Refusal when it is missing), those of a name, or all."""
        if vm_id is not None:
            return [self.lab.machine(vm_id)]
        machines = [machine for machine in self.lab.state.machines.values() if not machine.removed]
        return [m for m in machines if name is None or m.name.casefold() == name.casefold()]

    @behaviour("Get-VMHostSupportedVersion", "D", source="PS Get-VMHostSupportedVersion")
    def get_vm_host_supported_version(self) -> list[str]:
        return list(self.lab.state.versions)

    @behaviour("New-VM", "D", source="PS New-VM, default adapter: windsor; SA KB2928127: no volume root")
    def new_vm(self, *, name: str, generation: int, version: str, folder: str) -> Machine:
        """Create a machine without disks, with one unconnected adapter; the folder is made when it is missing."""
        if generation not in {1, 2} or not 0 < len(name) <= NAME_LENGTH_MAX:
            raise Refusal(Kind.INVALID_ARGUMENT, f"no machine can be called {name!r} and be of generation {generation}")
        if version not in self.lab.state.versions:
            raise Refusal(Kind.VERSION_NOT_SUPPORTED, f"This host does not support configuration version {version}")
        if len(ntpath.normpath(folder)) <= 3:
            raise Refusal(Kind.PATH_INVALID, f"A virtual machine cannot be stored in the root of a volume: {folder}")
        if any(same_path(machine.folder, folder) for machine in self.lab.state.machines.values()):
            raise Refusal(Kind.EXISTS, f"There is a virtual machine in {folder} already")
        self.lab.volumes.make_folder(folder)
        machine = Machine(str(uuid4()), name, generation, version, self.lab.volumes.windows(folder))
        nic_id = f"Microsoft:{machine.vm_id.upper()}\\{str(uuid4()).upper()}"
        machine.settings.nics = [Nic(nic_id, DEFAULT_ADAPTER, "000000000000")]
        machine.settings.boot_order = [f"Nic:{DEFAULT_ADAPTER}"]
        if generation == 1:
            machine.settings.scsi_controllers = 1
            machine.settings.boot_order = ["CD", "IDE", "LegacyNetworkAdapter", "Floppy"]
            machine.settings.secure_boot, machine.settings.secure_boot_template = False, ""
        self.lab.state.machines[machine.vm_id] = machine
        self.lab.commit()
        return machine

    @behaviour("Rename-VM", "D", source="PS Rename-VM; files keep their names")
    def rename_vm(self, vm_id: str, *, new_name: str) -> None:
        if not 0 < len(new_name) <= NAME_LENGTH_MAX:
            raise Refusal(Kind.INVALID_ARGUMENT, f"no machine can be called {new_name!r}")
        self.lab.machine(vm_id).name = new_name
        self.lab.commit()

    @behaviour("Set-VM -Notes", "D", source="PS Set-VM")
    def set_notes(self, vm_id: str, *, notes: str) -> None:
        self.lab.machine(vm_id).settings.notes = notes
        self.lab.commit()

    @behaviour("Set-VM -CheckpointType", "D", source="PS Set-VM")
    def set_checkpoint_type(self, vm_id: str, *, checkpoint_type: str) -> None:
        if checkpoint_type not in CHECKPOINT_TYPES:
            raise Refusal(Kind.INVALID_ARGUMENT, f"CheckpointType is one of {CHECKPOINT_TYPES}")
        self.lab.machine(vm_id).checkpoint_type = checkpoint_type
        self.lab.commit()

    @behaviour("Remove-VM", "D", source="PS Remove-VM: the configuration goes, checkpoints are merged, disk files stay")
    def remove_vm(self, vm_id: str) -> None:
        """Remove a machine that is off. It is gone at once; its files are in use until the merges are done."""
        machine = self.lab.machine(vm_id)
        if machine.state != "Off":
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} cannot be removed while it is {machine.state}")
        self.lab.require_no_backup(machine)
        self.lab.require_leaves_free(machine)
        machine.removed = True
        machine.merge_held_back = False
        machine.checkpoints.clear()
        machine.reference_points.clear()
        machine.merge_after = self.lab.steady() + self.lab.state.switches.merge_delay_ms / 1000
        for drive in machine.settings.vhdx_drives():
            self.lab.tracking.lose(machine.vm_id, drive.disk_id, code=0)
            self.lab.state.trackers.pop(f"{machine.vm_id}/{drive.disk_id}", None)
        self.lab.commit()
