# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Extents of a virtual disk: what is read, changed, sent. All numbers are bytes.

A *normal* list of extents is sorted by offset, disjoint, not touching, and without empty ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .errors import FormatError
from .units import PIECE, align_down, align_up


class Extent(NamedTuple):
    """A byte range of a virtual disk."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        return self.offset + self.length


def normalize(extents: Iterable[Extent], *, size: int) -> list[Extent]:
    """Sort, merge and clip extents to a disk of ``size`` bytes; the result is normal."""
    merged: list[Extent] = []
    for extent in sorted(extents):
        start, end = max(extent.offset, 0), min(extent.end, size)
        if start >= end:
            continue
        if merged and start <= merged[-1].end:
            last = merged[-1]
            merged[-1] = Extent(last.offset, max(last.end, end) - last.offset)
        else:
            merged.append(Extent(start, end - start))
    return merged


def grow(extents: Iterable[Extent], *, grain: int, size: int) -> list[Extent]:
    """Widen each extent to multiples of ``grain``, clipped to the disk; the result is normal."""
    ends = ((align_down(e.offset, grain), align_up(e.end, grain)) for e in extents if e.length)
    return normalize((Extent(start, end - start) for start, end in ends), size=size)


def after(extents: Iterable[Extent], offset: int) -> list[Extent]:
    """Cut away everything below ``offset`` from a normal list."""
    return [Extent(max(e.offset, offset), e.end - max(e.offset, offset)) for e in extents if e.end > offset]


def subtract(extents: Iterable[Extent], holes: Iterable[Extent]) -> list[Extent]:
    """Cut a normal list of holes out of a normal list; the result is normal."""
    left: list[Extent] = []
    remaining = list(extents)[::-1]
    for hole in holes:
        while remaining and remaining[-1].offset < hole.end:
            extent = remaining.pop()
            if extent.offset < hole.offset:
                left.append(Extent(extent.offset, min(extent.end, hole.offset) - extent.offset))
            if extent.end > hole.end:
                start = max(extent.offset, hole.end)
                remaining.append(Extent(start, extent.end - start))
    return left + remaining[::-1]


def total(extents: Iterable[Extent]) -> int:
    """Return the sum of the lengths, in bytes."""
    return sum(e.length for e in extents)


def cut(extents: Iterable[Extent], *, unit: int) -> Iterator[Extent]:
    """Yield the parts of extents that lie within one aligned unit each, in order."""
    for offset, length in extents:
        end = offset + length
        while offset < end:
            step = min(end, align_down(offset, unit) + unit) - offset
            yield Extent(offset, step)
            offset += step


def coarsen(extents: list[Extent], *, count_max: int, size: int) -> list[Extent]:
    """Join neighbours of a normal list until it is short enough; the result covers all of it and is normal."""
    grain = PIECE
    while len(extents) > count_max:
        extents = grow(extents, grain=grain, size=size)
        grain *= 2
    return extents


def pack_pairs(extents: Iterable[Extent]) -> bytes:
    """Encode as little-endian u64 pairs, the form that crosses PSRP and the mover protocol."""
    flat = [number for extent in extents for number in extent]
    return struct.pack(f"<{len(flat)}Q", *flat)


def unpack_pairs(data: bytes) -> list[Extent]:
    """Decode little-endian u64 pairs. Raises FormatError when a pair is cut."""
    if len(data) % 16:
        raise FormatError(f"packed extents are {len(data)} bytes, not a multiple of 16")
    return [Extent(offset, length) for offset, length in struct.iter_unpack("<QQ", data)]
