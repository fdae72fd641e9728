# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start-VM, Stop-VM, Suspend-VM, Resume-VM."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.tests.lab.hyperv.disks import Disks
from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import behaviour
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Machine


class Power:
    """Power states: Off, Running, Paused, Saved. A running or paused machine holds its leaves."""

    def __init__(self, lab: Lab, disks: Disks) -> None:
        self.lab = lab
        self._disks = disks

    @behaviour("Start-VM", "D", source="PS Start-VM; refused with a broken chain, a leaf in use, too little memory")
    def start_vm(self, vm_id: str) -> None:
        machine = self.lab.machine(vm_id)
        if machine.state == "Running":
            return
        if machine.state == "Paused":
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} is paused")
        running = (m for m in self.lab.state.machines.values() if m.state in {"Running", "Paused"})
        free = self.lab.state.memory - sum(m.settings.memory_startup for m in running)
        if machine.settings.memory_startup > free:
            raise Refusal(Kind.OUT_OF_MEMORY, f"Not enough memory to start {machine.name}")
        self.lab.require_leaves_free(machine)
        self._disks.notice_offline_edits(machine)
        self.lab.images.hold(machine)
        machine.state = "Running"
        machine.leaf_guids = {}
        machine.merge_held_back = False  # Bareos issue 2820: it ends with a restart of the machine
        self.lab.commit()

    @behaviour("Stop-VM", "D", source="PS Stop-VM, -TurnOff, -Save")
    def stop_vm(self, vm_id: str, *, save: bool = False) -> None:
        machine = self.lab.machine(vm_id)
        if machine.state == "Off":
            return
        if save and machine.state != "Running":
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} cannot be saved while it is {machine.state}")
        self.lab.images.release(machine)
        machine.state = "Saved" if save else "Off"
        self._disks.note_leaves(machine)
        self.lab.commit()

    @behaviour("Suspend-VM", "D", source="PS Suspend-VM")
    def suspend_vm(self, vm_id: str) -> None:
        self._move(self.lab.machine(vm_id), source="Running", target="Paused")

    @behaviour("Resume-VM", "D", source="PS Resume-VM")
    def resume_vm(self, vm_id: str) -> None:
        self._move(self.lab.machine(vm_id), source="Paused", target="Running")

    def resume_after_restart(self) -> None:
        """Take up the machines that ran when the lab's process ended: their worker processes did not notice.

        One whose disks somebody took or broke meanwhile is off, as after a loss of its storage.
        """
        for machine in self.lab.state.machines.values():
            if machine.state in {"Running", "Paused"} and not machine.removed:
                try:
                    self.lab.images.hold(machine)
                except Refusal:
                    machine.state = "Off"
        self.lab.commit()

    def _move(self, machine: Machine, *, source: str, target: str) -> None:
        if machine.state != source:
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} is {machine.state}, not {source}")
        machine.state = target
        self.lab.commit()
