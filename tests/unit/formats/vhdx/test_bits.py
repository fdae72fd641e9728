# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of bits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bits import bit_runs, set_bits


def plain_bits(data: bytes | bytearray) -> list[bool]:
    return [bool(byte >> bit & 1) for byte in data for bit in range(8)]


def test_lowest_bit_of_first_byte_is_first():
    assert list(bit_runs(b"\x01", first=0, count=8)) == [(True, 1), (False, 7)]


@given(st.binary(min_size=1, max_size=1200) | st.integers(1, 1200).map(lambda n: b"\xff" * n), st.data())
def test_runs_are_those_of_a_plain_loop(data, draw):
    first = draw.draw(st.integers(0, 8 * len(data) - 1))
    count = draw.draw(st.integers(0, 8 * len(data) - first))
    found = [bit for bit, length in bit_runs(data, first=first, count=count) for _turn in range(length)]
    assert found == plain_bits(data)[first : first + count]


def test_runs_are_joined_within_a_window():
    assert list(bit_runs(b"\xff" * 512, first=3, count=4000)) == [(True, 4000)]


@given(st.binary(min_size=1, max_size=40), st.data())
def test_setting_bits_is_that_of_a_plain_loop(data, draw):
    first = draw.draw(st.integers(0, 8 * len(data) - 1))
    count = draw.draw(st.integers(1, 8 * len(data) - first))
    expected = plain_bits(data)
    expected[first : first + count] = [True] * count
    changed = bytearray(data)
    set_bits(changed, first=first, count=count)
    assert plain_bits(changed) == expected
