# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sector bitmaps as pages."""

from __future__ import annotations

from array import array

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx import bitmap
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import Bat, BatLayout, State
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bitmap import (
    CHUNK_PAGES,
    PAGE_SECTORS,
    Bitmaps,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB

from ..byte_files import MemoryFile

PLACE = 4 * MiB


@pytest.fixture
def file() -> MemoryFile:
    file = MemoryFile()
    file.resize(8 * MiB)
    return file


def bitmaps_on(file: MemoryFile) -> Bitmaps:
    layout = BatLayout(2 * MiB, 512, 8 * GiB, has_parent=True)
    bat = Bat(layout, array("Q", bytes(8 * layout.entry_count)))
    bat.set(layout.bitmap_index(0), state=State.FULLY_PRESENT, place=PLACE)
    bat.set(layout.bitmap_index(1), state=State.FULLY_PRESENT, place=PLACE + MiB)
    return Bitmaps(file, bat)


def test_a_chunk_has_a_bitmap_of_one_mebibyte():
    assert MiB == CHUNK_PAGES * 4096
    assert PAGE_SECTORS == 32768


def test_runs_join_across_pages(file):
    file.write(PLACE + 4095, b"\xff\xff")
    assert list(bitmaps_on(file).runs(PAGE_SECTORS - 10, 20)) == [(False, 2), (True, 16), (False, 2)]


def test_second_chunk_has_its_own_place(file):
    file.write(PLACE + MiB, b"\x01")
    assert list(bitmaps_on(file).runs(CHUNK_PAGES * PAGE_SECTORS, 2)) == [(True, 1), (False, 1)]


def test_set_bits_are_written_with_their_page_only(file):
    file.write(PLACE + 1, b"\x80")
    bitmaps = bitmaps_on(file)
    bitmaps.set(0, 3)
    assert bitmaps.dirty == {0}
    bitmaps.write_dirty()
    assert file.read(PLACE, 3) == b"\x07\x80\x00"
    assert not bitmaps.dirty


def test_clearing_tells_of_stale_bits(file):
    file.write(PLACE + 512, b"\x10")
    bitmaps = bitmaps_on(file)
    assert not bitmaps.clear(0, 4096)
    assert bitmaps.clear(4096, 4096)
    assert not bitmaps.clear(4096, 4096)
    assert bitmaps.dirty == {0}


def test_all_set_needs_every_bit(file):
    bitmaps = bitmaps_on(file)
    bitmaps.set(0, 4095)
    assert not bitmaps.all_set(0, 4096)
    bitmaps.set(4095, 1)
    assert bitmaps.all_set(0, 4096)


def test_changed_pages_outlive_the_cache(file, monkeypatch):
    monkeypatch.setattr(bitmap, "CACHE_PAGES", 2)
    bitmaps = bitmaps_on(file)
    bitmaps.set(0, 1)
    for page in range(1, 5):
        assert list(bitmaps.runs(page * PAGE_SECTORS, 8)) == [(False, 8)]
    assert list(bitmaps.runs(0, 2)) == [(True, 1), (False, 1)]
