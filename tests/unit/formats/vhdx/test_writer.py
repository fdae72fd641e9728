# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes into a leaf: identifiers, places, states, and what a failure or a foreign past leaves."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import STATE_MASK, State
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain, check_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.region_table import COPIES
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB

from ..byte_files import FailingFile, Fuse, Injected, MemoryFile, PowerCutFile
from .disks import base, child_of, content, geometry, read, scribble, writable
from .test_image import set_entry


def states(file: MemoryFile) -> list[int]:
    bat = Image.open(file).bat
    return [bat.payload(block) & STATE_MASK for block in range(bat.layout.block_count)]


def child_and_parent(fill: bytes = b"p") -> tuple[MemoryFile, MemoryFile]:
    parent = base()
    (chain := writable(parent)).write(0, fill * 8 * MiB)
    chain.flush()
    return child_of(parent), parent


def written(*files: MemoryFile, offset: int, data: bytes) -> None:
    chain = writable(*files)
    chain.write(offset, data)
    chain.flush()


def test_first_change_renews_both_identifiers_once():
    file = base()
    before = Image.open(file)
    chain = writable(file)
    chain.write(0, bytes(512))
    after = Image.open(file)
    chain.write(MiB, bytes(512))
    chain.flush()
    assert before.file_write_guid != after.file_write_guid
    assert before.data_write_guid != after.data_write_guid
    assert Image.open(file).header == after.header == chain.leaf.header


def test_identity_can_be_given_before_it_exists():
    file, wanted = base(), uuid4()
    chain = writable(file)
    chain.prepare(wanted)
    chain.write(0, bytes(512))
    assert Image.open(file).data_write_guid == wanted


def test_whole_block_in_a_child_is_full_without_bitmap():
    child, parent = child_and_parent()
    written(child, parent, offset=MiB, data=b"c" * MiB)
    assert states(child)[:3] == [0, State.FULLY_PRESENT, 0]
    assert Image.open(child).bat.bitmap_place(0) == 0


def test_part_of_a_block_in_a_child_is_partial_and_keeps_the_parents_rest():
    child, parent = child_and_parent()
    written(child, parent, offset=512, data=b"c" * 512)
    assert states(child)[0] == State.PARTIALLY_PRESENT
    assert read(Chain.open([child, parent]), 0, 1536) == b"p" * 512 + b"c" * 512 + b"p" * 512


def test_partial_block_becomes_full_with_its_last_sector():
    child, parent = child_and_parent()
    written(child, parent, offset=0, data=b"c" * (MiB - 512))
    assert states(child)[0] == State.PARTIALLY_PRESENT
    written(child, parent, offset=MiB - 512, data=b"c" * 512)
    assert states(child)[0] == State.FULLY_PRESENT


def test_part_of_a_block_in_a_base_is_full_and_zero_around():
    file = base()
    written(file, offset=512, data=b"x" * 512)
    assert states(file)[0] == State.FULLY_PRESENT
    assert read(Chain.open([file]), 0, MiB) == bytes(512) + b"x" * 512 + bytes(MiB - 1024)


@pytest.mark.parametrize("state", [State.UNDEFINED, State.ZERO, State.UNMAPPED])
def test_part_of_a_zero_block_in_a_child_hides_the_parent_still(state):
    child, parent = child_and_parent()
    set_entry(child, 0, state)
    written(child, parent, offset=512, data=b"c" * 512)
    assert states(child)[0] == State.FULLY_PRESENT
    assert read(Chain.open([child, parent]), 0, MiB) == bytes(512) + b"c" * 512 + bytes(MiB - 1024)


@pytest.mark.parametrize("state", [State.UNDEFINED, State.UNMAPPED])
def test_anchored_place_goes_to_its_own_block_only(state):
    file = base()
    file.resize(5 * MiB)
    file.write(4 * MiB, b"old" * 1000)
    set_entry(file, 3, 4 * MiB | state)
    written(file, offset=0, data=b"x" * 512)
    written(file, offset=3 * MiB + 512, data=b"y" * 512)
    bat = Image.open(file).bat
    assert [bat.payload(0) >> 20, bat.payload(3) >> 20] == [5, 4]
    assert read(Chain.open([file]), 3 * MiB, 1536) == bytes(512) + b"y" * 512 + bytes(512)


def test_zeroed_block_hides_the_parent_and_gives_its_place_back():
    child, parent = child_and_parent()
    written(child, parent, offset=0, data=b"c" * MiB)
    size = child.size()
    chain = writable(child, parent)
    chain.zero(0, 2 * MiB)
    chain.flush()
    assert states(child)[:3] == [State.ZERO, State.ZERO, 0]
    assert child.size() == size - MiB
    assert read(Chain.open([child, parent]), 0, 2 * MiB) == bytes(2 * MiB)


def test_zeros_over_zeros_take_no_place():
    file = base()
    chain = writable(file)
    chain.zero(512, 3 * MiB)
    chain.flush()
    assert states(file) == [0] * 8


def test_fixed_image_keeps_its_blocks_when_zeroed():
    file = base(geometry(allocation=Allocation.FIXED))
    written(file, offset=0, data=b"x" * 3 * MiB)
    chain = writable(file)
    chain.zero(0, 2 * MiB)
    chain.flush()
    assert set(states(file)) == {State.FULLY_PRESENT}
    assert content([file]) == bytes(2 * MiB) + b"x" * MiB + bytes(5 * MiB)


