# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: whole or cut anywhere, bounded, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import PeerError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import (
    LIMITS,
    MAGIC,
    START,
    START_SIZE,
    VERSION,
    Frame,
    FrameReader,
    Kind,
    parse_start,
)

FRAMES = [
    Frame(Kind.HELLO, b"header"),
    Frame(Kind.HEARTBEAT),
    Frame(Kind.UNIT, b"fields", b"payload" * 100),
    Frame(Kind.EXTENTS, b"", b"\0" * 32),
    Frame(Kind.END),
]
STREAM = b"".join(frame.start() + bytes(frame.payload) for frame in FRAMES)


def read(stream: bytes, steps: list[int], reader: FrameReader | None = None) -> list[Frame]:
    """Feed a stream in steps of given lengths; what remains comes in one more step."""
    reader = reader or FrameReader()
    found: list[Frame] = []
    position = 0
    for step in [*steps, len(stream)]:
        view = memoryview(stream)[position : position + step]
        position += step
        while view:
            room = reader.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            view = view[count:]
            frame = reader.filled(count)
            if frame is not None:
                found.append(Frame(frame.kind, frame.header, bytes(frame.payload)))
    return found


def test_start_has_the_documented_size():
    assert START.size == START_SIZE == 16


def test_a_stream_is_cut_into_its_frames():
    assert read(STREAM, []) == FRAMES


def test_a_stream_cut_at_any_byte_gives_the_same_frames():
    for cut in range(len(STREAM)):
        assert read(STREAM, [cut]) == FRAMES, cut


def test_a_stream_byte_by_byte_gives_the_same_frames():
    assert read(STREAM, [1] * len(STREAM)) == FRAMES


@given(st.lists(st.integers(1, 400), max_size=30))
def test_a_stream_in_any_steps_gives_the_same_frames(steps):
    assert read(STREAM, steps) == FRAMES


def test_payloads_go_into_the_memory_that_was_lent():
    lent = bytearray(1000)
    reader = FrameReader(lambda length: memoryview(lent)[:length])
    read(STREAM, [], reader)
    assert lent[:32] == bytes(32)
    assert lent[32:700] == FRAMES[2].payload[32:]


def start(
    *, magic: bytes = MAGIC, version: int = VERSION, kind: int = Kind.UNIT.value, header: int = 0, payload: int = 0
) -> bytes:
    return START.pack(magic, version, kind, header, payload)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (start(magic=b"GET "), "not_a_frame"),
        (start(version=2), "version_unknown"),
        (start(kind=99), "kind_unknown"),
        (start(header=LIMITS[Kind.UNIT].header + 1), "frame_too_long"),
        (start(payload=LIMITS[Kind.UNIT].payload + 1), "frame_too_long"),
        (start(kind=Kind.HEARTBEAT.value, payload=1), "frame_too_long"),
        (start(header=0xFFFFFFFF, payload=0xFFFFFFFF), "frame_too_long"),
    ],
)
def test_what_is_no_frame_is_refused_before_memory_is_taken(data, reason):
    with pytest.raises(PeerError) as caught:
        parse_start(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_may_be_as_long_as_its_limit(kind):
    limit = LIMITS[kind]
    assert parse_start(start(kind=kind.value, header=limit.header, payload=limit.payload)) == (kind, *limit)


@given(st.binary(max_size=600))
def test_any_bytes_give_frames_or_a_peer_error(junk):
    try:
        frames = read(junk, [])
    except PeerError:
        return
    assert b"".join(f.start() + bytes(f.payload) for f in frames) == junk[: sum(f.size for f in frames)]


@given(st.integers(0, START_SIZE * 8 - 1))
def test_a_flipped_bit_in_a_start_never_gives_a_longer_frame_than_allowed(bit):
    data = bytearray(FRAMES[2].start()[:START_SIZE])
    data[bit // 8] ^= 1 << bit % 8
    try:
        kind, header_length, payload_length = parse_start(bytes(data))
    except PeerError:
        return
    assert header_length <= LIMITS[kind].header
    assert payload_length <= LIMITS[kind].payload
