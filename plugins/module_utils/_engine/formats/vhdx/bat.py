# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The block allocation table: for each block of the virtual disk its state and its place in the file.

After every ``ratio`` payload entries stands the entry of one sector bitmap block; those blocks are a *chunk*. A table
in memory is in normal form: states that a reader must take for another are that other one, and a place is kept only
where it means something. Source: [MS-VHDX] 2.5.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

from ...errors import FormatError
from ...units import MiB
from .metadata import Metadata
from .space import Span

PROBLEMS_MAX: Final = 10  # named in one error
ENTRY_SIZE: Final = 8  # bytes
PAGE_SIZE: Final = 4096  # bytes; the grain at which changes are written
PAGE_ENTRIES: Final = PAGE_SIZE // ENTRY_SIZE
STATE_MASK: Final = 0x7
RESERVED_MASK: Final = 0xFFFF8
PLACE_MASK: Final = ~0xFFFFF & (2**64 - 1)  # places are multiples of 1 MiB, so the entry holds the byte offset
BITMAP_BLOCK_SIZE: Final = 1 * MiB
CHUNK_SECTORS: Final = 8 * BITMAP_BLOCK_SIZE  # one bit each


class State(IntEnum):
    """State of an entry. Of a sector bitmap block only NOT_PRESENT and FULLY_PRESENT are used."""

    NOT_PRESENT = 0  # the parent's content; zeros without a parent
    UNDEFINED = 1  # zeros, never the parent's content; may keep a place
    ZERO = 2  # zeros
    UNMAPPED = 3  # zeros; may keep a place
    FULLY_PRESENT = 6
    PARTIALLY_PRESENT = 7  # sector by sector as the bitmap says


RESERVED_STATES: Final = (4, 5)
STORED: Final = (State.FULLY_PRESENT, State.PARTIALLY_PRESENT)
ANCHORED: Final = (State.UNDEFINED, State.UNMAPPED)  # a place given is kept for this block alone


def place_of(entry: int) -> int:
    """Return the offset in the file, in bytes."""
    return entry & PLACE_MASK


