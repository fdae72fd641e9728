# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The sector bitmaps of a differencing image, as pages that are read when asked for and written by the writer.

Sectors are counted from the start of the virtual disk: bitmap blocks follow one another without gaps in that count,
and every block of the disk begins at a whole byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ...ports import ByteFile
from .bat import CHUNK_SECTORS, PAGE_SIZE, Bat
from .bits import bit_runs, set_bits

PAGE_SECTORS: Final = 8 * PAGE_SIZE
CHUNK_PAGES: Final = CHUNK_SECTORS // PAGE_SECTORS
CACHE_PAGES: Final = 2048  # 8 MiB; clean pages beyond it are dropped


class Run(NamedTuple):
    """Neighbouring sectors that the image all stores itself, or none of them."""

    stored: bool
    sectors: int


class Bitmaps:
    """Which sectors of partially present blocks the image stores itself. Bits of other blocks mean nothing."""

    def __init__(self, file: ByteFile, bat: Bat) -> None:
        self._file = file
        self._bat = bat
        self._pages: dict[int, bytearray] = {}
        self.dirty: set[int] = set()  # numbers of pages that differ from the file

    def runs(self, first: int, count: int) -> Iterator[Run]:
        """Return the runs of sectors; neighbours differ."""
        held = Run(stored=False, sectors=0)
        for page, start, length in _per_page(first, count):
            for stored, run in bit_runs(self._page(page), first=start, count=length):
                if stored == held.stored:
                    held = Run(stored, held.sectors + run)
                else:
                    if held.sectors:
                        yield held
                    held = Run(stored, run)
        if held.sectors:
            yield held

    def set(self, first: int, count: int) -> None:
        """Mark sectors as stored here."""
        for page, start, length in _per_page(first, count):
            set_bits(self._page(page), first=start, count=length)
            self.dirty.add(page)

    def clear(self, first: int, count: int) -> bool:
        """Clear the bits of a whole block; tell whether one was set, left there by an earlier life of the block."""
        stale = False
        for page, start, length in _per_page(first, count):
            data = self._page(page)
            span = slice(start // 8, -(-(start + length) // 8))
            if any(data[span]):
                data[span] = bytes(span.stop - span.start)
                self.dirty.add(page)
                stale = True
        return stale

    def all_set(self, first: int, count: int) -> bool:
        """Tell whether every sector is stored here."""
        return next(self.runs(first, count), None) == Run(stored=True, sectors=count)

    def write_dirty(self) -> None:
        """Write the changed pages, without flushing."""
        for page in sorted(self.dirty):
            self._file.write(self._offset(page), self._pages[page])
        self.dirty.clear()

    def _page(self, number: int) -> bytearray:
        page = self._pages.get(number)
        if page is None:
            if len(self._pages) >= CACHE_PAGES:
                self._pages = {kept: self._pages[kept] for kept in self.dirty}
            page = self._pages[number] = bytearray(self._file.read(self._offset(number), PAGE_SIZE))
        return page

    def _offset(self, page: int) -> int:
        return self._bat.bitmap_place(page // CHUNK_PAGES) + page % CHUNK_PAGES * PAGE_SIZE


def _per_page(first: int, count: int) -> Iterator[tuple[int, int, int]]:
    """Return page number, first bit and number of bits in it."""
    end = first + count
    while first < end:
        page, start = divmod(first, PAGE_SECTORS)
        length = min(end - first, PAGE_SECTORS - start)
        yield page, start, length
        first += length
