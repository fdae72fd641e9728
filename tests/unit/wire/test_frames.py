# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: whole or cut anywhere, bounded, and nothing else is taken for one."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import PeerError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import (
    CHECKED,
    LIMITS,
    MAGIC,
    NUMBERS,
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


def stream_of(frames: list[Frame], *, first: int = 0) -> bytes:
    return b"".join(frame.start(first + at) + bytes(frame.payload) for at, frame in enumerate(frames))


STREAM = stream_of(FRAMES)


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
    assert START.size == START_SIZE == CHECKED + 4 == 24


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
    data = START.pack(magic, version, kind, 0, header, payload, 0, 0)[:CHECKED]
    return data + crc32(data).to_bytes(4, "little")


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
    assert parse_start(start(kind=kind.value, header=limit.header, payload=limit.payload)) == (kind, 0, *limit, 0)


@given(st.binary(max_size=600))
def test_any_bytes_give_frames_or_a_peer_error(junk):
    try:
        frames = read(junk, [])
    except PeerError:
        return
    assert stream_of(frames) == junk[: sum(f.size for f in frames)]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.kind.name)
def test_a_flipped_bit_is_found_wherever_a_unit_has_no_checksum_of_its_own(frame):
    whole = stream_of([frame])
    checked = len(whole) if frame.kind is not Kind.UNIT else START_SIZE + len(frame.header)
    for bit in range(checked * 8):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerError):
            read(bytes(data), [])


@pytest.mark.parametrize(
    "frames",
    [FRAMES[:1] + FRAMES[2:], FRAMES[:2] + FRAMES[1:], [FRAMES[1], FRAMES[0]]],
    ids=["lost", "twice", "swapped"],
)
def test_frames_that_do_not_follow_each_other_are_refused(frames):
    numbers = [FRAMES.index(frame) for frame in frames]
    stream = b"".join(frame.start(number) + bytes(frame.payload) for number, frame in zip(numbers, frames, strict=True))
    with pytest.raises(PeerError) as caught:
        read(stream, [])
    assert caught.value.reason == "frame_lost"


def test_numbers_begin_again_after_the_last():
    count = NUMBERS + 3
    assert len(read(stream_of([FRAMES[1]] * count), [])) == count
