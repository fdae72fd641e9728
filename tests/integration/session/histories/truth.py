# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the disks of the source hold, and held when they were frozen: plain byte strings, no file, no VHDX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

SECTOR = 512
KIND_OF_WRITE = ("random", "random", "fill", "zeros")
SECTORS_MAX = 600  # of one write

Contents = Mapping[str, bytes]  # by disk id


class Truth:
    """One machine: its disks by id, moments of its recovery checkpoints by their names, of a user's by their ids."""

    def __init__(self) -> None:
        self._disks: dict[str, bytearray] = {}
        self._moments: dict[str, Contents] = {}
        self._checkpoints: dict[str, Contents] = {}

    def add(self, disk_id: str, *, size: int) -> None:
        """Note a disk that reads as zeros, or that an old one has another size now."""
        self._disks[disk_id] = bytearray(size)

    def write(self, disk_id: str, *, offset: int, data: bytes) -> None:
        self._disks[disk_id][offset : offset + len(data)] = data

    def draw_write(self, disk_id: str, *, random: Random) -> tuple[int, bytes]:
        """Choose offset and data of a write, in sectors as a guest does, not in any larger unit."""
        sectors = len(self._disks[disk_id]) // SECTOR
        start = random.randrange(sectors)
        length = min(random.randint(1, SECTORS_MAX), sectors - start) * SECTOR
        kind = random.choice(KIND_OF_WRITE)
        data = random.randbytes(length) if kind == "random" else bytes([random.randrange(1, 256)]) * length
        return start * SECTOR, bytes(length) if kind == "zeros" else data

    def freeze(self, name: str, *, disk_ids: Iterable[str]) -> None:
        """Keep this moment under the name of a recovery checkpoint."""
        self._moments[name] = self._now(disk_ids)

    def moment(self, ids: str) -> Contents:
        """Return what the disks held when a session froze them for a replica (``ids``: both ids, as in the name)."""
        return next(contents for name, contents in self._moments.items() if ids in name)

    def keep(self, checkpoint_id: str, *, disk_ids: Iterable[str]) -> None:
        """Keep this moment under a user's checkpoint."""
        self._checkpoints[checkpoint_id] = self._now(disk_ids)

    def apply(self, checkpoint_id: str) -> None:
        """Go back to a user's checkpoint."""
        for disk_id, content in self._checkpoints[checkpoint_id].items():
            self._disks[disk_id] = bytearray(content)

    def _now(self, disk_ids: Iterable[str]) -> Contents:
        return {disk_id: bytes(self._disks[disk_id]) for disk_id in disk_ids}
