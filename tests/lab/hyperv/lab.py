# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of the modelled host share: state, files, tracking, shadows, one lock."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.tests.lab.hyperv.images import Images
from ansible_collections.opendr.hyperv.tests.lab.hyperv.merging import next_step
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.shadows import Shadows
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Machine, State, VirtualSwitch
from ansible_collections.opendr.hyperv.tests.lab.hyperv.store import Store
from ansible_collections.opendr.hyperv.tests.lab.hyperv.tracking import Tracking
from ansible_collections.opendr.hyperv.tests.lab.hyperv.volumes import Volumes

DEFAULT_SWITCH = VirtualSwitch("c08cb7b8-9b3c-408e-8e30-5e16a3aeb444", "Default Switch", "Internal")


class Lab:
    """One folder holds one host. Whoever touches the state holds ``lock``."""

    def __init__(self, folder: Path, *, name: str, now: Callable[[], float]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._now = now
        self._claim = claim(folder / "claim")
        self.lock = threading.RLock()
        self.random = random.Random(name)
        self._store = Store(folder)
        loaded = self._store.load()
        self.state = loaded or State(name=name, networks=[DEFAULT_SWITCH])
        self.volumes = Volumes(folder / "volumes", self.state.volumes)
        self.images = Images(self.volumes)
        self.tracking = Tracking(folder / "tracking", self.state)
        self.shadows = Shadows(folder / "shadows")
        if loaded:
            self.tracking.coarsen(self.state.switches.restart_grain)
        self.commit()

    def now(self) -> float:
        """Return the time by the host's clock, which may be wrong and jump."""
        return self._now() + self.state.clock_offset

    def steady(self) -> float:
        """Return a time that goes on evenly, whatever the clock says: what the host itself waits by."""
        return self._now()

    def close(self) -> None:
        """Let another process have the folder."""
        self._claim.close()

    def commit(self) -> None:
        """Save the state; what was promised to a caller is on disk from here on."""
        self._store.save(self.state)

    def thaw_shadows(self, machine: Machine) -> None:
        """Bring the shadows back to the checkpoint that was applied; repeated after a kill."""
        if machine.thawing:
            disk_ids = [drive.disk_id for drive in machine.settings.vhdx_drives()]
            self.shadows.thaw(machine.vm_id, machine.thawing, disk_ids=disk_ids)
            machine.thawing = ""
            self.commit()

    def machine(self, vm_id: str | UUID) -> Machine:
        """Return a machine. Raises Refusal VM_NOT_FOUND."""
        machine = self.state.machines.get(str(vm_id).lower())
        if machine is None or machine.removed:
            raise Refusal(Kind.VM_NOT_FOUND, f"Hyper-V was unable to find a virtual machine with id {vm_id}")
        return machine

    def require_off(self, machine: Machine, what: str) -> None:
        if machine.state != "Off":
            raise Refusal(Kind.WRONG_STATE, f"{what} of {machine.name} cannot be changed while it is {machine.state}")

    def require_no_backup(self, machine: Machine) -> None:
        """Raises Refusal BUSY while a recovery checkpoint exists, whoever made it."""
        if machine.recovery_checkpoints():
            raise Refusal(Kind.BUSY, f"{machine.name} is currently being backed up")

    def require_no_merge(self, machine: Machine) -> None:
        if is_merging(machine):
            raise Refusal(Kind.BUSY, f"Disks of {machine.name} are being merged")

    def require_leaves_free(self, machine: Machine) -> None:
        """Raises Refusal IN_USE when somebody else (a mover) holds a leaf. A running machine holds its own."""
        for drive in machine.settings.vhdx_drives():
            if not self.images.runs(machine) and self.volumes.is_locked(drive.path):
                raise Refusal(Kind.IN_USE, f"The file {drive.path} is being used by another process")


def claim(path: Path) -> files.LocalFile:
    """Hold a file, so that one process at a time has the folder. Raises StateError, reason ``leaf_locked``."""
    path.touch()
    return files.open_leaf(str(path))


def is_merging(machine: Machine) -> bool:
    """Tell whether files of the machine are being merged, or will be in time."""
    return not machine.merge_held_back and has_to_merge(machine)


def has_to_merge(machine: Machine) -> bool:
    """Tell whether files of the machine are not yet as its checkpoints want them."""
    return machine.merge is not None or next_step(machine) is not None
