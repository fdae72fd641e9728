# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual disks made of several images."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError, RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB

from ..byte_files import CountingFile, MemoryFile
from .disks import base, child_of, content, geometry, read, scribble, writable


@pytest.mark.parametrize("block_mib", [1, 2, 32, 256])
@pytest.mark.parametrize("allocation", Allocation)
def test_random_work_through_children_reads_like_a_bytearray(block_mib, allocation):
    chance = random.Random(block_mib)
    size = 7 * MiB + 512 * 3
    files = [base(geometry(size, block_size=block_mib * MiB, allocation=allocation))]
    shadow = bytearray(size)
    for layer in range(4):
        if layer:
            files.insert(0, child_of(files[0], block_size=chance.choice((1, 2, block_mib)) * MiB))
        chain = writable(*files)
        scribble(chain, shadow, chance=chance, steps=15)
        assert content(chain) == shadow
        chain.flush()
        assert content(files) == shadow
        assert check_chain(files) == []


RANGE = st.tuples(st.integers(0, 4 * 2048 + 6), st.integers(0, 3 * 2048))
STEPS = st.lists(st.tuples(st.sampled_from(("write", "zero", "flush", "reopen", "child")), RANGE), max_size=12)


@given(STEPS, st.integers(1, 2))
def test_any_steps_read_like_a_bytearray(steps, block_mib):
    size = 4 * MiB + 512 * 7
    files, shadow = [base(geometry(size, block_size=block_mib * MiB))], bytearray(size)
    chain = writable(*files)
    for number, (step, (sector, count)) in enumerate(steps):
        offset, length = sector * 512, min(count * 512, size - sector * 512)
        if step in ("write", "zero"):
            data = bytes([number + 1 if step == "write" else 0]) * length
            chain.write(offset, data) if step == "write" else chain.zero(offset, length)
            shadow[offset : offset + length] = data
            continue
        chain.flush()
        if step == "child":
            files.insert(0, child_of(files[0], block_size=block_mib * MiB))
        if step != "flush":
            chain = writable(*files)
    assert content(chain) == shadow
    chain.flush()
    assert content(files) == shadow
    assert check_chain(files) == []


def test_reads_of_any_alignment_agree():
    chance = random.Random(9)
    files, shadow = [base()], bytearray(8 * MiB)
    scribble(chain := writable(*files), shadow, chance=chance, steps=10)
    chain.flush()
    files.insert(0, child_of(files[0]))
    scribble(chain := writable(*files), shadow, chance=chance, steps=30)
    for _turn in range(300):
        offset = chance.randrange(len(shadow))
        length = chance.randrange(min(2 * MiB, len(shadow) - offset) + 1)
        assert read(chain, offset, length) == shadow[offset : offset + length]


def test_contiguous_blocks_are_read_with_one_call():
    file = CountingFile(base(geometry(8 * MiB, allocation=Allocation.FIXED)))
    chain = Chain.open([file])
    file.reads.clear()
    assert read(chain, 100, 7 * MiB) == bytes(7 * MiB)
    assert file.reads == [(4 * MiB + 100, 7 * MiB)]


def test_contiguous_blocks_of_a_child_are_read_with_one_call():
    parent = base()
    chain = writable(file := CountingFile(child_of(parent)), parent)
    chain.write(MiB, b"c" * 5 * MiB)
    file.reads.clear()
    assert read(chain, 0, 8 * MiB) == bytes(MiB) + b"c" * 5 * MiB + bytes(2 * MiB)
    assert file.reads == [(4 * MiB, 5 * MiB)]


def test_allocated_is_what_any_layer_stores_and_no_layer_above_zeroes():
    parent = base()
    chain = writable(parent)
    chain.write(MiB, b"p" * 3 * MiB)
    chain.flush()
    child = child_of(parent)
    chain = writable(child, parent)
    chain.zero(2 * MiB, MiB)
    chain.write(6 * MiB + 512, b"c" * 512)
    chain.flush()
    chain = Chain.open([child, parent])
    assert chain.allocated() == [Extent(MiB, MiB), Extent(3 * MiB, MiB), Extent(6 * MiB + 512, 512)]


def test_everything_outside_allocated_is_zero():
    chance = random.Random(5)
    files, shadow = [base()], bytearray(8 * MiB)
    for _turn in range(3):
        scribble(chain := writable(*files), shadow, chance=chance, steps=5)
        chain.flush()
        for extent in Chain.open(files).allocated():
            shadow[extent.offset : extent.end] = bytes(extent.length)
        assert not any(shadow)
        shadow = content(files)
        files.insert(0, child_of(files[0]))


