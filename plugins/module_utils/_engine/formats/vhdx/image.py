# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""One VHDX file, opened and verified: its identity, its geometry, and where each byte of its virtual disk lies.

An image knows nothing of its parent's content; ``Chain`` puts images on top of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from itertools import islice
from typing import Final, NamedTuple
from uuid import UUID

from ...errors import FormatError
from ...machines import Allocation, DiskGeometry
from ...ports import ByteFile
from ...units import MiB, align_up
from .bat import ENTRY_SIZE, PROBLEMS_MAX, STATE_MASK, Bat, BatLayout, State, place_of
from .bitmap import Bitmaps
from .header import CurrentHeader, Header
from .locator import ParentLocator
from .metadata import Metadata, MetadataTable, read_metadata
from .region_table import RegionTable, RegionTableCopies
from .space import Span, overlaps

FILE_SIGNATURE: Final = b"vhdxfile"


class Source(Enum):
    """Where the content of a segment comes from."""

    DATA = "data"  # this file
    ZERO = "zero"  # nowhere: zeros, whatever the parent holds
    ABSENT = "absent"  # the parent; zeros when there is none


class Segment(NamedTuple):
    """A range of the virtual disk; ``place`` is its offset in the file, 0 unless it is data. All numbers are bytes."""

    offset: int
    length: int
    source: Source
    place: int


