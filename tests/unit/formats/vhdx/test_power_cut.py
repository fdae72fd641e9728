# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a power cut leaves: flushed data, and of each later write every sector old or new, never another block's."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain, check_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import create_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.merge import merge_child, relink
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB

from ..byte_files import Fuse, Injected, MemoryFile, PowerCutFile
from .disks import PATHS, SECTOR, base, child_of, content, geometry, locator_of, random_range, scribble, writable

SIZE = 6 * MiB + 5 * SECTOR


class History:
    """What each sector may hold after a cut: its flushed content, and everything written to it since."""

    def __init__(self, flushed: bytearray) -> None:
        self.now = flushed
        self._older: dict[int, set[bytes]] = {}

    def change(self, offset: int, data: bytes) -> None:
        for start in range(offset, offset + len(data), SECTOR):
            self._older.setdefault(start, set()).add(bytes(self.now[start : start + SECTOR]))
        self.now[offset : offset + len(data)] = data

    def flushed(self) -> None:
        self._older.clear()

    def accept(self, found: bytearray) -> None:
        """Take over what a cut left, if every sector is one it may be."""
        for start in range(0, len(found), SECTOR):
            sector = bytes(found[start : start + SECTOR])
            allowed = self._older.get(start, set()) | {bytes(self.now[start : start + SECTOR])}
            assert sector in allowed, f"sector at {start} holds what was never written to it"
        self.now = bytearray(found)
        self._older.clear()


def work(chain: Chain, history: History, *, chance: random.Random, steps: int) -> None:
    for _turn in range(steps):
        offset, length = random_range(chance, SIZE)
        choice = chance.random()
        data = chance.randbytes(length) if choice < 0.5 else bytes(length)
        if choice < 0.8:
            history.change(offset, data)
            (chain.write if choice < 0.5 else lambda at, zeros: chain.zero(at, len(zeros)))(offset, data)
        else:
            chain.flush()
            history.flushed()
    chain.flush()
    history.flushed()


def cut_once(leaf: MemoryFile, parents: list[MemoryFile], history: History, *, chance: random.Random) -> MemoryFile:
    """Work until the power fails somewhere, or nowhere; return the leaf as found afterwards, verified."""
    file = PowerCutFile(leaf, Fuse(chance.randrange(1, 80)))
    try:
        work(writable(file, *parents), history, chance=chance, steps=8)
    except Injected:
        pass
    after = file.cut(chance)
    assert check_chain([after, *parents], after_crash=True) == []
    history.accept(content([after, *parents]))
    return after


def power_cuts(seed: int, *, layers: int, rounds: int) -> None:
    chance = random.Random(seed)
    files = [base(geometry(SIZE, block_size=MiB))]
    shadow = bytearray(SIZE)
    for _turn in range(layers):
        chain = writable(*files)
        scribble(chain, shadow, chance=chance, steps=6)
        chain.flush()
        files.insert(0, child_of(files[0], block_size=chance.choice((1, 2)) * MiB))
    leaf, parents = files[0], files[1:]
    history = History(shadow)
    for _turn in range(rounds):
        leaf = cut_once(leaf, parents, history, chance=chance)
    chain = writable(leaf, *parents)
    chain.prepare()  # so that the leaf is repaired even when nothing changes
    work(chain, history, chance=chance, steps=3)
    assert content([leaf, *parents]) == history.now
    assert check_chain([leaf, *parents]) == []


@pytest.mark.parametrize("seed", range(12))
def test_power_cut_in_base_keeps_flushed_data(seed):
    power_cuts(seed, layers=0, rounds=8)


@pytest.mark.parametrize("seed", range(12))
def test_power_cut_in_child_keeps_flushed_data(seed):
    power_cuts(seed, layers=1 + seed % 2, rounds=8)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 400))
def test_power_cuts_for_long(seed):
    power_cuts(seed, layers=seed % 3, rounds=12)


def merged_until_cut(files: list[MemoryFile], *, fail_at: int, chance: random.Random) -> list[MemoryFile] | None:
    """Merge the second file of three into the base; return the files after a cut, None when it went through."""
    fuse = Fuse(fail_at)
    middle, bottom = (PowerCutFile(file, fuse) for file in files[1:])
    try:
        merge_child(middle, bottom, new_id=uuid4)
    except Injected:
        return [files[0], middle.cut(chance), bottom.cut(chance)]
    files[1:] = [middle.durable, bottom.durable]
    return None


def three_layers(chance: random.Random) -> tuple[list[MemoryFile], bytearray]:
    files, shadow = [base(geometry(SIZE))], bytearray(SIZE)
    for layer in range(3):
        if layer:
            files.insert(0, child_of(files[0]))
        chain = writable(*files)
        scribble(chain, shadow, chance=chance, steps=8)
        chain.flush()
    return files, shadow


@pytest.mark.parametrize("seed", range(3))
def test_power_cut_anywhere_in_merge_leaves_chain_as_it_was(seed):
    chance = random.Random(seed)
    files, shadow = three_layers(chance)
    fail_at = 1
    while after := merged_until_cut([file.copy() for file in files], fail_at=fail_at, chance=chance):
        assert content(after) == shadow
        merge_child(after[1], after[2], new_id=uuid4)
        assert content(after) == shadow
        relink(after[0], Image.open(after[2]), locator=PATHS, new_id=uuid4)
        assert content([after[0], after[2]]) == shadow
        assert check_chain([after[0], after[2]]) == []
        fail_at += 1
    assert fail_at > 10


@pytest.mark.parametrize("seed", range(3))
def test_power_cut_in_relink_leaves_old_or_new_parent(seed):
    chance = random.Random(seed)
    (leaf, middle, bottom), shadow = three_layers(chance)
    merge_child(middle, bottom, new_id=uuid4)
    parent = Image.open(bottom)
    for fail_at in range(1, 12):
        file = PowerCutFile(leaf.copy(), Fuse(fail_at))
        try:
            relink(file, parent, locator=PATHS, new_id=uuid4)
        except Injected:
            pass
        after = file.cut(chance)
        linkage = locator_of(after).linkages
        below = [bottom] if linkage == (parent.data_write_guid,) else [middle, bottom]
        assert content([after, *below]) == shadow


@pytest.mark.parametrize("seed", range(5))
def test_power_cut_in_create_leaves_no_image_or_a_sound_one(seed):
    chance = random.Random(seed)
    for fail_at in range(1, 12):
        file = PowerCutFile(MemoryFile(), Fuse(fail_at))
        try:
            create_image(file, geometry(), new_id=uuid4)
        except Injected:
            pass
        after = file.cut(chance)
        if after.size() and after.read(0, 8) == b"vhdxfile":
            assert check_image(after) == []
            assert content([after]) == bytes(8 * MiB)
        else:
            with pytest.raises(FormatError, match="VHDX"):
                Image.open(after)
