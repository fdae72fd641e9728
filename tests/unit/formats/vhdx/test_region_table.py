# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The region table and its two copies."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.checksum import seal
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.region_table import (
    BAT,
    COPIES,
    ENTRY,
    HEAD,
    METADATA,
    SIZE,
    Region,
    RegionTable,
    RegionTableCopies,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from ..byte_files import MemoryFile

BAT_REGION = Region(BAT, 3 * MiB, MiB, required=True)
METADATA_REGION = Region(METADATA, 2 * MiB, MiB, required=True)
TABLE = RegionTable((BAT_REGION, METADATA_REGION))


def file_with(*copies: bytes) -> MemoryFile:
    file = MemoryFile()
    file.resize(320 * KiB)
    for offset, data in zip(COPIES, copies, strict=True):
        file.write(offset, data)
    return file


def test_sizes_are_those_of_the_specification():
    assert (HEAD.size, ENTRY.size, SIZE, COPIES) == (16, 32, 65536, (196608, 262144))


def test_table_survives_packing():
    table = RegionTable((*TABLE.regions, Region(uuid4(), 9 * MiB, 2 * MiB, required=False)))
    assert RegionTable.parse(table.pack()) == table
    assert (table.bat, table.metadata) == (BAT_REGION, METADATA_REGION)


def test_table_with_flipped_bit_is_rejected():
    data = TABLE.pack()
    for bit in random.Random(2).sample(range(8 * SIZE), 100):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            RegionTable.parse(bytes(broken))


BAD = {
    "missing": (BAT_REGION,),
    "listed twice": (BAT_REGION, METADATA_REGION, Region(BAT, 5 * MiB, MiB, required=True)),
    "overlap": (BAT_REGION, Region(METADATA, 2 * MiB, 2 * MiB, required=True)),
    "whole MiB": (BAT_REGION, Region(METADATA, 2 * MiB + 4096, MiB, required=True)),
    "0 bytes at": (BAT_REGION, Region(METADATA, 2 * MiB, 0, required=True)),
    "at 0": (BAT_REGION, Region(METADATA, 0, MiB, required=True)),
    "unknown": (*TABLE.regions, Region(uuid4(), 5 * MiB, MiB, required=True)),
}


@pytest.mark.parametrize("sentence", BAD)
def test_bad_regions_are_rejected(sentence):
    with pytest.raises(FormatError, match=sentence):
        RegionTable.parse(RegionTable(BAD[sentence]).pack())


@pytest.mark.parametrize(("offset", "value"), [(8, 2048), (12, 1), (HEAD.size + 28, 3)])
def test_reserved_or_excessive_fields_are_rejected(offset, value):
    data = bytearray(TABLE.pack())
    data[offset : offset + 4] = value.to_bytes(4, "little")
    with pytest.raises(FormatError):
        RegionTable.parse(seal(data))


@given(st.binary(max_size=200), st.integers(0, 5))
def test_any_sealed_bytes_give_a_table_or_format_error(body, count):
    head = b"regi" + bytes(4) + count.to_bytes(4, "little") + bytes(4)
    try:
        RegionTable.parse(seal(bytearray((head + body).ljust(SIZE, b"\0"))))
    except FormatError:
        pass


def test_second_copy_serves_when_first_is_damaged_and_repairs_it():
    file = file_with(bytes(SIZE), TABLE.pack())
    copies = RegionTableCopies.read(file)
    assert (copies.table, copies.differing) == (TABLE, COPIES[0])
    copies.repair(file)
    assert RegionTableCopies.read(file).differing is None


def test_first_copy_counts_when_both_are_valid():
    other = RegionTable((BAT_REGION, Region(METADATA, 7 * MiB, MiB, required=True)))
    copies = RegionTableCopies.read(file_with(TABLE.pack(), other.pack()))
    assert (copies.table, copies.differing) == (TABLE, COPIES[1])


def test_equal_copies_need_no_repair():
    file = file_with(TABLE.pack(), TABLE.pack())
    copies = RegionTableCopies.read(file)
    before = file.read(0, file.size())
    copies.repair(file)
    assert (copies.differing, file.read(0, file.size())) == (None, before)


def test_two_damaged_copies_are_an_error():
    with pytest.raises(FormatError, match="neither region table"):
        RegionTableCopies.read(file_with(bytes(SIZE), bytes(SIZE)))
