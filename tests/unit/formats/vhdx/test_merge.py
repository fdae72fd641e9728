# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging a child into its parent, and giving a child another parent."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError, RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import State
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import ParentPaths
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.merge import merge_child, relink
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB

from ..byte_files import FailingFile, Fuse, Injected, MemoryFile
from .disks import PATHS, base, child_of, content, geometry, locator_of, scribble, writable
from .test_image import set_entry

SIZE = 5 * MiB + 512


def layers(count: int, *, seed: int) -> tuple[list[MemoryFile], list[bytearray]]:
    """Return a chain, leaf first, and what the disk reads when each file is the leaf."""
    chance = random.Random(seed)
    files: list[MemoryFile] = []
    shadows: list[bytearray] = []
    shadow = bytearray(SIZE)
    for _turn in range(count):
        block_size = chance.choice((1, 2, 32)) * MiB
        files.insert(0, child_of(files[0], block_size=block_size) if files else base(geometry(SIZE)))
        chain = writable(*files)
        scribble(chain, shadow, chance=chance, steps=8)
        chain.flush()
        shadows.insert(0, bytearray(shadow))
    return files, shadows


@pytest.mark.parametrize("seed", range(6))
def test_middle_image_is_merged_into_the_base(seed):
    (leaf, middle, bottom), shadows = layers(3, seed=seed)
    merge_child(middle, bottom, new_id=uuid4)
    assert content([bottom]) == shadows[1]
    assert content([leaf, middle, bottom]) == shadows[0]
    relink(leaf, Image.open(bottom), locator=PATHS, new_id=uuid4)
    assert content([leaf, bottom]) == shadows[0]
    assert check_chain([leaf, bottom]) == []


@pytest.mark.parametrize("seed", range(6))
def test_image_is_merged_into_a_parent_that_has_a_parent(seed):
    files, shadows = layers(4, seed=100 + seed)
    merge_child(files[1], files[2], grandparents=files[3:], new_id=uuid4)
    assert content(files[2:]) == shadows[1]
    relink(files[0], Image.open(files[2]), locator=PATHS, new_id=uuid4)
    del files[1]
    assert content(files) == shadows[0]
    assert check_chain(files) == []


def test_leaf_is_merged_into_its_parent():
    (leaf, bottom), shadows = layers(2, seed=3)
    merge_child(leaf, bottom, new_id=uuid4)
    assert content([bottom]) == shadows[0]
    assert check_chain([bottom]) == []


@pytest.mark.parametrize("state", [State.UNDEFINED, State.ZERO, State.UNMAPPED])
def test_zeros_of_the_child_hide_what_lies_below_after_the_merge(state):
    bottom = base()
    (chain := writable(bottom)).write(0, b"b" * 8 * MiB)
    chain.flush()
    middle = child_of(bottom)
    leaf = child_of(middle)
    set_entry(leaf, 1, state)
    merge_child(leaf, middle, grandparents=[bottom], new_id=uuid4)
    assert content([middle, bottom]) == b"b" * MiB + bytes(MiB) + b"b" * 6 * MiB


def test_merge_can_be_repeated():
    (leaf, middle, bottom), shadows = layers(3, seed=4)
    for _turn in range(3):
        merge_child(middle, bottom, new_id=uuid4)
        assert content([leaf, middle, bottom]) == shadows[0]
        assert content([bottom]) == shadows[1]


def test_failure_at_any_call_leaves_the_chain_readable_and_the_merge_repeatable():
    files, shadows = layers(3, seed=5)
    fail_at = 0
    while True:
        fail_at += 1
        fuse, (leaf, middle, bottom) = Fuse(fail_at), [file.copy() for file in files]
        try:
            merge_child(FailingFile(middle, fuse), FailingFile(bottom, fuse), new_id=uuid4)
            relink(FailingFile(leaf, fuse), Image.open(bottom), locator=PATHS, new_id=uuid4)
        except Injected:
            relinked = Image.open(bottom).data_write_guid in locator_of(leaf).linkages
            assert content([leaf, bottom] if relinked else [leaf, middle, bottom]) == shadows[0]
        else:
            break
        merge_child(middle, bottom, new_id=uuid4)
        relink(leaf, Image.open(bottom), locator=PATHS, new_id=uuid4)
        assert content([leaf, bottom]) == shadows[0]
        assert check_chain([leaf, bottom]) == []
    assert fail_at > 15


def test_parent_gets_a_new_identity_and_the_child_keeps_its_own():
    (leaf, bottom), _unused = layers(2, seed=6)
    old_leaf, old_bottom = Image.open(leaf), Image.open(bottom)
    merge_child(leaf, bottom, new_id=uuid4)
    assert Image.open(bottom).data_write_guid != old_bottom.data_write_guid
    assert Image.open(leaf).data_write_guid == old_leaf.data_write_guid
    assert Image.open(leaf).file_write_guid != old_leaf.file_write_guid


def test_relink_writes_paths_and_a_single_linkage():
    (leaf, middle, bottom), _unused = layers(3, seed=7)
    merge_child(middle, bottom, new_id=uuid4)
    parent = Image.open(bottom)
    paths = ParentPaths(relative=".\\" + "x" * 900, absolute="D:\\y", volume="\\\\?\\Volume{1}\\y")
    for _turn in range(3):
        relink(leaf, parent, locator=paths, new_id=uuid4)
    locator = locator_of(leaf)
    assert locator.linkages == (parent.data_write_guid,)
    assert dict(locator.pairs) == paths.as_pairs() | {"parent_linkage": f"{{{parent.data_write_guid}}}"}


def test_merge_of_different_sizes_is_refused():
    parent = base()
    child = child_of(parent, virtual_size=9 * MiB)
    before = parent.read(0, parent.size())
    with pytest.raises(StateError) as caught:
        merge_child(child, parent, new_id=uuid4)
    assert caught.value.reason == "size_differs"
    assert parent.read(0, parent.size()) == before


def test_merge_of_strangers_is_refused_and_changes_nothing():
    child, stranger = child_of(base()), base()
    before = stranger.read(0, stranger.size()), child.read(0, child.size())
    for first, second in ((child, stranger), (stranger, child), (stranger, stranger)):
        with pytest.raises(FormatError) as caught:
            merge_child(first, second, new_id=uuid4)
        assert caught.value.reason == "chain_broken"
    assert (stranger.read(0, stranger.size()), child.read(0, child.size())) == before


def test_relink_of_a_base_or_to_another_disk_is_refused():
    parent, stranger = base(), base()
    with pytest.raises(RequestError, match="no parent"):
        relink(parent, Image.open(stranger), locator=PATHS, new_id=uuid4)
    with pytest.raises(RequestError, match="disk"):
        relink(child_of(parent), Image.open(stranger), locator=PATHS, new_id=uuid4)


def test_relinked_child_is_refused_by_its_old_parent():
    (leaf, middle, bottom), _unused = layers(3, seed=8)
    merge_child(middle, bottom, new_id=uuid4)
    relink(leaf, Image.open(bottom), locator=PATHS, new_id=uuid4)
    with pytest.raises(FormatError, match="another content"):
        Chain.open([leaf, middle, bottom])
