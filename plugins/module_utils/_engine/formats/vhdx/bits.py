# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Runs of equal bits, least significant bit first, as sector bitmaps keep them. Source: [MS-VHDX] 2.5.2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

WINDOW: Final = 4096  # bits looked at as one integer: long enough to be fast, short enough to shift cheaply


def bit_runs(data: bytes | bytearray, *, first: int, count: int) -> Iterator[tuple[bool, int]]:
    """Return value and length of each run in ``count`` bits from bit ``first`` on; neighbours may be equal."""
    end = first + count
    while first < end:
        stop = min(end, first - first % 8 + WINDOW)
        bits = int.from_bytes(data[first // 8 : -(-stop // 8)], "little") >> first % 8
        yield from _window_runs(bits, stop - first)
        first = stop


def _window_runs(bits: int, count: int) -> Iterator[tuple[bool, int]]:
    bits &= (1 << count) - 1
    while count:
        value = bool(bits & 1)
        flipped = ~bits if value else bits
        length = min(count, (flipped & -flipped).bit_length() - 1) if flipped else count
        yield value, length
        bits >>= length
        count -= length


def set_bits(data: bytearray, *, first: int, count: int) -> None:
    """Set ``count`` bits from bit ``first`` on."""
    end = first + count
    if first // 8 == (end - 1) // 8:
        data[first // 8] |= ((1 << count) - 1) << first % 8
        return
    if first % 8:
        data[first // 8] |= 0xFF << first % 8 & 0xFF
    if end % 8:
        data[end // 8] |= (1 << end % 8) - 1
    start, stop = -(-first // 8), end // 8
    data[start:stop] = b"\xff" * (stop - start)