class Image:
    """One open file. It reads no more than its tables until asked for segments."""

    def __init__(
        self,
        file: ByteFile,
        *,
        current: CurrentHeader,
        tables: RegionTableCopies,
        items: MetadataTable,
        metadata: Metadata,
        bat: Bat,
    ) -> None:
        self.file = file
        self.current = current
        self.tables = tables
        self.items = items
        self.metadata = metadata
        self.bat = bat
        self.bitmaps = Bitmaps(file, bat)

    @classmethod
    def open(cls, file: ByteFile) -> Image:
        """Read and verify headers, regions, metadata and block allocation table; writes nothing.

        Raises:
            FormatError: the file breaks its format, reason ``dirty_log`` when it was not closed cleanly.
        """
        if file.size() < MiB:
            raise FormatError(f"file is {file.size()} bytes, a VHDX file has 1 MiB at least", reason="not_vhdx")
        if file.read(0, len(FILE_SIGNATURE)) != FILE_SIGNATURE:
            raise FormatError("file does not begin with the VHDX signature", reason="not_vhdx")
        current = CurrentHeader.read(file)
        if current.header.log_guid is not None:
            raise FormatError(
                "image was not closed cleanly: its log must be replayed first",
                hint="attach and detach it once on a Windows host, or run qemu-img check -r all on it",
                reason="dirty_log",
            )
        tables = RegionTableCopies.read(file)
        _check_places(structures(current.header, tables.table), file)
        items, metadata = read_metadata(file, tables.table.metadata)
        layout = BatLayout.of(metadata)
        length = layout.entry_count * ENTRY_SIZE
        if length > tables.table.bat.length:
            raise FormatError(f"block allocation table needs {length} bytes, its region is shorter")
        bat = Bat.parse(layout, file.read(tables.table.bat.offset, length))
        image = cls(file, current=current, tables=tables, items=items, metadata=metadata, bat=bat)
        _check_places(image.used(), file)
        return image

    @property
    def header(self) -> Header:
        return self.current.header

    @property
    def regions(self) -> RegionTable:
        return self.tables.table

    @property
    def virtual_size(self) -> int:
        return self.metadata.virtual_size

    @property
    def geometry(self) -> DiskGeometry:
        """The shape of this one file; a child is always of dynamic allocation."""
        fixed = self.metadata.leave_allocated and not self.has_parent
        return DiskGeometry(
            disk_id=self.metadata.disk_id,
            virtual_size=self.metadata.virtual_size,
            block_size=self.metadata.block_size,
            logical_sector_size=self.metadata.logical_sector_size,
            physical_sector_size=self.metadata.physical_sector_size,
            allocation=Allocation.FIXED if fixed else Allocation.DYNAMIC,
        )

    @property
    def has_parent(self) -> bool:
        return self.metadata.locator is not None

    @property
    def parent_locator(self) -> ParentLocator | None:
        return self.metadata.locator

    @property
    def file_write_guid(self) -> UUID:
        return self.header.file_write_guid

    @property
    def data_write_guid(self) -> UUID:
        return self.header.data_write_guid

    @property
    def sequence_number(self) -> int:
        return self.header.sequence_number

    @property
    def is_empty(self) -> bool:
        """Whether the image says nothing: it reads as its parent does, or as zeros without one."""
        return not any(self.bat.entries)

    def used(self) -> list[Span]:
        """Return every place of the file that holds something: first MiB, log, regions, blocks."""
        return structures(self.header, self.regions) + self.bat.used()

    def segments(self, offset: int, length: int) -> Iterator[Segment]:
        """Return the segments that make up a range of the virtual disk, in order, joined where they adjoin."""
        held: Segment | None = None
        for piece in self._pieces(offset, offset + length):
            if held is None:
                held = piece
            elif held.source is piece.source and (not held.place or held.place + held.length == piece.place):
                held = Segment(held.offset, held.length + piece.length, held.source, held.place)
            else:
                yield held
                held = piece
        if held is not None:
            yield held

    def _pieces(self, offset: int, end: int) -> Iterator[Segment]:
        layout, entries = self.bat.layout, self.bat.entries
        block_size, ratio = layout.block_size, layout.ratio
        while offset < end:
            block, within = divmod(offset, block_size)
            entry = entries[block + block // ratio]
            state = entry & STATE_MASK
            stop = min((block + 1) * block_size, end)
            if state == State.PARTIALLY_PRESENT:
                yield from self._partial(offset, stop, place=place_of(entry) + within)
            elif state == State.FULLY_PRESENT:
                if stop < end:
                    stop = min(self._run_end(block, step=block_size) * block_size, end)
                yield Segment(offset, stop - offset, Source.DATA, place_of(entry) + within)
            else:
                if stop < end:
                    stop = min(self._run_end(block, step=0) * block_size, end)
                yield Segment(offset, stop - offset, Source.ABSENT if state == State.NOT_PRESENT else Source.ZERO, 0)
            offset = stop

    def _run_end(self, block: int, *, step: int) -> int:
        """Return the first block, of the chunk at most, whose entry is not ``step`` more than the one before."""
        layout, entries = self.bat.layout, self.bat.entries
        chunk = block // layout.ratio
        index = block + chunk
        end = min((chunk + 1) * layout.ratio, layout.block_count) + chunk
        expected = entries[index]
        while index < end and entries[index] == expected:
            index += 1
            expected += step
        return index - chunk

    def _partial(self, offset: int, end: int, *, place: int) -> Iterator[Segment]:
        """Return the segments of a range within one partially present block."""
        sector_size = self.bat.layout.sector_size
        sector, start = offset // sector_size, offset
        for stored, count in self.bitmaps.runs(sector, -(-end // sector_size) - sector):
            sector += count
            stop = min(sector * sector_size, end)
            at = place + start - offset if stored else 0
            yield Segment(start, stop - start, Source.DATA if stored else Source.ABSENT, at)
            start = stop


def structures(header: Header, table: RegionTable) -> list[Span]:
    """Return the places of the file that hold no blocks: its first MiB, the log, the regions."""
    log = Span(header.log_offset, header.log_offset + header.log_length)
    return [Span(0, MiB), log, *(Span(region.offset, region.end) for region in table.regions)]


def _check_places(used: list[Span], file: ByteFile) -> None:
    if problems := list(islice(place_problems(used, file_size=file.size()), PROBLEMS_MAX)):
        raise FormatError("; ".join(problems), reason="place_invalid")


def place_problems(used: list[Span], *, file_size: int) -> Iterator[str]:
    """Return what is wrong with the places of a file: behind its end, or used twice."""
    end = align_up(file_size, MiB)
    for span in used:
        if span.end > end:
            yield f"{span.length} bytes at {span.start} lie behind the end of the file, {file_size}"
    for first, second in overlaps(used):
        yield f"{second.length} bytes at {second.start} overlap with {first.length} bytes at {first.start}"
