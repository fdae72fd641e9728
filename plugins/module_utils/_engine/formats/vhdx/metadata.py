# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The metadata region: a table of items, and the items that describe the virtual disk. Source: [MS-VHDX] 2.6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Final
from uuid import UUID

from ...errors import FormatError
from ...ports import ByteFile
from ...units import KiB, MiB, TiB, is_power_of_two
from .locator import ParentLocator
from .region_table import Region

HEAD: Final = Struct("<8sHH20s")
ENTRY: Final = Struct("<16sIIII")
TABLE_SIZE: Final = 64 * KiB
SIGNATURE: Final = b"metadata"
ENTRIES_MAX: Final = 2047
USER_ENTRIES_MAX: Final = 1024
ITEM_MAX: Final = MiB
REGION_MAX: Final = 128 * MiB

BLOCK_MIN: Final = 1 * MiB
BLOCK_MAX: Final = 256 * MiB
VIRTUAL_SIZE_MAX: Final = 64 * TiB
SECTOR_SIZES: Final = (512, 4096)

IS_USER: Final = 1
IS_VIRTUAL_DISK: Final = 2
IS_REQUIRED: Final = 4

FILE_PARAMETERS: Final = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
VIRTUAL_DISK_SIZE: Final = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
VIRTUAL_DISK_ID: Final = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
LOGICAL_SECTOR_SIZE: Final = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
PHYSICAL_SECTOR_SIZE: Final = UUID("cda348c7-445d-4471-9cc9-e9885251c556")
PARENT_LOCATOR: Final = UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
INCOMPLETE: Final = UUID("71cc85f0-1b69-4e28-9558-c3bf83ae75d3")  # marks a file that is still being made
HARMLESS: Final = (
    UUID("da02d7bc-3d3a-423c-ac88-2a36ab21479b"),  # CHS parameters
    UUID("10e1ae8a-4b7e-4169-a40f-cd70de928393"),  # labels of persistent memory
)
FIXED_ITEMS: Final = {  # length in bytes, flags as Windows writes them
    FILE_PARAMETERS: (8, IS_REQUIRED),
    VIRTUAL_DISK_SIZE: (8, IS_VIRTUAL_DISK | IS_REQUIRED),
    VIRTUAL_DISK_ID: (16, IS_VIRTUAL_DISK | IS_REQUIRED),
    LOGICAL_SECTOR_SIZE: (4, IS_VIRTUAL_DISK | IS_REQUIRED),
    PHYSICAL_SECTOR_SIZE: (4, IS_VIRTUAL_DISK | IS_REQUIRED),
}
LEAVE_ALLOCATED: Final = 1
HAS_PARENT: Final = 2


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the table; ``offset`` is from the start of the region."""

    guid: UUID
    offset: int
    length: int
    flags: int

    @property
    def end(self) -> int:
        return self.offset + self.length

    def pack(self) -> bytes:
        return ENTRY.pack(self.guid.bytes_le, self.offset, self.length, self.flags, 0)

    @classmethod
    def parse(cls, data: bytes, region_length: int) -> Item:
        """Decode one entry. Raises FormatError."""
        guid, offset, length, flags, reserved = ENTRY.unpack(data)
        item = cls(UUID(bytes_le=guid), offset, length, flags)
        if flags & ~(IS_USER | IS_VIRTUAL_DISK | IS_REQUIRED) or reserved:
            raise FormatError(f"metadata item {item.guid} has reserved bits set")
        if flags & IS_USER and flags & IS_REQUIRED:
            raise FormatError(f"user metadata item {item.guid} is marked as required")
        if length > ITEM_MAX or (length and (offset < TABLE_SIZE or item.end > region_length)):
            raise FormatError(f"metadata item {item.guid} of {length} bytes at {offset} lies outside its region")
        if not length and offset:
            raise FormatError(f"empty metadata item {item.guid} has the offset {offset}")
        known = (*FIXED_ITEMS, PARENT_LOCATOR, *HARMLESS)
        if flags & IS_REQUIRED and item.guid not in known:
            reason = "incomplete_file" if item.guid == INCOMPLETE else "unknown_metadata"
            raise FormatError(
                f"required metadata item {item.guid} is unknown or marks an unfinished file", reason=reason
            )
        return item


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """The table of items, verified: no item twice, none overlapping another."""

    items: tuple[Item, ...]

    @classmethod
    def parse(cls, data: bytes, region_length: int) -> MetadataTable:
        """Decode ``TABLE_SIZE`` bytes from the start of the region. Raises FormatError."""
        signature, reserved, count, rest = HEAD.unpack_from(data)
        if signature != SIGNATURE or count > ENTRIES_MAX or reserved or any(rest):
            raise FormatError(f"metadata table signature {signature!r}, {count} entries")
        starts = range(HEAD.size, HEAD.size + count * ENTRY.size, ENTRY.size)
        table = cls(tuple(Item.parse(data[start : start + ENTRY.size], region_length) for start in starts))
        table._check()
        return table

    def _check(self) -> None:
        if len({(item.guid, item.flags & IS_USER) for item in self.items}) != len(self.items):
            raise FormatError("a metadata item is listed twice")
        if sum(item.flags & IS_USER for item in self.items) > USER_ENTRIES_MAX:
            raise FormatError(f"more than {USER_ENTRIES_MAX} user metadata items")
        ordered = sorted((item for item in self.items if item.length), key=lambda item: item.offset)
        for first, second in pairwise(ordered):
            if first.end > second.offset:
                raise FormatError(f"metadata items {first.guid} and {second.guid} overlap")

    def index_of(self, guid: UUID) -> int:
        """Return the position of a system item that is there."""
        return next(i for i, item in enumerate(self.items) if item.guid == guid and not item.flags & IS_USER)

    def free_offset(self, length: int, region_length: int) -> int:
        """Return where ``length`` unused bytes begin. Raises FormatError when the region is full."""
        offset = TABLE_SIZE
        for item in sorted((item for item in self.items if item.length), key=lambda item: item.offset):
            if item.offset - offset >= length:
                break
            offset = item.end
        if offset + length > region_length:
            raise FormatError(f"metadata region has no room for {length} bytes", reason="metadata_full")
        return offset


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the file says of its virtual disk, verified; sizes are bytes."""

    block_size: int
    leave_allocated: bool  # the file stays fully provisioned ("fixed"); means nothing with a parent
    virtual_size: int
    disk_id: UUID  # what the guest sees, equal along a chain
    logical_sector_size: int
    physical_sector_size: int
    locator: ParentLocator | None  # None: a base image

    @classmethod
    def parse(cls, items: Mapping[UUID, bytes]) -> Metadata:
        """Decode the items of the table by their ids. Raises FormatError."""
        for guid, (length, _flags) in FIXED_ITEMS.items():
            if len(items.get(guid, b"")) != length:
                raise FormatError(f"metadata item {guid} is missing or not {length} bytes")
        number = {guid: int.from_bytes(items[guid][:8], "little") for guid in FIXED_ITEMS}
        block_size, flags = number[FILE_PARAMETERS] & 0xFFFFFFFF, number[FILE_PARAMETERS] >> 32
        if flags & ~(LEAVE_ALLOCATED | HAS_PARENT):
            raise FormatError(f"file parameters have reserved bits {flags:#x}")
        if flags & HAS_PARENT and PARENT_LOCATOR not in items:
            raise FormatError("image has a parent but no parent locator")
        metadata = cls(
            block_size=block_size,
            leave_allocated=bool(flags & LEAVE_ALLOCATED),
            virtual_size=number[VIRTUAL_DISK_SIZE],
            disk_id=UUID(bytes_le=items[VIRTUAL_DISK_ID]),
            logical_sector_size=number[LOGICAL_SECTOR_SIZE],
            physical_sector_size=number[PHYSICAL_SECTOR_SIZE],
            locator=ParentLocator.parse(items[PARENT_LOCATOR]) if flags & HAS_PARENT else None,
        )
        for problem in metadata.problems():
            raise FormatError(problem)
        return metadata

    def problems(self) -> Sequence[str]:
        """Return what the format does not allow, one sentence each."""
        found = []
        if not (is_power_of_two(self.block_size) and BLOCK_MIN <= self.block_size <= BLOCK_MAX):
            found.append(f"block size {self.block_size} is no power of two from 1 to 256 MiB")
        if self.logical_sector_size not in SECTOR_SIZES or self.physical_sector_size not in SECTOR_SIZES:
            found.append(f"sector sizes {self.logical_sector_size}, {self.physical_sector_size} are not 512 or 4096")
        elif self.virtual_size % self.logical_sector_size:
            found.append(f"virtual size {self.virtual_size} is no multiple of {self.logical_sector_size}")
        if not 0 < self.virtual_size <= VIRTUAL_SIZE_MAX:
            found.append(f"virtual size {self.virtual_size} is not from 1 byte to 64 TiB")
        return found

    def as_items(self) -> dict[UUID, bytes]:
        """Encode each item by its id, in the order in which Windows stores them."""
        flags = (LEAVE_ALLOCATED if self.leave_allocated else 0) | (HAS_PARENT if self.locator else 0)
        items = {
            FILE_PARAMETERS: (flags << 32 | self.block_size).to_bytes(8, "little"),
            VIRTUAL_DISK_SIZE: self.virtual_size.to_bytes(8, "little"),
            LOGICAL_SECTOR_SIZE: self.logical_sector_size.to_bytes(4, "little"),
            PHYSICAL_SECTOR_SIZE: self.physical_sector_size.to_bytes(4, "little"),
            VIRTUAL_DISK_ID: self.disk_id.bytes_le,
        }
        return items | ({PARENT_LOCATOR: self.locator.pack()} if self.locator else {})


def read_metadata(file: ByteFile, region: Region) -> tuple[MetadataTable, Metadata]:
    """Read table and items from their region. Raises FormatError."""
    if region.length > REGION_MAX:
        raise FormatError(f"metadata region is {region.length} bytes, more than {REGION_MAX}")
    table = MetadataTable.parse(file.read(region.offset, TABLE_SIZE), region.length)
    wanted = [item for item in table.items if item.guid in (*FIXED_ITEMS, PARENT_LOCATOR) and not item.flags & IS_USER]
    items = {item.guid: file.read(region.offset + item.offset, item.length) for item in wanted}
    return table, Metadata.parse(items)


def pack_metadata(metadata: Metadata) -> bytes:
    """Encode table and items as the first bytes of a new region."""
    table = bytearray(TABLE_SIZE)
    body = bytearray()
    items = metadata.as_items()
    HEAD.pack_into(table, 0, SIGNATURE, 0, len(items), bytes(20))
    for index, (guid, data) in enumerate(items.items()):
        _length, flags = FIXED_ITEMS.get(guid, (len(data), IS_REQUIRED))
        item = Item(guid, TABLE_SIZE + len(body), len(data), flags)
        start = HEAD.size + index * ENTRY.size
        table[start : start + ENTRY.size] = item.pack()
        body += data
    return bytes(table + body)
