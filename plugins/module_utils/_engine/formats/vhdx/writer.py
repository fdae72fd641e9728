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
from typing import Final
from uuid import UUID

from ...errors import RequestError, StateError
from ...units import MiB
from .bat import ANCHORED, BITMAP_BLOCK_SIZE, ENTRY_SIZE, PAGE_SIZE, STATE_MASK, State, pack_entries, place_of
from .image import Image
from .space import Place, Space, Span

ZEROS: Final = bytes(MiB)


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
            for block, start, length in self._per_block(offset, len(data)):
                self._write_block(block, start, data[done : done + length])
                done += length

    def zero(self, offset: int, length: int) -> None:
        """Make sectors read as zeros, whatever they read as now."""
        self.prepare()
        with self._failing():
            for block, start, piece in self._per_block(offset, length):
                self._zero_block(block, start, piece)

    def flush(self) -> None:
        """Make everything durable, in the order that the head of this file explains."""
        if not self._prepared:
            return
        with self._failing():
            self._file.flush()
            if self._bat.dirty or self._image.bitmaps.dirty:
                self._write_tables()
                self._file.flush()
            if self._space.settle():
                self._file.resize(self._space.end)

    def _write_tables(self) -> None:
        self._image.bitmaps.write_dirty()
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

    def _per_block(self, offset: int, length: int) -> Iterator[tuple[int, int, int]]:
        """Return block, offset within it, and length of each part."""
        block_size, end = self._layout.block_size, offset + length
        while offset < end:
            block, start = divmod(offset, block_size)
            step = min(end - offset, block_size - start)
            yield block, start, step
            offset += step

    def _write_block(self, block: int, start: int, data: memoryview) -> None:
        entry = self._bat.payload(block)
        state = entry & STATE_MASK
        if state == State.FULLY_PRESENT:
            self._file.write(place_of(entry) + start, data)
        elif state == State.PARTIALLY_PRESENT:
            self._file.write(place_of(entry) + start, data)
            self._mark(block, start, len(data))
        else:
            place = self._add_block(block, start, len(data))
            self._file.write(place + start, data)

    def _zero_block(self, block: int, start: int, length: int) -> None:
        entry = self._bat.payload(block)
        state = entry & STATE_MASK
        if self._is_whole(block, start, length) and not self._keeps_places():
            self._set(block, State.ZERO)
            if place_of(entry):
                self._space.give_back(Span(place_of(entry), place_of(entry) + self._layout.block_size))
        elif state == State.FULLY_PRESENT:
            self._write_zeros(place_of(entry) + start, length)
        elif state == State.PARTIALLY_PRESENT:
            self._write_zeros(place_of(entry) + start, length)
            self._mark(block, start, length)
        elif state == State.NOT_PRESENT and self._layout.has_parent:
            place = self._add_block(block, start, length)
            self._write_zeros(place + start, length)

    def _add_block(self, block: int, start: int, length: int) -> int:
        """Give an absent block a place, ready for the sectors that the caller writes; return the place."""
        entry = self._bat.payload(block)
        place = self._place_for(entry)
        whole = self._is_whole(block, start, length)
        if entry & STATE_MASK == State.NOT_PRESENT and self._layout.has_parent and not whole:
            self._add_partial(block, place)
            self._mark(block, start, length)
        else:
            self._clear_around(place, start, length)
            self._set(block, State.FULLY_PRESENT, place.start)
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

    def _clear_around(self, place: Place, start: int, length: int) -> None:
        """Make the rest of a new block read as zeros, also behind the end of the disk."""
        if not place.fresh:
            self._write_zeros(place.start, start)
            self._write_zeros(place.start + start + length, self._layout.block_size - start - length)

    def _add_partial(self, block: int, place: Place) -> None:
        chunk = block // self._layout.ratio
        if not self._bat.bitmap_place(chunk):
            bitmap = self._take(BITMAP_BLOCK_SIZE)
            if not bitmap.fresh:
                self._file.write(bitmap.start, ZEROS)
            self._bat.set(self._layout.bitmap_index(chunk), state=State.FULLY_PRESENT, place=bitmap.start)
            self._new_chunks.add(chunk)
        first, count = self._sectors(block, 0, self._layout.block_size)
        self._stale_bits |= self._image.bitmaps.clear(first, count)
        self._set(block, State.PARTIALLY_PRESENT, place.start)

    def _mark(self, block: int, start: int, length: int) -> None:
        """Note that sectors of a partially present block are stored here now."""
        bitmaps = self._image.bitmaps
        bitmaps.set(*self._sectors(block, start, length))
        if bitmaps.all_set(*self._sectors(block, 0, self._layout.block_end(block) - block * self._layout.block_size)):
            self._set(block, State.FULLY_PRESENT, place_of(self._bat.payload(block)))

    def _sectors(self, block: int, start: int, length: int) -> tuple[int, int]:
        """Return first sector of the disk and number of sectors."""
        size = self._layout.sector_size
        return (block * self._layout.block_size + start) // size, length // size

    def _set(self, block: int, state: State, place: int = 0) -> None:
        self._bat.set(self._layout.payload_index(block), state=state, place=place)

    def _is_whole(self, block: int, start: int, length: int) -> bool:
        offset = block * self._layout.block_size
        return start == 0 and offset + length == self._layout.block_end(block)

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
