# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One image: what is refused when it is opened, and where its content lies."""

from __future__ import annotations

import random
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import State
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.checksum import seal
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.header import SIZE, SLOTS
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image, Segment, Source
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.region_table import COPIES
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.region_table import SIZE as TABLE_SIZE
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from ..byte_files import MemoryFile
from .disks import base, child_of, geometry, writable

DATA, ZERO, ABSENT = Source.DATA, Source.ZERO, Source.ABSENT


def set_entry(file: MemoryFile, index: int, entry: int) -> None:
    file.write(Image.open(file).regions.bat.offset + 8 * index, entry.to_bytes(8, "little"))


def opened(file: MemoryFile) -> Image:
    return Image.open(file)


def test_identity_and_geometry_are_those_of_creation():
    shape = geometry(allocation=Allocation.FIXED)
    image = opened(base(shape))
    assert image.geometry == shape
    assert (image.has_parent, image.parent_locator, image.virtual_size) == (False, None, shape.virtual_size)
    assert image.file_write_guid != image.data_write_guid


def test_opening_writes_nothing():
    file = base()
    before = file.read(0, file.size())
    opened(file)
    assert file.read(0, file.size()) == before


def test_dirty_log_is_refused_with_a_way_out():
    file = base()
    for offset in SLOTS:
        header = bytearray(file.read(offset, SIZE))
        header[48:64] = uuid4().bytes_le
        file.write(offset, seal(header))
    with pytest.raises(FormatError, match="not closed cleanly") as caught:
        opened(file)
    assert caught.value.reason == "dirty_log"
    assert "Windows" in caught.value.hint


@pytest.mark.parametrize("size", [0, 4096, MiB - 1])
def test_short_file_is_no_image(size):
    file = base()
    file.resize(size)
    with pytest.raises(FormatError) as caught:
        opened(file)
    assert caught.value.reason == "not_vhdx"


def test_other_signature_is_no_image():
    file = base()
    file.write(0, b"conectix")
    with pytest.raises(FormatError, match="signature"):
        opened(file)


@pytest.mark.parametrize("size", [MiB, 2 * MiB, 3 * MiB])
def test_cut_file_is_refused(size):
    file = base()
    file.resize(size)
    with pytest.raises(FormatError, match="behind the end"):
        opened(file)


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({0: 2 * MiB | 6}, "overlap"),
        ({0: MiB | 6}, "overlap"),
        ({0: 4 * MiB | 6, 1: 4 * MiB | 6}, "overlap"),
        ({0: 4 * MiB | 6, 1: 4 * MiB | State.UNMAPPED}, "overlap"),
        ({0: 6 * MiB | 6}, "behind the end"),
        ({0: 2**64 - MiB | 6}, "behind the end"),
        ({0: 6 * MiB | State.UNDEFINED}, "behind the end"),
    ],
)
def test_places_that_cannot_be_are_refused(entries, sentence):
    file = base()
    file.resize(6 * MiB)
    for index, entry in entries.items():
        set_entry(file, index, entry)
    with pytest.raises(FormatError, match=sentence) as caught:
        opened(file)
    assert caught.value.reason == "place_invalid"


@pytest.mark.parametrize("state", [State.NOT_PRESENT, State.ZERO])
def test_place_of_a_block_without_data_means_nothing(state):
    file = base()
    set_entry(file, 0, 900 * MiB | state)
    assert next(opened(file).segments(0, 512)).source in (ABSENT, ZERO)


def test_table_longer_than_its_region_is_refused_before_it_is_read():
    file = base()
    image = opened(file)
    item = next(item for item in image.items.items if item.length == 8 and item.offset == 65544)
    file.write(image.regions.metadata.offset + item.offset, (2**46).to_bytes(8, "little"))
    with pytest.raises(FormatError, match="its region is shorter"):
        opened(file)


