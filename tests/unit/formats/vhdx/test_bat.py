# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The block allocation table."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import (
    BITMAP_BLOCK_SIZE,
    PAGE_ENTRIES,
    Bat,
    BatLayout,
    State,
    pack_entries,
    unpack_entries,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.space import Span
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB, TiB


def layout(virtual_size: int = 8 * MiB, *, block_size: int = 2 * MiB, has_parent: bool = False) -> BatLayout:
    return BatLayout(block_size, 512, virtual_size, has_parent)


def parse(shape: BatLayout, entries: dict[int, int]) -> Bat:
    table = array("Q", bytes(8 * shape.entry_count))
    for index, entry in entries.items():
        table[index] = entry
    return Bat.parse(shape, pack_entries(table))


@pytest.mark.parametrize(("block_mib", "ratio"), [(1, 4096), (2, 2048), (32, 128), (256, 16)])
def test_chunk_ratio_is_that_of_the_specification(block_mib, ratio):
    assert layout(block_size=block_mib * MiB).ratio == ratio
    assert BatLayout(block_mib * MiB, 4096, TiB, has_parent=False).ratio == 8 * ratio


def test_indexes_are_those_of_a_windows_child():
    shape = layout(8 * GiB, has_parent=True)
    assert [shape.bitmap_index(chunk) for chunk in (0, 1)] == [2048, 4097]
    assert [shape.payload_index(block) for block in (0, 2047, 2048)] == [0, 2047, 2049]


@pytest.mark.parametrize(
    ("blocks", "base_entries", "child_entries"),
    [(1, 1, 2049), (2048, 2048, 2049), (2049, 2050, 4098), (4096, 4097, 4098), (4097, 4099, 6147)],
)
def test_entry_counts(blocks, base_entries, child_entries):
    assert layout(blocks * 2 * MiB).entry_count == base_entries
    assert layout(blocks * 2 * MiB, has_parent=True).entry_count == child_entries


@given(st.integers(1, 64 * TiB // 512).map(lambda n: 512 * n), st.sampled_from([64, 128, 256]), st.booleans())
def test_payload_indexes_agree_with_each_other(virtual_size, block_mib, has_parent):
    shape = layout(virtual_size % (40 * TiB) or 512, block_size=block_mib * MiB, has_parent=has_parent)
    indexes = list(shape.payload_indexes())
    assert len(indexes) == shape.block_count
    assert indexes[-1] == shape.payload_index(shape.block_count - 1) < shape.entry_count
    bitmaps = {shape.bitmap_index(chunk) for chunk in range(shape.chunk_count)}
    assert not bitmaps & set(indexes)


def test_last_block_ends_with_the_disk():
    shape = layout(5 * MiB)
    assert [shape.block_end(block) for block in range(3)] == [2 * MiB, 4 * MiB, 5 * MiB]


def test_entries_are_little_endian():
    assert pack_entries(array("Q", [1 << 20 | 6])) == bytes([6, 0, 16, 0, 0, 0, 0, 0])
    assert unpack_entries(bytes([7] + [0] * 7)) == array("Q", [7])


def test_states_come_in_normal_form():
    bat = parse(layout(), {0: 5 * MiB, 1: 6 * MiB | State.ZERO, 2: 7 * MiB | 7, 3: 9 * MiB | State.UNMAPPED})
    expected = [State.NOT_PRESENT, State.ZERO, 7 * MiB | State.FULLY_PRESENT, 9 * MiB | State.UNMAPPED]
    assert list(bat.entries) == expected
    assert not bat.dirty


def test_bitmap_states_come_in_normal_form():
    shape = layout(has_parent=True)
    assert parse(shape, {2048: 5 * MiB | 7}).bitmap_place(0) == 5 * MiB
    assert parse(shape, {2048: 5 * MiB | 2}).bitmap_place(0) == 0


def test_bitmap_entries_of_a_base_mean_nothing():
    assert parse(layout(8 * GiB), {2048: 5 * MiB | 5}).used() == []


def test_used_places_include_anchors_and_bitmaps():
    bat = parse(layout(has_parent=True), {0: 5 * MiB | 7, 1: 9 * MiB | State.UNDEFINED, 2048: 4 * MiB | 6})
    assert bat.used() == [
        Span(5 * MiB, 7 * MiB),
        Span(9 * MiB, 11 * MiB),
        Span(4 * MiB, 4 * MiB + BITMAP_BLOCK_SIZE),
    ]


BAD = [
    (False, {0: 4}, "block 0 has the reserved"),
    (False, {1: 5 * MiB | 5}, "block 1 has the reserved"),
    (False, {1: 5 * MiB | 8}, "block 1 has the reserved"),
    (False, {2: 6}, "block 2 is stored, but nowhere"),
    (True, {0: 5 * MiB | 7}, "no sector bitmap"),
    (True, {2048: 4}, "sector bitmap 0 has the reserved"),
    (True, {2048: 6}, "sector bitmap 0 is stored, but nowhere"),
]


@pytest.mark.parametrize(("has_parent", "entries", "sentence"), BAD)
def test_illegal_entries_are_rejected(has_parent, entries, sentence):
    with pytest.raises(FormatError, match=sentence):
        parse(layout(has_parent=has_parent), entries)


def test_many_problems_are_named_in_one_error():
    with pytest.raises(FormatError, match=r"block 0 .*; block 3 ") as caught:
        parse(layout(), dict.fromkeys(range(4), 4))
    assert caught.value.reason == "bat_invalid"


def test_changed_entry_makes_its_page_dirty():
    bat = parse(layout(8 * GiB), {})
    bat.set(PAGE_ENTRIES + 1, state=State.FULLY_PRESENT, place=4 * MiB)
    assert bat.dirty == {1}
    assert bat.page(1)[8:16] == (4 * MiB | 6).to_bytes(8, "little")


def test_last_page_ends_with_the_table():
    bat = parse(layout(8 * GiB), {})
    assert len(bat.page(bat.layout.entry_count // PAGE_ENTRIES)) == bat.layout.entry_count % PAGE_ENTRIES * 8
