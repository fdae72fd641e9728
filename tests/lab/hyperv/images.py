# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual disk files: New-VHD, Get-VHD, Test-VHD, Merge-VHD, and the chains that running machines hold open."""

from __future__ import annotations

import ntpath
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import (
    create_child,
    create_image,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import (
    ABSOLUTE,
    RELATIVE,
    ParentPaths,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.merge import merge_child, relink
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import DiskGeometry
from ansible_collections.opendr.hyperv.tests.lab.hyperv import disk_files
from ansible_collections.opendr.hyperv.tests.lab.hyperv.disk_files import DiskFile, told_as
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Machine
from ansible_collections.opendr.hyperv.tests.lab.hyperv.volumes import Volumes

DEPTH_MAX = 64
HOLD_SECONDS = 5.0
_CHECKPOINT_SUFFIX = re.compile(r"_[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Described:
    """What Get-VHD tells of one file. ``parent`` is a Windows path, empty for a base."""

    path: str
    geometry: DiskGeometry
    parent: str
    data_write_guid: str
    file_size: int


class Images:
    """Opens, makes and merges files; knows which machines hold which chains."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._running: dict[str, dict[str, Chain]] = {}

    def create(self, path: str, geometry: DiskGeometry) -> None:
        with self._creating(path) as file:
            create_image(file, geometry, new_id=uuid4)

    def create_child(self, path: str, parent: str) -> None:
        """Make an empty differencing file on top of ``parent``."""
        with self._creating(path) as file, self._reading(parent) as below:
            create_child(file, Image.open(below), locator=parent_paths(path, parent), new_id=uuid4)

    def describe(self, path: str) -> Described:
        """Read one file. Raises Refusal FILE_NOT_FOUND or CHAIN_BROKEN."""
        with self._reading(path) as file:
            image = Image.open(file)
            pairs = image.parent_locator.pairs if image.parent_locator else {}
            parent = ntpath.normpath(ntpath.join(ntpath.dirname(path), pairs[RELATIVE])) if RELATIVE in pairs else ""
            if pairs and (not parent or not self._volumes.exists(parent)):
                parent = pairs.get(ABSOLUTE, parent)
            return Described(path, image.geometry, parent, str(image.data_write_guid), file.size())

    def geometry(self, paths: Sequence[str]) -> DiskGeometry:
        """Return what a copy of a chain takes over: block size and kind are those of the base."""
        chain = self.open(paths)
        try:
            return chain.geometry
        finally:
            chain.close()

    def walk(self, path: str) -> list[str]:
        """Follow the parent locators; leaf first. Raises Refusal CHAIN_BROKEN when a parent is missing or wrong."""
        chain = [self._volumes.windows(path)]
        while parent := self.describe(chain[-1]).parent:
            if not self._volumes.exists(parent):
                raise Refusal(Kind.CHAIN_BROKEN, f"The parent {parent} of {chain[-1]} is missing", code=0xC03A000D)
            chain.append(self._volumes.windows(parent))
            if len(chain) > DEPTH_MAX:
                raise Refusal(Kind.CHAIN_BROKEN, f"The chain of {path} does not end", code=0xC03A0018)
        self.open(chain).close()
        return chain

    def open(self, paths: Sequence[str], *, writable: bool = False) -> Chain:
        """Open a chain, leaf first. Raises Refusal."""
        opened: list[DiskFile] = []
        try:
            for index, path in enumerate(paths):
                opener = disk_files.open_leaf if writable and not index else disk_files.open_for_reading
                opened.append(opener(path, volumes=self._volumes))
            with told_as(paths[0]):
                return Chain.open(opened, writable=writable, new_id=uuid4)
        except BaseException:
            for file in opened:
                file.close()
            raise

    def merge(self, chain: Sequence[str]) -> None:
        """Write what the first file of a chain stores into the second. Raises Refusal IN_USE, VOLUME_FULL."""
        opened: list[DiskFile] = []
        try:
            opened += [disk_files.open_leaf(path, volumes=self._volumes) for path in chain[:2]]
            opened += [disk_files.open_for_reading(path, volumes=self._volumes) for path in chain[2:]]
            self._volumes.require(chain[1], opened[0].size())
            with told_as(chain[0]):
                merge_child(opened[0], opened[1], grandparents=opened[2:], new_id=uuid4)
        finally:
            for file in opened:
                file.close()

    def relink(self, child: str, parent: str) -> None:
        """Put a file on top of ``parent`` as it is now."""
        file = disk_files.open_leaf(child, volumes=self._volumes)
        try:
            with told_as(child), self._reading(parent) as below:
                relink(file, Image.open(below), locator=parent_paths(child, parent), new_id=uuid4)
        finally:
            file.close()

    def runs(self, machine: Machine) -> bool:
        """Tell whether the machine holds its leaves."""
        return machine.vm_id in self._running

    def hold(self, machine: Machine) -> None:
        """Open the disks of a machine that runs. Raises Refusal, and then holds none."""
        chains: dict[str, Chain] = {}
        self._running[machine.vm_id] = chains
        try:
            for drive in machine.settings.vhdx_drives():
                chains[drive.path] = self.open(machine.chain(drive.path), writable=True)
        except BaseException:
            self.release(machine)
            raise

    def release(self, machine: Machine) -> None:
        """Close the disks of a machine; doing it again does nothing."""
        for chain in self._running.pop(machine.vm_id, {}).values():
            chain.close()

    def held(self, machine: Machine, path: str) -> Chain:
        """Return an open disk of a machine that runs. Raises Refusal FAILED when it could not be opened again."""
        if path not in self._running.get(machine.vm_id, {}):
            raise Refusal(Kind.FAILED, f"{machine.name} has lost its disk {path}")
        return self._running[machine.vm_id][path]

    @contextmanager
    def paused(self, machine: Machine) -> Iterator[None]:
        """Let go of the disks of a running machine for a moment, while its chain is changed."""
        ran = self.runs(machine)
        self.release(machine)
        try:
            yield
        finally:
            if ran:
                self._hold_again(machine)

    def _hold_again(self, machine: Machine) -> None:
        """Hold the disks again; whoever looked whether they are locked meanwhile is gone in a moment."""
        deadline = time.monotonic() + HOLD_SECONDS
        while True:
            try:
                return self.hold(machine)
            except Refusal as refusal:
                if refusal.kind is not Kind.IN_USE or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    @contextmanager
    def _creating(self, path: str) -> Iterator[DiskFile]:
        file = disk_files.create(path, volumes=self._volumes)
        try:
            with told_as(path):
                yield file
        except BaseException:
            file.close()
            self._volumes.remove_file(path)
            raise
        file.close()

    @contextmanager
    def _reading(self, path: str) -> Iterator[DiskFile]:
        file = disk_files.open_for_reading(path, volumes=self._volumes)
        try:
            with told_as(path):
                yield file
        finally:
            file.close()


def parent_paths(child: str, parent: str) -> ParentPaths:
    """Return how a child names its parent."""
    relative = ntpath.relpath(parent, ntpath.dirname(child))
    return ParentPaths(relative=relative if relative.startswith("..") else f".\\{relative}", absolute=parent)


def child_path(path: str) -> str:
    """Return a new name for the file that takes the writes after a checkpoint, as Hyper-V makes it."""
    stem = _CHECKPOINT_SUFFIX.sub("", ntpath.splitext(path)[0])
    return f"{stem}_{str(uuid4()).upper()}.avhdx"