def test_freed_place_is_reused_after_the_flush_and_shows_nothing_of_its_past():
    file = base()
    written(file, offset=0, data=b"a" * 3 * MiB)
    chain = writable(file)
    chain.zero(0, MiB)
    chain.write(4 * MiB, b"b" * 512)
    chain.flush()
    chain.write(6 * MiB + 512, b"c" * 512)
    chain.flush()
    bat = Image.open(file).bat
    assert [bat.payload(block) >> 20 for block in (4, 6)] == [7, 4]
    assert read(Chain.open([file]), 6 * MiB, MiB) == bytes(512) + b"c" * 512 + bytes(MiB - 1024)


def test_last_block_is_clean_behind_the_end_of_the_disk():
    file = base(geometry(3 * MiB + 512))
    written(file, offset=0, data=b"a" * 3 * MiB)
    chain = writable(file)
    chain.zero(0, MiB)
    chain.flush()
    chain.write(3 * MiB, b"b" * 512)
    chain.flush()
    place = Image.open(file).bat.payload(3) & ~0xFFFFF
    assert file.read(place, MiB) == b"b" * 512 + bytes(MiB - 512)


def test_bitmap_in_a_reused_place_starts_clear():
    child, parent = child_and_parent()
    written(child, parent, offset=0, data=b"\xff" * 3 * MiB)
    chain = writable(child, parent)
    chain.zero(0, 2 * MiB)
    chain.flush()
    chain.write(5 * MiB, b"c" * 512)
    assert Image.open(child).bat.bitmap_place(0) == 0
    chain.flush()
    place = Image.open(child).bat.bitmap_place(0)
    assert place < child.size() - MiB
    assert child.read(place, MiB) == bytes(5 * MiB // 512 // 8) + b"\1" + bytes(MiB - 5 * MiB // 512 // 8 - 1)
    assert read(Chain.open([child, parent]), 5 * MiB, 1024) == b"c" * 512 + b"p" * 512


def leaf_with_stale_bits() -> tuple[MemoryFile, MemoryFile]:
    """A child whose block 0 was partial once: a foreign program made it transparent again and left the bits."""
    child, parent = child_and_parent()
    written(child, parent, offset=0, data=b"s" * (MiB - 512))
    set_entry(child, 0, State.NOT_PRESENT)
    return child, parent


def test_bits_of_an_earlier_life_are_cleared():
    child, parent = leaf_with_stale_bits()
    written(child, parent, offset=512, data=b"c" * 512)
    assert read(Chain.open([child, parent]), 0, MiB) == b"p" * 512 + b"c" * 512 + b"p" * (MiB - 1024)


@pytest.mark.parametrize("make", [leaf_with_stale_bits, child_and_parent])
def test_power_cut_in_first_partial_write_shows_old_or_new(make):
    old, new = b"p" * 1536, b"p" * 512 + b"c" * 512 + b"p" * 512
    chance = random.Random(1)
    start, parent = make()
    for fail_at in range(1, 25):
        file = PowerCutFile(start.copy(), Fuse(fail_at))
        try:
            written(file, parent, offset=512, data=b"c" * 512)
        except Injected:
            pass
        for after in (file.cut(chance) for _turn in range(60)):
            assert check_chain([after, parent], after_crash=True) == []
            assert read(Chain.open([after, parent]), 0, 1536) in (old, new)
    assert not file.fuse.blown


def test_bytes_behind_the_last_place_are_cut_off_before_they_can_show():
    file = base()
    file.write(4 * MiB, b"stale" * MiB)
    assert check_image(file) != []
    assert check_image(file, after_crash=True) == []
    written(file, offset=512, data=b"x" * 512)
    assert read(Chain.open([file]), 0, MiB) == bytes(512) + b"x" * 512 + bytes(MiB - 1024)
    assert check_image(file) == []


def test_region_tables_that_differ_are_made_equal():
    file = base()
    file.write(COPIES[0] + 100, b"x")
    assert check_image(file) == ["the region table at 196608 is not the one that counts"]
    written(file, offset=0, data=bytes(512))
    assert check_image(file) == []


def test_file_of_odd_length_is_brought_to_whole_mebibytes():
    file = base()
    file.resize(4 * MiB + 5)
    written(file, offset=0, data=b"x" * 512)
    assert file.size() == 5 * MiB


def assert_refuses_everything(chain: Chain) -> None:
    for act in (chain.flush, chain.allocated, lambda: read(chain, 0, 512), lambda: chain.write(0, bytes(512))):
        with pytest.raises(StateError) as caught:
            act()
        assert caught.value.reason == "image_failed"


@pytest.mark.parametrize("start", [(base(),), child_and_parent()], ids=["base", "child"])
def test_failure_at_any_call_poisons_the_chain_and_leaves_a_sound_image(start):
    leaf, *parents = start
    fail_at = 0
    while True:
        fail_at += 1
        fuse, after = Fuse(fail_at), leaf.copy()
        chain = writable(FailingFile(after, fuse), *parents)
        try:
            scribble(chain, bytearray(8 * MiB), chance=random.Random(7), steps=12)
            chain.flush()
        except Injected:
            assert_refuses_everything(chain)
        assert check_chain([after, *parents], after_crash=True) == []
        if not fuse.blown:
            break
    assert fail_at > 20
