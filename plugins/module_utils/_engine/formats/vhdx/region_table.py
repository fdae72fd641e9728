# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The region table: where block allocation table and metadata lie. Source: [MS-VHDX] 2.2.3."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Final
from uuid import UUID

from ...errors import FormatError
from ...ports import ByteFile
from ...units import KiB, MiB
from .checksum import is_sealed, seal

HEAD: Final = Struct("<4sIII")
ENTRY: Final = Struct("<16sQII")
SIZE: Final = 64 * KiB
COPIES: Final = (192 * KiB, 256 * KiB)  # offsets in the file
SIGNATURE: Final = b"regi"
ENTRIES_MAX: Final = 2047
REQUIRED: Final = 1

BAT: Final = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA: Final = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")


@dataclass(frozen=True, slots=True)
class Region:
    """One region; offset and length are bytes in the file, both multiples of 1 MiB."""

    guid: UUID
    offset: int
    length: int
    required: bool

    @property
    def end(self) -> int:
        return self.offset + self.length

    @classmethod
    def parse(cls, data: bytes) -> Region:
        """Decode one entry. Raises FormatError."""
        guid, offset, length, flags = ENTRY.unpack(data)
        region = cls(UUID(bytes_le=guid), offset, length, bool(flags & REQUIRED))
        if flags & ~REQUIRED:
            raise FormatError(f"region {region.guid} has reserved flags {flags:#x}")
        if offset % MiB or length % MiB or offset < MiB or length < MiB:
            raise FormatError(f"region {region.guid} of {length} bytes at {offset} is not in whole MiB")
        if region.required and region.guid not in (BAT, METADATA):
            raise FormatError(f"required region {region.guid} is unknown", reason="unknown_region")
        return region


@dataclass(frozen=True, slots=True)
class RegionTable:
    """A region table, verified: no region twice, none overlapping another, BAT and metadata present."""

    regions: tuple[Region, ...]

    @property
    def bat(self) -> Region:
        return self._find(BAT)

    @property
    def metadata(self) -> Region:
        return self._find(METADATA)

    def _find(self, guid: UUID) -> Region:
        for region in self.regions:
            if region.guid == guid:
                return region
        raise FormatError(f"region {guid} is missing")

    @classmethod
    def parse(cls, data: bytes) -> RegionTable:
        """Decode ``SIZE`` bytes read at one of ``COPIES``. Raises FormatError."""
        if len(data) != SIZE or not is_sealed(data, SIGNATURE):
            raise FormatError("region table signature or checksum does not match")
        count, reserved = HEAD.unpack_from(data)[2:]
        if count > ENTRIES_MAX or reserved:
            raise FormatError(f"region table of {count} entries, reserved field {reserved}")
        starts = range(HEAD.size, HEAD.size + count * ENTRY.size, ENTRY.size)
        table = cls(tuple(Region.parse(data[start : start + ENTRY.size]) for start in starts))
        table._check()
        return table

    def _check(self) -> None:
        if len({region.guid for region in self.regions}) != len(self.regions):
            raise FormatError("a region is listed twice")
        ordered = sorted(self.regions, key=lambda region: region.offset)
        for first, second in pairwise(ordered):
            if first.end > second.offset:
                raise FormatError(f"regions {first.guid} and {second.guid} overlap")
        self._find(BAT)
        self._find(METADATA)

    def pack(self) -> bytes:
        """Encode to ``SIZE`` bytes."""
        data = bytearray(SIZE)
        HEAD.pack_into(data, 0, SIGNATURE, 0, len(self.regions), 0)
        for index, region in enumerate(self.regions):
            fields = region.guid.bytes_le, region.offset, region.length, REQUIRED if region.required else 0
            ENTRY.pack_into(data, HEAD.size + index * ENTRY.size, *fields)
        return seal(data)


@dataclass(frozen=True, slots=True)
class RegionTableCopies:
    """The table that counts, and where a copy stands that differs from it (None: both are the same)."""

    table: RegionTable
    data: bytes
    differing: int | None

    @classmethod
    def read(cls, file: ByteFile) -> RegionTableCopies:
        """Take the first copy whose checksum is right. Raises FormatError."""
        copies = [file.read(offset, SIZE) for offset in COPIES]
        for index, data in enumerate(copies):
            if is_sealed(data, SIGNATURE):
                other = 1 - index
                return cls(RegionTable.parse(data), data, COPIES[other] if copies[other] != data else None)
        raise FormatError("neither region table has a valid signature and checksum", reason="no_region_table")

    def repair(self, file: ByteFile) -> None:
        """Write the table that counts over a copy that differs. The caller has announced the write and flushes."""
        if self.differing is not None:
            file.write(self.differing, self.data)
