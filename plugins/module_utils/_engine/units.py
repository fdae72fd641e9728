# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Sizes in bytes and the arithmetic of alignment."""

from __future__ import annotations

from typing import Final

KiB: Final = 1024
MiB: Final = 1024 * KiB
GiB: Final = 1024 * MiB
TiB: Final = 1024 * GiB

PIECE: Final = 64 * KiB  # bytes: the grain at which a unit says zero, data or unchanged
UNIT_MIN: Final = 64 * KiB
UNIT_MAX: Final = 4 * MiB


def align_down(value: int, alignment: int) -> int:
    """Return the largest multiple of ``alignment`` that is not above ``value``."""
    return value - value % alignment


def align_up(value: int, alignment: int) -> int:
    """Return the smallest multiple of ``alignment`` that is not below ``value``."""
    return -(-value // alignment) * alignment


def is_power_of_two(value: int) -> bool:
    """Tell whether a positive number has a single bit set."""
    return value > 0 and value & (value - 1) == 0
