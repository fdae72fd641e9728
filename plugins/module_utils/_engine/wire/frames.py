# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Frames of the mover protocol: bytes in, frames out. Source: docs/design/mover_protocol.md, "Frames".

A frame is a fixed start of 24 bytes, a header and a payload of raw bytes. Both lengths are bounded for each kind of
frame, and checked before memory is taken for them. TLS keeps the network from changing anything; number and checks find
a peer, or a middle box that ends TLS, which loses, repeats, reorders or damages frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from ..errors import PeerError
from ..units import PIECE, UNIT_MAX, KiB

START: Final = Struct("<4sBBHIIII")  # magic, version, kind, number, two lengths, check of the content, of the above
START_SIZE: Final = 24  # bytes
CHECKED: Final = 20  # bytes of the start that its own check covers
NUMBERS: Final = 1 << 16  # the frames of each direction are counted up to here, and again from 0
MAGIC: Final = b"ODRm"
VERSION: Final = 1
PAYLOAD_MAX: Final = UNIT_MAX + PIECE  # bytes: a unit that compression made longer


class Kind(Enum):
    """Kinds of frames; the numbers are on the wire and never change their meaning."""

    HELLO = 1
    READY = 2
    ERROR = 3
    HEARTBEAT = 4
    # control connection
    REQUEST = 16
    EXTENTS = 17
    REPLY = 18
    # data connection
    UNIT = 32
    ZERO = 33
    COMPARE = 34
    DIGESTS = 35
    DURABLE = 36
    END = 37
    DONE = 38


class Limit(NamedTuple):
    """Longest header and payload of a kind, in bytes."""

    header: int
    payload: int


LIMITS: Final = {
    Kind.HELLO: Limit(4 * KiB, 0),
    Kind.READY: Limit(4 * KiB, 0),
    Kind.ERROR: Limit(64 * KiB, 0),
    Kind.HEARTBEAT: Limit(0, 0),
    Kind.REQUEST: Limit(256 * KiB, 0),
    Kind.EXTENTS: Limit(0, UNIT_MAX),
    Kind.REPLY: Limit(256 * KiB, 0),
    Kind.UNIT: Limit(1 * KiB, PAYLOAD_MAX),
    Kind.ZERO: Limit(64, 0),
    Kind.COMPARE: Limit(64, 0),
    Kind.DIGESTS: Limit(64, UNIT_MAX // PIECE * 32 + 32),
    Kind.DURABLE: Limit(64, 0),
    Kind.END: Limit(64, 0),
    Kind.DONE: Limit(4 * KiB, 0),
}

Allocate = Callable[[int], memoryview]  # a length in bytes, never 0 -> writable memory of exactly that length


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``payload`` belongs to whoever holds the frame."""

    kind: Kind
    header: bytes = b""
    payload: bytes | memoryview = b""

    def start(self, number: int = 0) -> bytes:
        """Encode everything but the payload: the fixed start and the header of the frame with a number."""
        lengths = len(self.header), len(self.payload)
        start = START.pack(MAGIC, VERSION, self.kind.value, number % NUMBERS, *lengths, self._check(), 0)[:CHECKED]
        return start + crc32(start).to_bytes(4, "little") + self.header

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return START_SIZE + len(self.header) + len(self.payload)

    def _check(self) -> int:
        """Return the check of header and payload; the payload of a unit has a checksum of its own."""
        check = crc32(self.header)
        return check if self.kind is Kind.UNIT else crc32(self.payload, check)

    def require_check(self, found: int) -> Frame:
        """Return the frame when its check is the one that came with it. Raises PeerError."""
        if self._check() != found:
            raise PeerError(f"{self.kind.name} frame is damaged", reason="frame_damaged")
        return self


class Start(NamedTuple):
    """The fixed start of a frame, verified."""

    kind: Kind
    number: int
    header_length: int
    payload_length: int
    check: int


def new_memory(length: int) -> memoryview:
    """Take fresh memory for a payload."""
    return memoryview(bytearray(length))


class FrameReader:
    """Cuts a stream into frames without copying: ask for ``room``, fill it or a part of it, and say so.

    It behaves the same however the stream is cut. ``allocate`` gives the memory for payloads, so that a receiver may
    use the same memory again and again.
    """

    def __init__(self, allocate: Allocate = new_memory) -> None:
        self.allocate = allocate
        self._number = 0  # of the next frame
        self._start: Start | None = None  # None: in the fixed start
        self._header: bytes | None = None  # None: not all of it came yet
        self._room = new_memory(START_SIZE)
        self._filled = 0

    def room(self) -> memoryview:
        """Return the memory that takes the next bytes; it is never empty."""
        return self._room[self._filled :]

    def filled(self, count: int) -> Frame | None:
        """Note that ``count`` bytes were put into ``room``; return a frame when it is whole.

        Raises:
            PeerError: what came is no frame of this protocol, a longer one than its kind may be, a damaged one
                (``frame_damaged``), or not the one that follows (``frame_lost``).
        """
        self._filled += count
        while self._filled == len(self._room):
            part, self._filled = self._room, 0
            if self._start is None:
                self._begin(part)
            elif self._header is None:
                self._header = bytes(part)
                length = self._start.payload_length
                self._room = self.allocate(length) if length else new_memory(0)
            else:
                return self._finish(self._start, Frame(self._start.kind, self._header, part))
        return None

    def _begin(self, data: memoryview) -> None:
        self._start = start = parse_start(data)
        if start.number != self._number % NUMBERS:
            raise PeerError(
                f"{start.kind.name} frame has number {start.number}, {self._number % NUMBERS} was to come",
                reason="frame_lost",
            )
        self._room = new_memory(start.header_length)

    def _finish(self, start: Start, frame: Frame) -> Frame:
        self._number += 1
        self._start, self._header = None, None
        self._room = new_memory(START_SIZE)
        return frame.require_check(start.check)


def parse_start(data: bytes | memoryview) -> Start:
    """Decode the fixed start of a frame. Raises PeerError."""
    magic, version, kind_number, number, header_length, payload_length, check, own_check = START.unpack(data)
    if magic != MAGIC:
        raise PeerError(f"no frame of the mover protocol: it begins with {bytes(magic)!r}", reason="not_a_frame")
    if version != VERSION:
        raise PeerError(f"mover protocol version {version}, this side speaks {VERSION}", reason="version_unknown")
    if crc32(data[:CHECKED]) != own_check:
        raise PeerError("the start of a frame is damaged", reason="frame_damaged")
    try:
        kind = Kind(kind_number)
    except ValueError:
        raise PeerError(f"frame of unknown kind {kind_number}", reason="kind_unknown") from None
    limit = LIMITS[kind]
    if header_length > limit.header or payload_length > limit.payload:
        raise PeerError(
            f"{kind.name} frame of {header_length} + {payload_length} bytes, at most {limit.header} + {limit.payload}",
            reason="frame_too_long",
        )
    return Start(kind, number, header_length, payload_length, check)
