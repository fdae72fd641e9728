# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of extents against sets of bytes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import (
    Extent,
    after,
    coarsen,
    cut,
    grow,
    normalize,
    pack_pairs,
    subtract,
    total,
    unpack_pairs,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

SIZE = 256
lists = st.lists(st.builds(Extent, st.integers(0, SIZE), st.integers(0, 64)), max_size=12)


def covered(extents) -> set[int]:
    return {place for extent in extents for place in range(extent.offset, extent.end)}


def is_normal(extents: list[Extent]) -> bool:
    apart = all(first.end < second.offset for first, second in pairwise(extents))
    return apart and all(extent.length > 0 for extent in extents)


@given(lists)
def test_a_normal_list_covers_the_same_bytes_of_the_disk(extents):
    normal = normalize(extents, size=SIZE)
    assert is_normal(normal)
    assert covered(normal) == covered(extents) & set(range(SIZE))
    assert total(normal) == len(covered(normal))


@given(lists, st.sampled_from([1, 8, 32]))
def test_grown_extents_are_whole_grains_that_were_touched(extents, grain):
    grown = grow(extents, grain=grain, size=SIZE)
    grains = {place // grain for place in covered(normalize(extents, size=SIZE))}
    assert is_normal(grown)
    assert covered(grown) == {place for place in range(SIZE) if place // grain in grains}


@given(lists, st.integers(0, SIZE))
def test_after_drops_what_lies_below(extents, offset):
    normal = normalize(extents, size=SIZE)
    assert covered(after(normal, offset)) == {place for place in covered(normal) if place >= offset}


@given(lists, st.sampled_from([8, 16]))
def test_cut_parts_lie_in_one_unit_each_and_lose_nothing(extents, unit):
    normal = normalize(extents, size=SIZE)
    parts = list(cut(normal, unit=unit))
    assert all(part.offset // unit == (part.end - 1) // unit for part in parts)
    assert covered(parts) == covered(normal)
    assert parts == sorted(parts)


@given(lists)
def test_packed_pairs_come_back(extents):
    assert unpack_pairs(pack_pairs(extents)) == extents


def test_a_cut_pair_is_refused():
    with pytest.raises(FormatError, match="multiple of 16"):
        unpack_pairs(bytes(24))


def test_coarsened_extents_are_few_and_cover_all():
    size = 64 * MiB
    scattered = [Extent(offset, 4 * KiB) for offset in range(0, size, 128 * KiB)]
    few = coarsen(scattered, count_max=10, size=size)
    assert is_normal(few)
    assert len(few) <= 10
    assert all(any(wide.offset <= one.offset and one.end <= wide.end for wide in few) for one in scattered)
    assert coarsen(scattered, count_max=len(scattered), size=size) == scattered


@given(lists, lists)
def test_subtract_leaves_what_is_in_no_hole(extents, holes):
    extents, holes = normalize(extents, size=SIZE), normalize(holes, size=SIZE)
    left = subtract(extents, holes)
    assert is_normal(left)
    assert covered(left) == covered(extents) - covered(holes)
