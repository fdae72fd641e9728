# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with a job of its own, and the lines by which a test knows how far its session is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import Control
from ansible_collections.opendr.hyperv.tests.lab.inventory import write_inventory
from ansible_collections.opendr.hyperv.tests.lab.relay import SlowRelay
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, REPLICAS, SOURCE, TARGET, ProcessSite

SLOW, FAST = 256 * KiB, 1000 * MiB  # bytes per second: a job of ``make_job`` takes most of a minute, or no time


@dataclass
class Job:
    """A running machine on the source, and the options of the job that replicates it."""

    site: ProcessSite
    name: str
    vm_id: str
    state_dir: Path

    @property
    def options(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": "started",
            "vms": [self.name],
            "source_host": SOURCE,
            "target_host": TARGET,
            "target_path": REPLICAS,
            "state_dir": str(self.state_dir),
            "block_size": "256KiB",
            "poll_interval": 1,
        }

    def newest_session(self) -> str:
        """Return the id of the newest session."""
        return max((self.state_dir / "sessions").iterdir(), key=lambda path: path.stat().st_mtime).name

    def status(self, session_id: str) -> dict[str, Any]:
        """Return the status that the worker writes."""
        path = self.state_dir / "sessions" / session_id / "status.json"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


def make_job(site: ProcessSite, state_dir: Path, *, size: int = 12 * MiB) -> Job:
    """Make a machine of a new name with one disk of random data, and start it."""
    name = f"vm-{uuid4().hex[:6]}"
    image = state_dir.parent / f"{name}.raw"
    image.write_bytes(os.urandom(size))
    disks: list[dict[str, object]] = [{"size": size, "image": str(image)}]
    vm_id = site.source.create_machine(name, folder=f"{FOLDER}\\{name}", disks=disks)
    site.source.call("Start-VM", vm_id=vm_id)
    image.unlink()
    return Job(site, name, vm_id, state_dir)


@dataclass
class SlowControl:
    """A controller whose inventory leads to the target mover over a slow line, until that is opened up."""

    control: Control
    line: SlowRelay

    def open_up(self) -> None:
        self.line.set_rate(FAST)


@contextmanager
def slow_control(
    site: ProcessSite, folder: Path, *, rate: float = SLOW, source: Mapping[str, Any] | None = None
) -> Iterator[SlowControl]:
    """``rate`` is bytes per second, ``source`` more variables of the source host."""
    with SlowRelay(site.movers[TARGET].port, rate=rate) as line:
        changes = {TARGET: {"opendr_mover_port": line.port}, SOURCE: source or {}}
        inventory = write_inventory(site, folder / "slow.yml", changes=changes)
        yield SlowControl(Control(folder, inventory), line)


def count_down(count: int, when: Callable[[str], bool], then: Callable[[], object]) -> Callable[[str], None]:
    """Do something at the ``count``-th line that fits."""
    seen: list[str] = []

    def look(line: str) -> None:
        if when(line):
            seen.append(line)
            if len(seen) == count:
                then()

    return look
