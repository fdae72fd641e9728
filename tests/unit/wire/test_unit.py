# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units: what the source read is what the target writes, or it is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import IntegrityError, PeerError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.libraries import zstd_compressor, zstd_decompressor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import PIECE, UNIT_MAX, KiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import Frame, Kind
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.unit import (
    DATA,
    PLAIN,
    SAME,
    ZERO,
    ZSTD,
    Unit,
    build_unit,
    pieces,
)

TEXT = (b"restore point, replica, leaf, extent; " * 2000)[:PIECE]
NOISE = bytes((i * i * 31 + i * 7 + (i >> 3) * 131) % 251 for i in range(PIECE))


def apply(unit: Unit, old: bytes) -> bytes:
    """Do what a target does: write data, zero zeros, leave the same."""
    memory = memoryview(bytearray(UNIT_MAX))
    plain, start, result = unit.plain_payload(zstd_decompressor(), memory), 0, bytearray(old)
    for state, extent in unit.runs():
        place = slice(extent.offset - unit.extent.offset, extent.end - unit.extent.offset)
        if state == DATA:
            result[place] = plain[start : start + extent.length]
            start += extent.length
        elif state == ZERO:
            result[place] = bytes(extent.length)
    assert start == len(plain)
    return bytes(result)


def travel(unit: Unit) -> Unit:
    frame = unit.frame()
    return Unit.parse(Frame(frame.kind, frame.header, bytes(frame.payload)))


parts = st.lists(st.sampled_from([bytes(PIECE), TEXT, NOISE]), min_size=1, max_size=6)


@given(parts, st.integers(0, 127), st.integers(0, 127), st.sampled_from([None, 1, -5]))
def test_a_unit_arrives_as_it_was_read(parts, skipped, missing, level):
    data = b"".join(parts)[skipped * 512 : len(b"".join(parts)) - missing * 512 or None]
    if not data:
        return
    extent = Extent(7 * PIECE * 16 + skipped * 512, len(data))
    unit = build_unit(extent, bytearray(data), compressor=zstd_compressor(level) if level is not None else None)
    assert apply(travel(unit), b"\xee" * len(data)) == data


def test_zero_pieces_travel_as_markers_only():
    data = bytearray(bytes(PIECE) + NOISE + bytes(PIECE))
    unit = build_unit(Extent(0, len(data)), data, compressor=None)
    assert unit.states == bytes([ZERO, DATA, ZERO])
    assert len(unit.payload) == PIECE


def test_a_single_byte_in_a_piece_is_not_taken_for_zero():
    for place in (0, 1, PIECE // 2, PIECE - 1):
        data = bytearray(PIECE)
        data[place] = 1
        assert build_unit(Extent(0, PIECE), data, compressor=None).states == bytes([DATA])


def test_what_lies_behind_the_unit_in_its_memory_does_not_count():
    data = bytearray(2 * PIECE)
    data[PIECE:] = NOISE
    assert build_unit(Extent(0, PIECE), data, compressor=None).states == bytes([ZERO])


def test_pieces_that_the_target_has_do_not_travel():
    data = bytearray(NOISE + TEXT + NOISE)
    unit = build_unit(Extent(0, len(data)), data, compressor=None, is_same=lambda offset, _content: offset == PIECE)
    assert unit.states == bytes([DATA, SAME, DATA])
    assert apply(travel(unit), bytes(len(data))) == NOISE + bytes(PIECE) + NOISE


def test_what_does_not_compress_travels_as_it_is():
    data = bytearray(random.Random(1).randbytes(4 * PIECE))
    unit = build_unit(Extent(0, len(data)), data, compressor=zstd_compressor(1))
    assert unit.codec == PLAIN
    assert len(unit.payload) == len(data)


def test_pieces_are_aligned_in_the_disk():
    assert pieces(Extent(PIECE - 512, 1024)) == [Extent(PIECE - 512, 512), Extent(PIECE, 512)]


def sample(level: int | None = 1) -> Unit:
    compressor = zstd_compressor(level) if level is not None else None
    return build_unit(Extent(2 * PIECE, 3 * PIECE), bytearray(TEXT + bytes(PIECE) + NOISE), compressor=compressor)


@pytest.mark.parametrize("level", [None, 1])
def test_a_flipped_bit_in_the_payload_is_caught(level):
    unit = sample(level)
    for place in range(0, len(memoryview(unit.payload)), 997):
        payload = bytearray(unit.payload)
        payload[place] ^= 0x10
        with pytest.raises(IntegrityError):
            replace(unit, payload=payload).plain_payload(zstd_decompressor(), memoryview(bytearray(UNIT_MAX)))


def test_a_flipped_bit_in_the_header_is_caught():
    frame = sample().frame()
    for bit in range(len(frame.header) * 8):
        header = bytearray(frame.header)
        header[bit // 8] ^= 1 << bit % 8
        if 13 <= bit // 8 < 16:
            continue  # padding
        with pytest.raises((PeerError, IntegrityError)):
            apply(Unit.parse(Frame(Kind.UNIT, bytes(header), frame.payload)), bytes(3 * PIECE))


@pytest.mark.parametrize(
    "change",
    [
        {"extent": Extent(0, 0)},
        {"extent": Extent(0, UNIT_MAX + PIECE)},
        {"extent": Extent(2 * PIECE, 4 * PIECE)},
        {"states": b""},
        {"states": bytes([DATA, 3, DATA])},
        {"states": bytes([ZERO, ZERO, ZERO])},
        {"codec": 7},
        {"codec": PLAIN},
        {"payload": b""},
    ],
)
def test_an_impossible_unit_is_refused(change):
    with pytest.raises(PeerError):
        travel(replace(sample(), **change))


def test_a_short_header_is_refused():
    with pytest.raises(PeerError):
        Unit.parse(Frame(Kind.UNIT, b"short"))


def test_a_payload_that_decompresses_to_more_than_it_says_is_caught():
    big = zstd_compressor(1).compress(bytes(64 * 1024 * KiB))
    unit = replace(sample(), codec=ZSTD, payload=big)
    with pytest.raises(IntegrityError, match="not exactly"):
        travel(unit).plain_payload(zstd_decompressor(), memoryview(bytearray(UNIT_MAX)))