def test_states_say_where_content_comes_from():
    file = child_of(base(geometry(7 * MiB)))
    file.resize(8 * MiB)
    for index, entry in enumerate([0, 4 * MiB | 1, 2, 5 * MiB | 3, 6 * MiB | 6, 7 * MiB | 6]):
        set_entry(file, index, entry)
    assert list(opened(file).segments(0, 7 * MiB)) == [
        Segment(0, MiB, ABSENT, 0),
        Segment(MiB, 3 * MiB, ZERO, 0),
        Segment(4 * MiB, 2 * MiB, DATA, 6 * MiB),
        Segment(6 * MiB, MiB, ABSENT, 0),
    ]


def test_partial_block_is_told_sector_by_sector():
    parent = base()
    file = child_of(parent)
    chain = writable(file, parent)
    chain.write(1024, bytes(512))
    chain.write(MiB - 512, bytes(512))
    chain.flush()
    image = opened(file)
    place = image.bat.payload(0) & ~0xFFFFF
    assert list(image.segments(0, MiB + 512)) == [
        Segment(0, 1024, ABSENT, 0),
        Segment(1024, 512, DATA, place + 1024),
        Segment(1536, MiB - 2048, ABSENT, 0),
        Segment(MiB - 512, 512, DATA, place + MiB - 512),
        Segment(MiB, 512, ABSENT, 0),
    ]
    assert list(image.segments(1030, 10)) == [Segment(1030, 10, DATA, place + 1030)]
    assert list(image.segments(1020, 8)) == [Segment(1020, 4, ABSENT, 0), Segment(1024, 4, DATA, place + 1024)]


def test_partial_state_in_a_base_is_read_as_full():
    file = base()
    file.resize(5 * MiB)
    set_entry(file, 0, 4 * MiB | 7)
    assert next(opened(file).segments(0, 512)) == Segment(0, 512, DATA, 4 * MiB)


def test_flipped_bit_in_one_header_or_table_leaves_the_other():
    chance = random.Random(3)
    for offset, size in [*((slot, SIZE) for slot in SLOTS), *((copy, TABLE_SIZE) for copy in COPIES)]:
        for _turn in range(10):
            file = base()
            at = offset + chance.randrange(size)
            file.write(at, bytes([file.read(at, 1)[0] ^ 1 << chance.randrange(8)]))
            assert opened(file).virtual_size == 8 * MiB


def test_flipped_bits_in_both_headers_or_tables_are_refused():
    chance = random.Random(4)
    for offsets, size in ((SLOTS, SIZE), (COPIES, TABLE_SIZE)):
        for _turn in range(20):
            file = base()
            for offset in offsets:
                at = offset + chance.randrange(size)
                file.write(at, bytes([file.read(at, 1)[0] ^ 1 << chance.randrange(8)]))
            with pytest.raises(FormatError, match="neither"):
                opened(file)


PARENT = base(geometry(6 * MiB))
CHILD = child_of(PARENT)
CHAIN = writable(CHILD, PARENT)
CHAIN.write(512, bytes(4096))
CHAIN.write(2 * MiB, bytes(MiB))
CHAIN.flush()
SPOTS = [*SLOTS, *COPIES, 2 * MiB, 2 * MiB + 64 * KiB, 3 * MiB, 3 * MiB + 8 * 4096, 4 * MiB]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(SPOTS), st.integers(0, 400), st.binary(min_size=1, max_size=40)), max_size=4))
def test_any_damage_gives_an_image_or_format_error(damages):
    file = CHILD.copy()
    for spot, distance, data in damages:
        file.write(spot + distance, data)
    for offset in SLOTS:
        file.write(offset, seal(bytearray(file.read(offset, SIZE))))
    for offset in COPIES:
        file.write(offset, seal(bytearray(file.read(offset, TABLE_SIZE))))
    try:
        image = opened(file)
        segments = list(image.segments(0, min(image.virtual_size, 64 * MiB)))
    except FormatError:
        return
    assert sum(segment.length for segment in segments) == min(image.virtual_size, 64 * MiB)