@dataclass(frozen=True, slots=True)
class BatLayout:
    """Which entry belongs to which block."""

    block_size: int  # bytes
    sector_size: int  # bytes, logical
    virtual_size: int  # bytes
    has_parent: bool

    @classmethod
    def of(cls, metadata: Metadata) -> BatLayout:
        return cls(
            metadata.block_size, metadata.logical_sector_size, metadata.virtual_size, metadata.locator is not None
        )

    @property
    def ratio(self) -> int:
        """Payload blocks of a chunk."""
        return CHUNK_SECTORS * self.sector_size // self.block_size

    @property
    def block_count(self) -> int:
        return -(-self.virtual_size // self.block_size)

    @property
    def chunk_count(self) -> int:
        return -(-self.block_count // self.ratio)

    @property
    def entry_count(self) -> int:
        """Entries that mean something; without a parent the last bitmap entry may be absent."""
        if self.has_parent:
            return self.chunk_count * (self.ratio + 1)
        return self.block_count + (self.block_count - 1) // self.ratio

    def payload_index(self, block: int) -> int:
        return block + block // self.ratio

    def bitmap_index(self, chunk: int) -> int:
        return (chunk + 1) * (self.ratio + 1) - 1

    def payload_indexes(self) -> Iterator[int]:
        """Return the index of each payload entry, in the order of the blocks."""
        for chunk in range(self.chunk_count):
            start = chunk * (self.ratio + 1)
            yield from range(start, start + min(self.ratio, self.block_count - chunk * self.ratio))

    def block_end(self, block: int) -> int:
        """Return where a block ends in the virtual disk."""
        return min((block + 1) * self.block_size, self.virtual_size)


class Bat:
    """The entries in normal form; ``dirty`` holds the 4 KiB pages that differ from the file."""

    def __init__(self, layout: BatLayout, entries: array[int]) -> None:
        self.layout = layout
        self.entries = entries
        self.dirty: set[int] = set()

    @classmethod
    def parse(cls, layout: BatLayout, data: bytes) -> Bat:
        """Decode the entries. Raises FormatError when one is not legal by itself."""
        bat = cls(layout, unpack_entries(data))
        if problems := list(islice(entry_problems(layout, bat.entries), PROBLEMS_MAX)):
            raise FormatError("; ".join(problems), reason="bat_invalid")
        bat._normalize()
        return bat

    def _normalize(self) -> None:
        entries, layout = self.entries, self.layout
        for index in layout.payload_indexes():
            entry = entries[index]
            if not entry:
                continue
            state = entry & STATE_MASK
            if state in (State.NOT_PRESENT, State.ZERO):
                entries[index] = state
            elif state == State.PARTIALLY_PRESENT and not layout.has_parent:
                entries[index] = place_of(entry) | State.FULLY_PRESENT
        for chunk in range(layout.chunk_count):
            index = layout.bitmap_index(chunk)
            if index < len(entries):
                stored = layout.has_parent and entries[index] & STATE_MASK in STORED
                entries[index] = place_of(entries[index]) | State.FULLY_PRESENT if stored else State.NOT_PRESENT

    def payload(self, block: int) -> int:
        """Return the entry of a block."""
        return self.entries[block + block // self.layout.ratio]

    def bitmap_place(self, chunk: int) -> int:
        """Return where the sector bitmap of a chunk lies in the file, 0 when it has none."""
        return place_of(self.entries[self.layout.bitmap_index(chunk)])

    def set(self, index: int, *, state: State, place: int = 0) -> None:
        self.entries[index] = place | state
        self.dirty.add(index // PAGE_ENTRIES)

    def page(self, number: int) -> bytes:
        """Encode one 4 KiB page, or the part of it that the table fills."""
        return pack_entries(self.entries[number * PAGE_ENTRIES : (number + 1) * PAGE_ENTRIES])

    def used(self) -> list[Span]:
        """Return the places of the file that belong to blocks, in the order of the table."""
        layout, entries = self.layout, self.entries
        sizes = ((layout.payload_indexes(), layout.block_size), (self._bitmap_indexes(), BITMAP_BLOCK_SIZE))
        return [
            Span(place_of(entries[index]), place_of(entries[index]) + size)
            for indexes, size in sizes
            for index in indexes
            if place_of(entries[index])
        ]

    def _bitmap_indexes(self) -> Iterator[int]:
        if self.layout.has_parent:
            yield from map(self.layout.bitmap_index, range(self.layout.chunk_count))


def unpack_entries(data: bytes) -> array[int]:
    """Decode little-endian 64-bit entries."""
    entries = array("Q", data)
    if sys.byteorder == "big":
        entries.byteswap()
    return entries


def pack_entries(entries: array[int]) -> bytes:
    """Encode little-endian 64-bit entries."""
    if sys.byteorder == "big":
        entries = entries[:]
        entries.byteswap()
    return entries.tobytes()


def entry_problems(layout: BatLayout, entries: array[int]) -> Iterator[str]:
    """Return what is wrong with entries as they stand in the file, one sentence each."""
    partial_chunks: set[int] = set()
    for block, index in enumerate(layout.payload_indexes()):
        entry = entries[index]
        if not entry:
            continue
        state = entry & STATE_MASK
        if state in RESERVED_STATES or entry & RESERVED_MASK:
            yield f"block {block} has the reserved state or bits {entry & 0xFFFFF:#x}"
        if state in STORED and not place_of(entry):
            yield f"block {block} is stored, but nowhere"
        if state == State.PARTIALLY_PRESENT and layout.has_parent:
            partial_chunks.add(block // layout.ratio)
    if not layout.has_parent:
        return  # the bitmap entries of a base image mean nothing
    for chunk in range(layout.chunk_count):
        entry = entries[layout.bitmap_index(chunk)]
        state = entry & STATE_MASK
        if state in RESERVED_STATES or entry & RESERVED_MASK:
            yield f"sector bitmap {chunk} has the reserved state or bits {entry & 0xFFFFF:#x}"
        elif state in STORED and not place_of(entry):
            yield f"sector bitmap {chunk} is stored, but nowhere"
        elif chunk in partial_chunks and state not in STORED:
            yield f"chunk {chunk} has partially present blocks, but no sector bitmap"
