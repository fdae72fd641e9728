# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host does by itself: merges that come late, and the clean-up after its process was killed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.disks import Disks
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab, has_to_merge, is_merging
from ansible_collections.opendr.hyperv.tests.lab.hyperv.merging import Delete, next_step, rename
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Machine, Merge

TICK_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 0.2
HELD_BACK: Final = "Background disk merge is disabled for the virtual machine"


class Upkeep:
    """Merges one file at a time; each step is written down before it is done, and can be done again."""

    def __init__(self, lab: Lab, disks: Disks) -> None:
        self.lab = lab
        self._disks = disks
        self.scheduled_tasks: list[Callable[[], None]] = []  # called often, under the lab's lock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hyperv-lab-merges", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def recover(self) -> None:
        """Finish what a kill has interrupted, or undo it. A merge that cannot go on now does so later."""
        for machine in list(self.lab.state.machines.values()):
            for path in machine.trash:
                if not machine.owns(path):
                    self.lab.volumes.remove_file(path)
            machine.trash = []
            machine.merge_held_back = False  # Bareos issue 2820: it ends with the management service
            self.lab.thaw_shadows(machine)
            if machine.merge is not None:
                self._step(machine)
        self.lab.commit()

    def settle(self, *, now: float) -> None:
        """Do every merge that is due at ``now``; one that cannot be done yet is tried again later."""
        with self.lab.lock:
            for machine in list(self.lab.state.machines.values()):
                while machine.merge_after <= now and self._step(machine):
                    pass
                if machine.removed and not has_to_merge(machine):
                    del self.lab.state.machines[machine.vm_id]
                    self.lab.commit()

    def operations(self, machine: Machine) -> list[str]:
        """Return the operational status words that are not Ok."""
        return ["MergingDisks"] if is_merging(machine) else []

    def problem(self, machine: Machine) -> str:
        """Return why merging does not go on: what the event log of a host says (19100); empty when it does."""
        if not has_to_merge(machine):
            return ""
        return HELD_BACK if machine.merge_held_back else machine.merge_problem

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            self.settle(now=self.lab.steady())
            with self.lab.lock:
                for task in self.scheduled_tasks:
                    task()

    def _step(self, machine: Machine) -> bool:
        step = machine.merge or next_step(machine)
        if step is None or machine.merge_held_back:
            return False
        try:
            if isinstance(step, Delete):
                self._delete(machine, step.path)
            else:
                self._merge(machine, step)
        except Refusal as refusal:  # a host says so in its event log (19100) and tries again
            machine.merge_problem = f"{refusal.message} (0x{refusal.code:08X})"
            machine.merge_after = self.lab.steady() + RETRY_SECONDS
            return False
        machine.merge_problem = ""
        return True

    def _delete(self, machine: Machine, path: str) -> None:
        if self.lab.volumes.is_locked(path):
            raise Refusal(Kind.IN_USE, f"{path} is being used by another process")
        machine.files.pop(path)
        self._throw_away(machine, path)

    def _merge(self, machine: Machine, step: Merge) -> None:
        children = [path for path, parent in machine.files.items() if parent == step.child]
        with self._disks.offline_edits_allowed(machine), self.lab.images.paused(machine):
            for path in (step.child, step.parent, *children):
                if self.lab.volumes.is_locked(path):
                    raise Refusal(Kind.IN_USE, f"{path} is being used by another process")
            machine.merge = step
            self.lab.commit()
            self.lab.images.merge(machine.chain(step.child))
            for path in children:
                self.lab.images.relink(path, step.parent)
            rename(machine, old=step.child, new=step.parent)
            machine.merge = None
            machine.trash = [step.child]
            self.lab.commit()
        self._throw_away(machine, step.child)

    def _throw_away(self, machine: Machine, path: str) -> None:
        machine.trash = [path]
        self.lab.commit()
        self.lab.volumes.remove_file(path)
        machine.trash = []
        self.lab.commit()