def test_child_larger_than_its_parent_reads_zero_behind_it():
    parent = base(geometry(2 * MiB + 512))
    (chain := writable(parent)).write(0, b"p" * (2 * MiB + 512))
    chain.flush()
    child = child_of(parent, virtual_size=5 * MiB)
    chain = writable(child, parent)
    assert content(chain) == b"p" * (2 * MiB + 512) + bytes(3 * MiB - 512)
    assert chain.allocated() == [Extent(0, 2 * MiB + 512)]
    chain.write(2 * MiB, b"c" * 512)
    assert read(chain, 2 * MiB, 1536) == b"c" * 512 + bytes(1024)


def test_small_layer_in_the_middle_hides_what_lies_behind_it():
    bottom = base(geometry(4 * MiB))
    (chain := writable(bottom)).write(0, b"b" * 4 * MiB)
    chain.flush()
    middle = child_of(bottom, virtual_size=MiB)
    top = child_of(middle, virtual_size=4 * MiB)
    assert content([top, middle, bottom]) == b"b" * MiB + bytes(3 * MiB)


def test_geometry_is_that_of_a_copy():
    parent = base(geometry(block_size=32 * MiB, allocation=Allocation.FIXED))
    child = child_of(parent, virtual_size=9 * MiB)
    found = Chain.open([child, parent]).geometry
    assert (found.virtual_size, found.block_size, found.allocation) == (9 * MiB, 32 * MiB, Allocation.FIXED)


def test_parent_that_changed_breaks_the_chain():
    parent = base()
    child = child_of(parent)
    (chain := writable(parent)).write(0, b"x" * 512)
    chain.flush()
    with pytest.raises(FormatError, match="another content") as caught:
        Chain.open([child, parent])
    assert caught.value.reason == "chain_broken"


def test_files_that_do_not_belong_together_are_refused():
    parent, stranger = base(), base()
    child = child_of(parent)
    for files in ([child], [child, stranger], [parent, child], [parent, stranger]):
        with pytest.raises(FormatError) as caught:
            Chain.open(files)
        assert caught.value.reason == "chain_broken"


def test_number_of_files_is_bounded():
    file = base()
    for files in ([], [file] * 257):
        with pytest.raises(RequestError, match="1 to 256"):
            Chain.open(files)


def test_deepest_chain_is_read_and_written():
    files = [base(geometry(2 * MiB))]
    (chain := writable(*files)).write(512, b"b" * 512)
    chain.flush()
    for _turn in range(255):
        files.insert(0, child_of(files[0]))
    chain = writable(*files)
    chain.write(1024, b"l" * 512)
    assert content(chain) == bytes(512) + b"b" * 512 + b"l" * 512 + bytes(2 * MiB - 1536)


def test_opening_and_closing_a_writable_chain_changes_nothing():
    file = base()
    before = file.read(0, file.size())
    chain = writable(file)
    chain.zero(0, 8 * MiB)
    chain.flush()
    chain.close()
    assert file.read(0, file.size()) == before
    assert file.closed


def test_read_only_chain_refuses_to_write():
    chain = Chain.open([base()])
    for act in (lambda: chain.write(0, bytes(512)), lambda: chain.zero(0, 512), chain.flush, chain.prepare):
        with pytest.raises(StateError) as caught:
            act()
        assert caught.value.reason == "read_only"


def test_writing_needs_a_source_of_ids():
    with pytest.raises(RequestError, match="new ids"):
        Chain.open([base()], writable=True)


@pytest.mark.parametrize(("offset", "length"), [(-512, 512), (8 * MiB, 512), (8 * MiB - 512, 1024), (0, -512)])
def test_ranges_outside_the_disk_are_refused(offset, length):
    chain = writable(base())
    with pytest.raises(RequestError, match="outside"):
        chain.zero(offset, length)
    if length > 0:
        with pytest.raises(RequestError, match="outside"):
            chain.read_into(offset, memoryview(bytearray(length)))


@pytest.mark.parametrize(("offset", "length"), [(1, 512), (0, 511)])
def test_parts_of_sectors_are_not_written(offset, length):
    chain = writable(base())
    with pytest.raises(RequestError, match="whole sectors"):
        chain.write(offset, bytes(length))


def test_large_sectors_are_read_but_not_written():
    file = base()
    image = Image.open(file)
    item = next(item for item in image.items.items if item.offset == 65552)
    file.write(image.regions.metadata.offset + item.offset, (4096).to_bytes(4, "little"))
    assert not any(content([file]))
    with pytest.raises(RequestError) as caught:
        Chain.open([file], writable=True, new_id=uuid4)
    assert caught.value.reason == "sector_size_unsupported"


def test_parents_are_never_written():
    parent = base()
    (chain := writable(parent)).write(0, b"p" * MiB)
    chain.flush()
    before = parent.read(0, parent.size())
    child = child_of(parent)
    scribble(chain := writable(child, parent), bytearray(8 * MiB), chance=random.Random(1), steps=20)
    chain.flush()
    assert parent.read(0, parent.size()) == before


def test_empty_file_is_no_image():
    with pytest.raises(FormatError):
        Chain.open([MemoryFile()])
