# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""A unit of transfer: what the source reads, compresses and sends as one frame, and what the target makes of it.

Source: docs/design/mover_protocol.md, "UNIT". A unit covers one extent inside one aligned span of at most ``UNIT_MAX``
bytes. A map says of each 64 KiB piece (aligned to 64 KiB in the disk) whether it is zero, carried, or on the target
already. The carried pieces follow each other in the payload, compressed as a whole or as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from ..errors import IntegrityError, PeerError
from ..extents import Extent, cut
from ..libraries import Buffer, Compressor, Decompressor, decompress_into, xxh3_128
from ..units import PIECE, UNIT_MAX, align_down
from .frames import Frame, Kind

FIELDS: Final = Struct("<QIB3x")  # offset, length, codec; the checksum and the map follow
CHECKSUM_SIZE: Final = 16  # bytes
ZEROS: Final = bytes(PIECE)
WORTH_COMPRESSING: Final = 0.97  # of the plain length: above it the plain bytes are sent

ZERO, DATA, SAME = 0, 1, 2  # states of a piece
PLAIN, ZSTD = 0, 1  # codecs

IsSame = Callable[[int, memoryview], bool]  # offset in the disk and content of a piece -> the target has it


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it travels; every length in it has been checked."""

    extent: Extent
    states: bytes  # one of ZERO, DATA, SAME for each piece
    codec: int
    checksum: bytes  # xxh3-128 of the fields, the map and the plain payload
    payload: Buffer

    def frame(self) -> Frame:
        """Encode."""
        return Frame(
            Kind.UNIT, _fields(self.extent, self.codec) + self.checksum + self.states, memoryview(self.payload)
        )

    @classmethod
    def parse(cls, frame: Frame) -> Unit:
        """Decode a UNIT frame. Raises PeerError."""
        header = frame.header
        if len(header) < FIELDS.size + CHECKSUM_SIZE:
            raise PeerError(f"unit header of {len(header)} bytes", reason="unit_invalid")
        offset, length, codec = FIELDS.unpack_from(header)
        checksum, states = header[FIELDS.size : FIELDS.size + CHECKSUM_SIZE], header[FIELDS.size + CHECKSUM_SIZE :]
        unit = cls(Extent(offset, length), states, codec, checksum, frame.payload)
        unit._check()
        return unit

    def _check(self) -> None:
        extent = self.extent
        if not 0 < extent.length <= UNIT_MAX or len(self.states) != piece_count(extent):
            raise PeerError(f"unit at {extent.offset} with {len(self.states)} pieces", reason="unit_invalid")
        if self.codec not in (PLAIN, ZSTD) or not set(self.states) <= {ZERO, DATA, SAME}:
            raise PeerError(f"unit at {extent.offset}: unknown codec or state of a piece", reason="unit_invalid")
        plain, length = self.bytes_in(DATA), len(memoryview(self.payload))
        if (length > plain or not length) if self.codec == ZSTD else length != plain:
            raise PeerError(f"unit at {extent.offset} carries {length} bytes for {plain}", reason="unit_invalid")

    def bytes_in(self, state: int) -> int:
        """Return how many bytes of the disk are in pieces of a state."""
        length = self.states.count(state) * PIECE
        if self.states[0] == state:
            length -= self.extent.offset % PIECE
        if self.states[-1] == state:
            length -= -self.extent.end % PIECE
        return length

    def plain_payload(self, decompressor: Decompressor, memory: memoryview) -> memoryview:
        """Return the carried bytes, verified; ``memory``, as long as they are, takes them when they were compressed.

        Raises IntegrityError when they are not what the source read.
        """
        plain = memoryview(self.payload)
        if self.codec == ZSTD:
            plain = memory[: self.bytes_in(DATA)]
            try:
                decompress_into(decompressor, self.payload, memory=plain)
            except ValueError as error:
                raise IntegrityError(f"unit at {self.extent.offset} does not decompress: {error}") from error
        if _checksum(_fields(self.extent, self.codec), self.states, plain=plain) != self.checksum:
            raise IntegrityError(
                f"unit at {self.extent.offset}: the checksum does not match what arrived",
                hint="check memory and network of both movers",
            )
        return plain

    def runs(self) -> Iterator[tuple[int, Extent]]:
        """Yield state and extent of each longest run of pieces in the same state, in order."""
        start, first = self.extent.offset, align_down(self.extent.offset, PIECE)
        for index, (state, following) in enumerate(zip(self.states, self.states[1:], strict=False), start=1):
            if state != following:
                end = first + index * PIECE
                yield state, Extent(start, end - start)
                start = end
        yield self.states[-1], Extent(start, self.extent.end - start)


def piece_count(extent: Extent) -> int:
    """Return in how many aligned pieces an extent lies."""
    return -(-extent.end // PIECE) - extent.offset // PIECE


def pieces(extent: Extent) -> list[Extent]:
    """Return the parts of an extent in each aligned 64 KiB."""
    return list(cut([extent], unit=PIECE))


def build_unit(
    extent: Extent, data: bytearray, *, compressor: Compressor | None, is_same: IsSame | None = None
) -> Unit:
    """Make a unit of what was read into the beginning of ``data``; the unit may keep on using that memory.

    Takes a bytearray, since its ``startswith`` compares at the speed of memory, without a copy.
    """
    view, states, offset = memoryview(data), bytearray(), extent.offset
    while offset < extent.end:
        length = min(PIECE - offset % PIECE, extent.end - offset)
        start = offset - extent.offset
        if data.startswith(ZEROS if length == PIECE else ZEROS[:length], start):
            states.append(ZERO)
        elif is_same is not None and is_same(offset, view[start : start + length]):
            states.append(SAME)
        else:
            states.append(DATA)
        offset += length
    plain = _carried(Unit(extent, bytes(states), PLAIN, b"", b""), view)
    payload = compressor.compress(plain) if compressor is not None and plain else plain
    codec = ZSTD if len(payload) < len(plain) * WORTH_COMPRESSING else PLAIN
    checksum = _checksum(_fields(extent, codec), states, plain=plain)
    return Unit(extent, bytes(states), codec, checksum, payload if codec == ZSTD else plain)


def _carried(unit: Unit, view: memoryview) -> memoryview:
    """Return the bytes of the pieces that travel; without a copy when they follow each other."""
    start = unit.extent.offset
    parts = [view[run.offset - start : run.end - start] for state, run in unit.runs() if state == DATA]
    if len(parts) == 1:
        return parts[0]
    return memoryview(b"".join(parts))


def _fields(extent: Extent, codec: int) -> bytes:
    return FIELDS.pack(extent.offset, extent.length, codec)


def _checksum(fields: bytes, states: Buffer, *, plain: Buffer) -> bytes:
    return xxh3_128((fields, states, plain))
