# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Writes into the leaf of a chain, in an order that survives a power cut at any moment without a log.

The order, and what each step guards against:

1. Before the first change both headers get new identifiers, flushed: nobody takes the file for what it was. What an
   earlier crash left behind the last used place is cut off, so that new places at the end read as zeros.
2. Payload goes to a place that no durable table names, or over sectors that the block owns.
3. ``flush``: payload is made durable; then sector bitmaps and the table entries of new bitmap blocks are written; when
   a bitmap block is new, or bits of a block's earlier life were cleared, this is made durable too; then the table,
   made durable last.
4. A place that a block gave up is taken by another block only after that.

Each table entry is valid by itself and whatever mixture of old and new entries a cut leaves is a valid table. A sector
of the storage that is torn inside an entry is not guarded against: that takes the log (docs/design/vhdx.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple
from uuid import UUID

from ...errors import RequestError, StateError
from ...units import MiB
from .bat import ANCHORED, BITMAP_BLOCK_SIZE, ENTRY_SIZE, PAGE_SIZE, STATE_MASK, STORED, State, pack_entries, place_of
from .image import Image
from .space import Place, Space, Span

ZEROS: Final = bytes(MiB)


class Part(NamedTuple):
    """A range within one block, in bytes."""

    block: int
    start: int  # from the start of the block
    length: int


def announce(image: Image, *, file_write_guid: UUID, data_write_guid: UUID) -> None:
    """Say in both headers, durably, that the file is about to change; repair a second region table that differs."""
    image.current = image.current.renew(image.file, file_write_guid=file_write_guid, data_write_guid=data_write_guid)
    image.tables.repair(image.file)


class LeafWriter:
    """Changes one image. Offsets and lengths are in whole sectors within the disk; the caller has checked them."""

    def __init__(self, image: Image, *, new_id: Callable[[], UUID]) -> None:
        if image.metadata.logical_sector_size != 512:
            raise RequestError(
                f"images with {image.metadata.logical_sector_size}-byte logical sectors cannot be written yet",
                reason="sector_size_unsupported",
            )
        self._image = image
        self._file = image.file
        self._bat = image.bat
        self._bitmaps = image.bitmaps
        self._layout = image.bat.layout
        self._new_id = new_id
        self._prepared = False
        self._space = Space(())  # the real one from ``prepare`` on
        self._new_chunks: set[int] = set()  # whose bitmap block is not durable yet
        self._stale_bits = False  # bits of an earlier life were cleared and that is not durable yet
        self._failed = False

    def check_alive(self) -> None:
        """Raise StateError after a failed write or flush."""
        if self._failed:
            raise StateError("an earlier write to the image failed; open it again", reason="image_failed")

    def prepare(self, data_write_guid: UUID | None = None) -> None:
        """Announce the change, once."""
        if not self._prepared:
            with self._failing():
                announce(self._image, file_write_guid=self._new_id(), data_write_guid=data_write_guid or self._new_id())
                self._space = Space(self._image.used())
                if self._file.size() != self._space.end:
                    self._file.resize(self._space.end)
                self._prepared = True

    def write(self, offset: int, data: memoryview) -> None:
        """Write sectors, block by block."""
        self.prepare()
        with self._failing():
            done = 0
            for part in self._per_block(offset, len(data)):
                self._write_part(part, data[done : done + part.length])
                done += part.length

    def zero(self, offset: int, length: int) -> None:
        """Make sectors read as zeros, whatever they read as now."""
        self.prepare()
        with self._failing():
            for part in self._per_block(offset, length):
                self._zero_part(part)

    def flush(self) -> None:
        """Make everything durable, in the order that the head of this file explains."""
        if not self._prepared:
            return
        with self._failing():
            self._file.flush()
            if self._bat.dirty or self._bitmaps.dirty:
                self._write_tables()
                self._file.flush()
            if self._space.settle():
                self._file.resize(self._space.end)

    def _write_tables(self) -> None:
        self._bitmaps.write_dirty()
        start = self._image.regions.bat.offset
        for chunk in sorted(self._new_chunks):
            index = self._layout.bitmap_index(chunk)
            self._file.write(start + index * ENTRY_SIZE, pack_entries(self._bat.entries[index : index + 1]))
        if self._new_chunks or self._stale_bits:
            self._file.flush()
        for page in sorted(self._bat.dirty):
            self._file.write(start + page * PAGE_SIZE, self._bat.page(page))
        self._new_chunks.clear()
        self._stale_bits = False
        self._bat.dirty.clear()

    def _per_block(self, offset: int, length: int) -> Iterator[Part]:
        block_size, end = self._layout.block_size, offset + length
        while offset < end:
            block, start = divmod(offset, block_size)
            step = min(end - offset, block_size - start)
            yield Part(block, start, step)
            offset += step

    def _write_part(self, part: Part, data: memoryview) -> None:
        entry = self._bat.payload(part.block)
        state = entry & STATE_MASK
        if state in STORED:
            self._file.write(place_of(entry) + part.start, data)
            if state == State.PARTIALLY_PRESENT:
                self._mark(part)
        else:
            place = self._add_block(part)
            self._file.write(place + part.start, data)

    def _zero_part(self, part: Part) -> None:
        entry = self._bat.payload(part.block)
        state = entry & STATE_MASK
        if self._is_whole(part) and not self._keeps_places():
            self._set(part.block, State.ZERO)
            if place_of(entry):
                self._space.give_back(Span(place_of(entry), place_of(entry) + self._layout.block_size))
        elif state in STORED:
            self._write_zeros(place_of(entry) + part.start, part.length)
            if state == State.PARTIALLY_PRESENT:
                self._mark(part)
        elif state == State.NOT_PRESENT and self._layout.has_parent:
            place = self._add_block(part)
            self._write_zeros(place + part.start, part.length)

    def _add_block(self, part: Part) -> int:
        """Give an absent block a place, ready for the part that the caller writes; return the place."""
        entry = self._bat.payload(part.block)
        place = self._place_for(entry)
        shows_parent = entry & STATE_MASK == State.NOT_PRESENT and self._layout.has_parent
        if shows_parent and not self._is_whole(part):
            self._add_partial(part.block, place)
            self._mark(part)
        else:
            self._clear_around(part, place)
            self._set(part.block, State.FULLY_PRESENT, place=place.start)
        return place.start

    def _place_for(self, entry: int) -> Place:
        if entry & STATE_MASK in ANCHORED and place_of(entry):
            return Place(place_of(entry), fresh=False)
        return self._take(self._layout.block_size)

    def _take(self, length: int) -> Place:
        place = self._space.take(length)
        if place.fresh:
            self._file.resize(place.start + length)
        return place

    def _clear_around(self, part: Part, place: Place) -> None:
        """Make the rest of a new block read as zeros, also behind the end of the disk."""
        if not place.fresh:
            end = part.start + part.length
            self._write_zeros(place.start, part.start)
            self._write_zeros(place.start + end, self._layout.block_size - end)

    def _add_partial(self, block: int, place: Place) -> None:
        chunk = block // self._layout.ratio
        if not self._bat.bitmap_place(chunk):
            bitmap = self._take(BITMAP_BLOCK_SIZE)
            if not bitmap.fresh:
                self._file.write(bitmap.start, ZEROS)
            self._bat.set(self._layout.bitmap_index(chunk), state=State.FULLY_PRESENT, place=bitmap.start)
            self._new_chunks.add(chunk)
        first, count = self._sectors(Part(block, 0, self._layout.block_size))
        self._stale_bits |= self._bitmaps.clear(first, count)
        self._set(block, State.PARTIALLY_PRESENT, place=place.start)

    def _mark(self, part: Part) -> None:
        """Note that sectors of a partially present block are stored here now; with the last one it is full."""
        self._bitmaps.set(*self._sectors(part))
        visible = self._layout.block_end(part.block) - part.block * self._layout.block_size
        if self._bitmaps.all_set(*self._sectors(Part(part.block, 0, visible))):
            self._set(part.block, State.FULLY_PRESENT, place=place_of(self._bat.payload(part.block)))

    def _sectors(self, part: Part) -> tuple[int, int]:
        """Return first sector of the disk and number of sectors."""
        size = self._layout.sector_size
        return (part.block * self._layout.block_size + part.start) // size, part.length // size

    def _set(self, block: int, state: State, *, place: int = 0) -> None:
        self._bat.set(self._layout.payload_index(block), state=state, place=place)

    def _is_whole(self, part: Part) -> bool:
        offset = part.block * self._layout.block_size
        return part.start == 0 and offset + part.length == self._layout.block_end(part.block)

    def _keeps_places(self) -> bool:
        return self._image.metadata.leave_allocated and not self._layout.has_parent

    def _write_zeros(self, place: int, length: int) -> None:
        """Write zeros where there are none yet, so that holes of the file stay holes."""
        for start in range(0, length, len(ZEROS)):
            zeros = ZEROS[: length - start]
            if self._file.read(place + start, len(zeros)) != zeros:
                self._file.write(place + start, zeros)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Refuse everything from now on when this ends with an error."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise
