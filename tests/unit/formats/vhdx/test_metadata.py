# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata table and the items that describe the disk."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import ParentLocator
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.metadata import (
    ENTRY,
    FILE_PARAMETERS,
    HEAD,
    INCOMPLETE,
    IS_REQUIRED,
    IS_USER,
    PARENT_LOCATOR,
    TABLE_SIZE,
    VIRTUAL_DISK_SIZE,
    Item,
    Metadata,
    MetadataTable,
    pack_metadata,
    read_metadata,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.region_table import METADATA, Region
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB, TiB

from ..byte_files import MemoryFile
from .disks import PATHS

DISK = Metadata(
    block_size=2 * MiB,
    leave_allocated=False,
    virtual_size=TiB,
    disk_id=uuid4(),
    logical_sector_size=512,
    physical_sector_size=4096,
    locator=None,
)
CHILD = replace(DISK, locator=ParentLocator.of(PATHS, linkage=uuid4()))
REGION = Region(METADATA, MiB, MiB, required=True)


def read(data: bytes) -> tuple[MetadataTable, Metadata]:
    file = MemoryFile()
    file.resize(2 * MiB)
    file.write(REGION.offset, data)
    return read_metadata(file, REGION)


def table_of(*items: Item) -> bytes:
    data = bytearray(TABLE_SIZE)
    HEAD.pack_into(data, 0, b"metadata", 0, len(items), bytes(20))
    for index, item in enumerate(items):
        data[HEAD.size + index * ENTRY.size : HEAD.size + (index + 1) * ENTRY.size] = item.pack()
    return bytes(data)


def test_sizes_are_those_of_the_specification():
    assert (HEAD.size, ENTRY.size, TABLE_SIZE) == (32, 32, 65536)


@pytest.mark.parametrize("metadata", [DISK, CHILD, replace(DISK, leave_allocated=True)])
def test_metadata_survives_packing(metadata):
    assert read(pack_metadata(metadata))[1] == metadata


def test_items_lie_where_windows_puts_them():
    table, _unused = read(pack_metadata(CHILD))
    assert [item.offset for item in table.items] == [65536, 65544, 65552, 65556, 65560, 65576]
    assert [item.flags for item in table.items] == [4, 6, 6, 6, 6, 4]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"block_size": 3 * MiB}, "block size"),
        ({"block_size": 512 * MiB}, "block size"),
        ({"block_size": 512 * KiB}, "block size"),
        ({"virtual_size": 0}, "virtual size 0"),
        ({"virtual_size": 64 * TiB + 512}, "64 TiB"),
        ({"virtual_size": MiB + 1}, "no multiple"),
        ({"logical_sector_size": 0}, "sector sizes"),
        ({"physical_sector_size": 1024}, "sector sizes"),
    ],
)
def test_impossible_disk_is_rejected(change, sentence):
    with pytest.raises(FormatError, match=sentence):
        read(pack_metadata(replace(DISK, **change)))


@pytest.mark.parametrize("missing", DISK.as_items())
def test_missing_item_is_rejected(missing):
    items = DISK.as_items()
    del items[missing]
    with pytest.raises(FormatError, match=str(missing)):
        Metadata.parse(items)


def test_reserved_file_parameters_are_rejected():
    with pytest.raises(FormatError, match="reserved bits"):
        Metadata.parse(DISK.as_items() | {FILE_PARAMETERS: (4 << 32 | MiB).to_bytes(8, "little")})


def test_child_without_locator_is_rejected():
    items = CHILD.as_items()
    del items[PARENT_LOCATOR]
    with pytest.raises(FormatError, match="no parent locator"):
        Metadata.parse(items)


SIZE_ITEM = Item(VIRTUAL_DISK_SIZE, TABLE_SIZE, 8, IS_REQUIRED)
OTHER = UUID(int=7)


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        ([SIZE_ITEM, SIZE_ITEM], "listed twice"),
        ([SIZE_ITEM, Item(OTHER, TABLE_SIZE + 4, 8, 0)], "overlap"),
        ([Item(OTHER, TABLE_SIZE, 8, 8)], "reserved bits"),
        ([Item(OTHER, TABLE_SIZE, 8, IS_USER | IS_REQUIRED)], "marked as required"),
        ([Item(OTHER, TABLE_SIZE - 8, 8, 0)], "outside"),
        ([Item(OTHER, MiB - 4, 8, 0)], "outside"),
        ([Item(OTHER, TABLE_SIZE, MiB + 1, 0)], "outside"),
        ([Item(OTHER, 5, 0, 0)], "empty metadata item"),
        ([Item(OTHER, TABLE_SIZE, 8, IS_REQUIRED)], "unknown"),
        ([Item(UUID(int=n), 0, 0, IS_USER) for n in range(1025)], "1024 user"),
    ],
)
def test_bad_table_is_rejected(items, sentence):
    with pytest.raises(FormatError, match=sentence):
        MetadataTable.parse(table_of(*items), MiB)


def test_unfinished_file_is_rejected():
    with pytest.raises(FormatError) as caught:
        MetadataTable.parse(table_of(Item(INCOMPLETE, 0, 0, IS_REQUIRED)), MiB)
    assert caught.value.reason == "incomplete_file"


def test_unknown_item_that_is_not_required_is_kept():
    item = Item(OTHER, TABLE_SIZE + 100, 8, IS_USER)
    assert MetadataTable.parse(table_of(item), MiB).items == (item,)


def test_free_place_lies_in_the_first_gap_that_is_long_enough():
    table = MetadataTable((Item(OTHER, TABLE_SIZE + 8, 8, 0), Item(UUID(int=8), TABLE_SIZE + 32, 8, 0)))
    assert table.free_offset(8, MiB) == TABLE_SIZE
    assert table.free_offset(16, MiB) == TABLE_SIZE + 16
    assert table.free_offset(17, MiB) == TABLE_SIZE + 40


def test_full_region_is_an_error():
    with pytest.raises(FormatError) as caught:
        MetadataTable((Item(OTHER, TABLE_SIZE, 8, 0),)).free_offset(8, TABLE_SIZE + 8)
    assert caught.value.reason == "metadata_full"


def test_excessive_region_is_rejected_before_it_is_read():
    with pytest.raises(FormatError, match="metadata region"):
        read_metadata(MemoryFile(), Region(METADATA, MiB, 129 * MiB, required=True))


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=4))
def test_any_entries_give_a_table_or_format_error(entries):
    head = HEAD.pack(b"metadata", 0, len(entries), bytes(20))
    try:
        MetadataTable.parse((head + b"".join(entries)).ljust(TABLE_SIZE, b"\0"), MiB)
    except FormatError:
        pass


@given(st.dictionaries(st.sampled_from([*CHILD.as_items()]), st.binary(max_size=20)))
def test_any_items_give_metadata_or_format_error(items):
    try:
        Metadata.parse(CHILD.as_items() | items)
    except FormatError:
        pass
