# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modelled host: its parts, what they can do by name, and what only the lab can ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.checkpoints import Checkpoints
from ansible_collections.opendr.hyperv.tests.lab.hyperv.disks import Disks
from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import Behaviour, behaviours
from ansible_collections.opendr.hyperv.tests.lab.hyperv.guest import Guest
from ansible_collections.opendr.hyperv.tests.lab.hyperv.hardware import HardwareSettings
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.machines import Machines
from ansible_collections.opendr.hyperv.tests.lab.hyperv.power import Power
from ansible_collections.opendr.hyperv.tests.lab.hyperv.snapshots import Snapshots
from ansible_collections.opendr.hyperv.tests.lab.hyperv.upkeep import Upkeep

PARTS: Final = (Machines, HardwareSettings, Disks, Power, Checkpoints, Snapshots)


class ModelHost:
    """One Hyper-V host in a folder. ``start`` takes up what an earlier process left; ``stop`` lets go of it."""

    def __init__(self, folder: Path, *, name: str = "hv", now: Callable[[], float] = time.time) -> None:
        self.lab = Lab(folder, name=name, now=now)
        self.machines = Machines(self.lab)
        self.hardware = HardwareSettings(self.lab)
        self.disks = Disks(self.lab)
        self.power = Power(self.lab, self.disks)
        self.checkpoints = Checkpoints(self.lab, self.disks)
        self.upkeep = Upkeep(self.lab, self.disks)
        self.snapshots = Snapshots(self.lab, self.disks, upkeep=self.upkeep)
        self.guest = Guest(self.lab)
        self.upkeep.recover()
        self.power.resume_after_restart()
        self.guest.redo_pending()

    def start(self) -> None:
        """Let merges happen by themselves."""
        self.upkeep.start()

    def stop(self) -> None:
        """Stop merging and let go of all files; running machines stay Running in the state."""
        self.upkeep.stop()
        with self.lab.lock:
            for machine in self.lab.state.machines.values():
                self.lab.images.release(machine)
            self.lab.close()

    def calls(self) -> Mapping[str, Callable[..., Any]]:
        """Return every modelled cmdlet and WMI method by its name: what another front calls."""
        parts = (self.machines, self.hardware, self.disks, self.power, self.checkpoints, self.snapshots)
        return {found.name: call for part in parts for found, call in behaviours(part)}


def graded() -> list[Behaviour]:
    """Return every modelled behaviour with its grade and source."""
    return [found for part in PARTS for found, _unused in behaviours(part)]
