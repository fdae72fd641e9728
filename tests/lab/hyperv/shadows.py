# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth about the guests' disks: raw files, written without any of our VHDX code.

``live/<disk>.raw`` follows each write of a guest; ``<checkpoint>/<disk>.raw`` is a sparse copy of that moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

PAGE: Final = 4 * KiB
_COPY: Final = 4 * MiB
_LIVE: Final = "live"


class Shadows:
    """Raw files per machine and disk. Writes are not flushed: they survive the process, not the machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def live(self, vm_id: str, disk_id: str) -> Path:
        return self._folder / vm_id / _LIVE / f"{disk_id}.raw"

    def create(self, vm_id: str, disk_id: str, *, size: int, pieces: Iterable[tuple[int, bytes]] = ()) -> None:
        """Begin the shadow of a disk that reads as zeros but for some pieces (offset and content)."""
        path = self.live(vm_id, disk_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.truncate(size)
            for offset, data in pieces:
                os.pwrite(file.fileno(), data, offset)
        temporary.replace(path)

    def write(self, vm_id: str, disk_id: str, *, offset: int, data: bytes) -> None:
        with self.live(vm_id, disk_id).open("r+b") as file:
            os.pwrite(file.fileno(), data, offset)

    def freeze(self, vm_id: str, checkpoint_id: str, *, disk_ids: Iterable[str], label: dict[str, object]) -> None:
        """Keep the present state of some disks under a checkpoint's id. Disks without a shadow are left out."""
        folder = self._folder / vm_id / checkpoint_id
        kept = [disk_id for disk_id in disk_ids if self.live(vm_id, disk_id).exists()]
        if kept:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "checkpoint.json").write_text(json.dumps(label), encoding="utf-8")
        for disk_id in kept:
            copy_sparse(self.live(vm_id, disk_id), folder / f"{disk_id}.raw")

    def relabel(self, vm_id: str, checkpoint_id: str, *, name: str) -> None:
        label = self._folder / vm_id / checkpoint_id / "checkpoint.json"
        if label.exists():
            kept = json.loads(label.read_text(encoding="utf-8"))
            label.write_text(json.dumps({**kept, "name": name}), encoding="utf-8")

    def thaw(self, vm_id: str, checkpoint_id: str, *, disk_ids: Iterable[str]) -> None:
        """Bring the disks back to a frozen state (an applied checkpoint)."""
        for disk_id in disk_ids:
            frozen = self._folder / vm_id / checkpoint_id / f"{disk_id}.raw"
            if frozen.exists():
                copy_sparse(frozen, self.live(vm_id, disk_id))

    def of_checkpoint(self, checkpoint: str) -> dict[str, Path]:
        """Return the frozen files by disk id; ``checkpoint`` is an id or a name, also of one that is gone."""
        for label in sorted(self._folder.glob("*/*/checkpoint.json")):
            if checkpoint in {label.parent.name, json.loads(label.read_text(encoding="utf-8")).get("name")}:
                return {path.stem: path for path in label.parent.glob("*.raw")}
        return {}


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file, holes as holes; the target appears when it is whole."""
    temporary = target.with_suffix(".copying")
    with source.open("rb") as reading, temporary.open("wb") as writing:
        size = os.fstat(reading.fileno()).st_size
        for offset, end in data_extents(reading.fileno(), size):
            while offset < end:
                data = os.pread(reading.fileno(), min(_COPY, end - offset), offset)
                os.pwrite(writing.fileno(), data, offset)
                offset += len(data)
        writing.truncate(size)
    temporary.replace(target)


def data_extents(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of what is not a hole."""
    offset = 0
    while offset < size:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        offset = min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
        yield start, offset


def differing_pages(wanted: Path, present: Path) -> Iterator[tuple[int, bytes]]:
    """Yield offset and content of the runs of pages in which ``wanted`` differs from ``present``, no smaller file."""
    with wanted.open("rb") as new, present.open("rb") as old:
        size = os.fstat(new.fileno()).st_size
        looked = sorted([*data_extents(new.fileno(), size), *data_extents(old.fileno(), size)])
        done = 0
        for start, end in looked:
            offset = max(start, done)
            while offset < end:
                length = min(_COPY, end - offset)
                yield from _runs(offset, os.pread(new.fileno(), length, offset), os.pread(old.fileno(), length, offset))
                offset += length
            done = max(done, end)


def _runs(base: int, new: bytes, old: bytes) -> Iterator[tuple[int, bytes]]:
    if new == old:
        return
    start: int | None = None
    for page in range(0, len(new), PAGE):
        differs = new[page : page + PAGE] != old[page : page + PAGE]
        if differs and start is None:
            start = page
        elif not differs and start is not None:
            yield base + start, new[start:page]
            start = None
    if start is not None:
        yield base + start, new[start:]
