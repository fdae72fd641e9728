# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What the frames of the mover protocol say. Source: docs/design/mover_protocol.md, "Messages".

Frames that come once for each unit are packed numbers, all others MessagePack. Each ``parse`` takes a frame of the
right kind and raises PeerError when its content is not what the protocol asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import Final, TypeVar

from ..errors import EngineError, PeerError
from ..extents import Extent
from ..libraries import pack, unpack
from ..transfers import LeafState
from ..units import PIECE, UNIT_MAX
from .failures import error_from_plain, error_to_plain
from .frames import Frame, Kind
from .plain import from_plain, to_plain
from .unit import pieces

PLACE: Final = Struct("<QQ")  # offset, length
OFFSET: Final = Struct("<Q")
DIGEST_SIZE: Final = 32  # bytes: keyed BLAKE3
DISK_MAX: Final = 1 << 62  # bytes: offsets and lengths stay far from where sums overflow

HEARTBEAT: Final = Frame(Kind.HEARTBEAT)
END: Final = Frame(Kind.END)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Hello:
    """First frame of a client. The last four fields count for a data connection only."""

    service: str  # "control" or "data"
    secret: bytes = b""  # of the ticket
    plan: bytes = b""  # names scope and extents: a journal with another plan does not count
    virtual_size: int = 0  # bytes, of the source disk
    whole_disk: bool = False  # what the plan does not send reads as zeros on the source

    def frame(self) -> Frame:
        return Frame(Kind.HELLO, pack(to_plain(self)))

    @classmethod
    def parse(cls, frame: Frame) -> Hello:
        return _decoded(cls, frame)


@dataclass(frozen=True, slots=True)
class Ready:
    """Answer to HELLO. The source goes on at ``durable_until``; with ``wants_gaps`` it sends the gaps too."""

    mover: str
    durable_until: int = 0  # bytes
    wants_gaps: bool = False  # the leaf may hold something else than zeros where the plan has nothing

    def frame(self) -> Frame:
        return Frame(Kind.READY, pack(to_plain(self)))

    @classmethod
    def parse(cls, frame: Frame) -> Ready:
        return _decoded(cls, frame)


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a mover's control functions; ``arguments`` are plain values."""

    method: str
    arguments: dict[str, object]

    def frame(self) -> Frame:
        return Frame(Kind.REQUEST, pack(to_plain(self)))

    @classmethod
    def parse(cls, frame: Frame) -> Request:
        return _decoded(cls, frame)


@dataclass(frozen=True, slots=True)
class Done:
    """The target closed the leaf; everything is durable."""

    leaf: LeafState

    def frame(self) -> Frame:
        return Frame(Kind.DONE, pack(to_plain(self)))

    @classmethod
    def parse(cls, frame: Frame) -> Done:
        return _decoded(cls, frame)


@dataclass(frozen=True, slots=True)
class Digests:
    """Keyed digests of the pieces of an extent on the target, in order."""

    extent: Extent
    digests: tuple[bytes, ...]

    def frame(self) -> Frame:
        return Frame(Kind.DIGESTS, PLACE.pack(*self.extent), b"".join(self.digests))

    @classmethod
    def parse(cls, frame: Frame) -> Digests:
        extent = parse_unit_place(frame)
        data = bytes(frame.payload)
        if len(data) != len(pieces(extent)) * DIGEST_SIZE:
            raise PeerError(f"{len(data)} bytes of digests for {extent}", reason="message_invalid")
        return cls(extent, tuple(data[at : at + DIGEST_SIZE] for at in range(0, len(data), DIGEST_SIZE)))


def reply_frame(result: object) -> Frame:
    """Encode the result of a request: a plain value."""
    return Frame(Kind.REPLY, pack({"result": result}))


def parse_reply(frame: Frame) -> object:
    plain = _unpacked(frame)
    if not isinstance(plain, dict) or set(plain) != {"result"}:
        raise PeerError("reply without a result", reason="message_invalid")
    return plain["result"]


def error_frame(error: EngineError) -> Frame:
    """Encode an error for the other side."""
    return Frame(Kind.ERROR, pack(error_to_plain(error)))


def parse_error(frame: Frame) -> EngineError:
    """Return, not raise, the error that the other side reports."""
    return error_from_plain(_unpacked(frame))


def place_frame(kind: Kind, extent: Extent) -> Frame:
    """Encode ZERO (the extent reads as zeros) or COMPARE (send digests of the extent)."""
    return Frame(kind, PLACE.pack(*extent))


def parse_place(frame: Frame) -> Extent:
    try:
        extent = Extent(*PLACE.unpack(frame.header))
    except StructError as error:
        raise PeerError(f"{frame.kind.name}: {error}", reason="message_invalid") from error
    if not (0 < extent.length <= DISK_MAX and extent.end <= DISK_MAX):
        raise PeerError(f"{frame.kind.name} of {extent}", reason="message_invalid")
    return extent


def parse_unit_place(frame: Frame) -> Extent:
    """Decode an extent that is no longer than a unit."""
    extent = parse_place(frame)
    if extent.length > UNIT_MAX or len(pieces(extent)) > UNIT_MAX // PIECE:
        raise PeerError(f"{frame.kind.name} of {extent}, longer than a unit", reason="message_invalid")
    return extent


def durable_frame(offset: int) -> Frame:
    """Encode: everything of the plan below ``offset`` is on the target's disk."""
    return Frame(Kind.DURABLE, OFFSET.pack(offset))


def parse_durable(frame: Frame) -> int:
    try:
        (offset,) = OFFSET.unpack(frame.header)
    except StructError as error:
        raise PeerError(f"DURABLE: {error}", reason="message_invalid") from error
    return int(offset)


def _decoded(wanted: type[T], frame: Frame) -> T:
    try:
        return from_plain(wanted, _unpacked(frame))
    except ValueError as error:
        raise PeerError(f"{frame.kind.name}: {error}", reason="message_invalid") from error


def _unpacked(frame: Frame) -> object:
    try:
        return unpack(frame.header)
    except ValueError as error:
        raise PeerError(f"{frame.kind.name}: {error}", reason="message_invalid") from error
