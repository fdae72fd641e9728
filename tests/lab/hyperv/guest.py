# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest: writes to the live disks of a running machine, and into the shadow beside them.

A call is written down before it is done and done again after a kill, so disk and shadow never disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.shadows import data_extents, differing_pages
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Drive, Machine

BATCH: Final = 4 * MiB
_ZEROS: Final = bytes(BATCH)
Writes = list[tuple[int, bytes]]


class Guest:
    """What runs inside the virtual machines."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def write(self, vm_id: str, slot: str, *, offset: int, data: bytes) -> None:
        """Write whole sectors. Raises Refusal WRONG_STATE unless the machine runs, VOLUME_FULL (and it is paused)."""
        with self._lab.lock:
            machine = self._running(vm_id)
            self._apply(machine, self._drive(machine, slot), [(offset, data)])

    def write_image(self, vm_id: str, slot: str, *, image: Path) -> int:
        """Make the beginning of a disk equal to a raw file, writing only what differs; return the bytes written."""
        with self._lab.lock:
            machine = self._running(vm_id)
            drive = self._drive(machine, slot)
            live = self._shadow(machine, drive)
            if image.stat().st_size > live.stat().st_size:
                raise Refusal(Kind.INVALID_ARGUMENT, f"{image.name} is larger than the disk at {slot}")
            return self._apply_all(machine, drive, differing_pages(image, live))

    def read(self, vm_id: str, slot: str, *, offset: int, length: int) -> bytes:
        """Read what the guest would see, through the chain."""
        with self._lab.lock:
            machine = self._running(vm_id)
            chain = self._lab.images.held(machine, self._drive(machine, slot).path)
            if offset < 0 or length < 0 or offset + length > chain.virtual_size:
                raise Refusal(Kind.INVALID_ARGUMENT, f"{length} bytes at {offset} lie outside the disk")
            data = bytearray(length)
            chain.read_into(offset, memoryview(data))
            return bytes(data)

    def provision(self, machine: Machine, drive: Drive, *, image: Path) -> None:
        """Fill a new disk of a machine that is off from a raw file: content that was there before anybody looked."""
        chain = self._lab.images.open(machine.chain(drive.path), writable=True)
        try:
            with image.open("rb") as raw:
                for start, end in data_extents(raw.fileno(), image.stat().st_size):
                    for offset in range(start, end, BATCH):
                        raw.seek(offset)
                        data = raw.read(min(BATCH, end - offset))
                        chain.write(offset, data)
                        self._lab.shadows.write(machine.vm_id, drive.disk_id, offset=offset, data=data)
            chain.flush()
        finally:
            chain.close()

    def redo_pending(self) -> None:
        """Do the calls again that a kill interrupted; those of machines that do not run wait until they do."""
        for machine in self._lab.state.machines.values():
            if self._lab.images.runs(machine):
                try:
                    self._redo(machine)
                except Refusal as refusal:
                    if refusal.kind is not Kind.VOLUME_FULL:
                        raise

    def _redo(self, machine: Machine) -> None:
        path = self._pending(machine)
        if not path.exists():
            return
        head, _unused, body = path.read_bytes().partition(b"\n")
        call = json.loads(head)
        writes, start = [], 0
        for offset, length in call["extents"]:
            writes.append((offset, body[start : start + length]))
            start += length
        self._put(machine, self._drive(machine, call["slot"]), writes)

    def _pending(self, machine: Machine) -> Path:
        return self._lab.folder / f"guest-{machine.vm_id}.pending"

    def _apply_all(self, machine: Machine, drive: Drive, pieces: Iterable[tuple[int, bytes]]) -> int:
        batch: Writes = []
        total = waiting = 0
        for offset, data in pieces:
            batch.append((offset, data))
            waiting += len(data)
            total += len(data)
            if waiting >= BATCH:
                self._apply(machine, drive, batch)
                batch, waiting = [], 0
        if batch:
            self._apply(machine, drive, batch)
        return total

    def _apply(self, machine: Machine, drive: Drive, writes: Writes) -> None:
        self._redo(machine)
        self._check(self._lab.images.held(machine, drive.path), writes)
        self._shadow(machine, drive)
        extents = [Extent(offset, len(data)) for offset, data in writes]
        self._lab.tracking.record(machine.vm_id, drive.disk_id, extents=extents)
        head = json.dumps({"slot": drive.slot, "extents": extents}).encode()
        new = self._pending(machine).with_suffix(".new")
        new.write_bytes(b"\n".join([head, b"".join(data for _unused, data in writes)]))
        new.replace(self._pending(machine))
        try:
            self._put(machine, drive, writes)
        except Refusal:  # no room: the host pauses the machine (PausedCritical); the write is done when it goes on
            machine.state = "Paused"
            with self._lab.images.paused(machine):
                self._lab.commit()
            raise

    def _put(self, machine: Machine, drive: Drive, writes: Writes) -> None:
        chain = self._lab.images.held(machine, drive.path)
        for offset, data in writes:
            if data == _ZEROS[: len(data)]:
                chain.zero(offset, len(data))
            else:
                chain.write(offset, data)
        chain.flush()
        for offset, data in writes:
            self._lab.shadows.write(machine.vm_id, drive.disk_id, offset=offset, data=data)
        self._pending(machine).unlink(missing_ok=True)

    def _check(self, chain: Chain, writes: Writes) -> None:
        sector = chain.geometry.logical_sector_size
        for offset, data in writes:
            if offset % sector or len(data) % sector or offset < 0 or offset + len(data) > chain.virtual_size:
                raise Refusal(Kind.INVALID_ARGUMENT, f"{len(data)} bytes at {offset} are no sectors of this disk")

    def _shadow(self, machine: Machine, drive: Drive) -> Path:
        """Return the live shadow. A disk that came here as a replica gets one from its image, which is trusted then."""
        live = self._lab.shadows.live(machine.vm_id, drive.disk_id)
        if not live.exists():
            chain = self._lab.images.held(machine, drive.path)
            pieces = _pieces(chain)
            self._lab.shadows.create(machine.vm_id, drive.disk_id, size=chain.virtual_size, pieces=pieces)
        return live

    def _running(self, vm_id: str) -> Machine:
        machine = self._lab.machine(vm_id)
        if machine.state != "Running":
            raise Refusal(Kind.WRONG_STATE, f"The guest of {machine.name} does not run: it is {machine.state}")
        return machine

    def _drive(self, machine: Machine, slot: str) -> Drive:
        drive = next((each for each in machine.settings.vhdx_drives() if each.slot == slot), None)
        if drive is None:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} has no virtual disk at {slot}")
        return drive


def _pieces(chain: Chain) -> Iterator[tuple[int, bytes]]:
    for extent in chain.allocated():
        for offset in range(extent.offset, extent.end, BATCH):
            data = bytearray(min(BATCH, extent.end - offset))
            chain.read_into(offset, memoryview(data))
            yield offset, bytes(data)
