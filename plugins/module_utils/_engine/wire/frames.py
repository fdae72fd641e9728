# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Frames of the mover protocol: bytes in, frames out. Source: docs/design/mover_protocol.md, "Frames".

A frame is a fixed start of 16 bytes, a header and a payload of raw bytes. Both lengths are bounded for each kind of
frame, and checked before memory is taken for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import Final, NamedTuple

from ..errors import PeerError
from ..units import PIECE, UNIT_MAX, KiB

START: Final = Struct("<4sBB2xII")  # magic, version, kind, two reserved bytes, header length, payload length
START_SIZE: Final = 16  # bytes
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

    def start(self) -> bytes:
        """Encode everything but the payload: the fixed start and the header."""
        return START.pack(MAGIC, VERSION, self.kind.value, len(self.header), len(self.payload)) + self.header

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return START_SIZE + len(self.header) + len(self.payload)


def new_memory(length: int) -> memoryview:
    """Take fresh memory for a payload."""
    return memoryview(bytearray(length))


class FrameReader:
    """Cuts a stream into frames without copying: ask for ``room``, fill it or a part of it, and say so.

    It behaves the same however the stream is cut. ``allocate`` gives the memory for payloads, so that a receiver may
    use the same memory again and again.
    """

    def __init__(self, allocate: Allocate = new_memory) -> None:
        self._allocate = allocate
        self._kind: Kind | None = None  # None: in the fixed start
        self._header = b""
        self._limit = Limit(0, 0)
        self._payload_length = 0
        self._in_payload = False
        self._room = new_memory(START_SIZE)
        self._filled = 0

    def room(self) -> memoryview:
        """Return the memory that takes the next bytes; it is never empty."""
        return self._room[self._filled :]

    def filled(self, count: int) -> Frame | None:
        """Note that ``count`` bytes were put into ``room``; return a frame when it is whole.

        Raises:
            PeerError: what came is no frame of this protocol, or a longer one than its kind may be.
        """
        self._filled += count
        while self._filled == len(self._room):
            part, self._filled = self._room, 0
            if self._kind is None:
                self._begin(part)
            elif not self._in_payload:
                self._header = bytes(part)
                self._in_payload = True
                self._room = self._allocate(self._payload_length) if self._payload_length else new_memory(0)
            else:
                return self._finish(self._kind, part)
        return None

    def _begin(self, data: memoryview) -> None:
        self._kind, header_length, self._payload_length = parse_start(data)
        self._room = new_memory(header_length)

    def _finish(self, kind: Kind, payload: memoryview) -> Frame:
        frame = Frame(kind, self._header, payload)
        self._kind, self._header, self._in_payload = None, b"", False
        self._room = new_memory(START_SIZE)
        return frame


def parse_start(data: bytes | memoryview) -> tuple[Kind, int, int]:
    """Decode the fixed start: kind, header length, payload length. Raises PeerError."""
    magic, version, number, header_length, payload_length = START.unpack(data)
    if magic != MAGIC:
        raise PeerError(f"no frame of the mover protocol: it begins with {bytes(magic)!r}", reason="not_a_frame")
    if version != VERSION:
        raise PeerError(f"mover protocol version {version}, this side speaks {VERSION}", reason="version_unknown")
    try:
        kind = Kind(number)
    except ValueError:
        raise PeerError(f"frame of unknown kind {number}", reason="kind_unknown") from None
    limit = LIMITS[kind]
    if header_length > limit.header or payload_length > limit.payload:
        raise PeerError(
            f"{kind.name} frame of {header_length} + {payload_length} bytes, at most {limit.header} + {limit.payload}",
            reason="frame_too_long",
        )
    return kind, header_length, payload_length
