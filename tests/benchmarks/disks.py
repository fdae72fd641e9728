# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk with what real disks hold, and the same disk a day later.

Content comes in stretches: programs and documents of this machine, pages of a database with room to spare, a log, data
that does not compress, files that are there twice, zeros that are stored, and holes. A day of work changes about six
per cent: pages of the database and of a page file, a growing log, new files. Seeds make both the same each time.
"""

from __future__ import annotations

import random
import struct
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, normalize
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import create_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation, DiskGeometry
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, KiB, MiB

STRETCH = 16 * MiB
PAGE = 8 * KiB
CLUSTER = 4 * KiB


class Content:
    """Makes stretches of each kind."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        letters = b"abcdefghijklmnopqrstuvwxyz"
        words = [bytes(self._random.choices(letters, k=self._random.randint(3, 10))) for _index in range(4000)]
        self._rows = b"|".join(b"%d,%s" % (self._random.randrange(10**7), word) for word in words * 50)
        self._files = _programs()
        self._kept = [self.random(STRETCH), self.programs(STRETCH), self.pages(STRETCH)]
        self._line = 0

    def random(self, length: int) -> bytes:
        return self._random.randbytes(length)

    def programs(self, length: int) -> bytes:
        """Files of this machine, each from a cluster on."""
        parts = bytearray()
        while len(parts) < length:
            parts += next(self._files).ljust(CLUSTER, b"\0")
            parts += bytes(-len(parts) % CLUSTER)
        return bytes(parts[:length])

    def pages(self, length: int) -> bytes:
        """Pages of a database: a head, rows of words and numbers, room to spare."""
        return b"".join(self._page(number) for number in range(length // PAGE))

    def _page(self, number: int) -> bytes:
        start = self._random.randrange(len(self._rows) - PAGE)
        rows = self._rows[start : start + self._random.randint(3000, 6000)]
        return (struct.pack("<QII", number, len(rows), self._random.randrange(1 << 32)) + rows).ljust(PAGE, b"\0")

    def log(self, length: int) -> bytes:
        """Lines of a log, each a little different from the one before."""
        lines = []
        for _index in range(length // 38 + 1):
            self._line += 1
            lines.append(
                b"2026-01-01 12:%02d:%02d txn %08d commit\n" % (self._line // 60 % 60, self._line % 60, self._line)
            )
        return b"".join(lines)[:length]

    def again(self, length: int) -> bytes:
        """A file that lies somewhere else too."""
        return self._random.choice(self._kept)[:length]


def _programs() -> Iterator[bytes]:
    """Yield files of the system, without end; a machine without them gives those of its Python."""
    folders = [Path(name) for name in ("/usr/bin", "/usr/lib", "/usr/share") if Path(name).is_dir()]
    while True:
        for folder in folders or [Path(sysconfig.get_path("stdlib"))]:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size < 2 * MiB:
                    yield path.read_bytes()


def fill(path: Path, *, size: int, seed: int = 7) -> None:
    """Make the disk: eight tenths of ``size`` are written, two of them with zeros."""
    content = Content(seed)
    kinds: list[Callable[[int], bytes] | None] = [
        content.programs,
        content.random,
        content.pages,
        content.again,
        bytes,
        content.programs,
        bytes,
        None,
        content.programs,
        None,
    ]
    geometry = DiskGeometry(uuid.UUID(int=seed), size, 32 * MiB, 512, 4096, Allocation.DYNAMIC)
    with files.create_file(str(path)) as file:
        create_image(file, geometry, new_id=uuid.uuid4)
    chain = Chain.open([files.open_leaf(str(path))], writable=True, new_id=uuid.uuid4)
    for index, offset in enumerate(range(0, size, STRETCH)):
        make = kinds[index % len(kinds)]
        if make is not None:
            chain.write(offset, make(STRETCH))
    chain.flush()
    chain.close()


def work_a_day(path: Path, *, seed: int = 11) -> list[Extent]:
    """Change the disk in place; return the changed extents as change tracking would."""
    content, place = Content(seed), random.Random(seed)
    chain = Chain.open([files.open_leaf(str(path))], writable=True, new_id=uuid.uuid4)
    stored = chain.allocated()
    changed = list(_places(stored, place, size=chain.virtual_size))
    for index, extent in enumerate(changed):
        make = (content.pages, content.random, content.programs, content.random, content.log)[index % 5]
        chain.write(extent.offset, make(extent.length))
    chain.flush()
    size = chain.virtual_size
    chain.close()
    return normalize(changed, size=size)


def _places(stored: list[Extent], place: random.Random, *, size: int) -> Iterator[Extent]:
    """Yield 64 KiB places, many, and 1 MiB places, few."""
    for length, count in ((64 * KiB, size // GiB * 160 + 40), (1 * MiB, size // GiB * 40 + 10)):
        for _index in range(count):
            extent = place.choice(stored)
            yield Extent(extent.offset + place.randrange(extent.length // length) * length, length)
