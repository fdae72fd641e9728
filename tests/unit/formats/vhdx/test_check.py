# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structural checker."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import State
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain, check_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.header import SLOTS
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB

from ..byte_files import MemoryFile
from .disks import base, child_of, geometry, writable
from .test_image import set_entry


def test_sound_images_have_no_findings():
    parent = base()
    assert check_image(parent) == []
    assert check_chain([child_of(parent), parent]) == []


def test_damaged_header_is_found_unless_a_crash_is_known():
    file = base()
    file.write(SLOTS[0] + 8, b"\xff")
    assert check_image(file) == ["the header at 65536 is damaged"]
    assert check_image(file, after_crash=True) == []


def test_odd_length_is_found():
    file = base()
    file.resize(4 * MiB + 512)
    assert check_image(file) == ["the file is 4194816 bytes, not whole MiB"]


def test_bytes_behind_the_last_place_are_found():
    file = base()
    file.resize(6 * MiB)
    assert check_image(file) == []
    file.write(6 * MiB - 1, b"x")
    assert check_image(file) == ["there are bytes behind the last used place, 4194304"]


def test_partial_state_in_a_base_is_found():
    file = base()
    file.resize(5 * MiB)
    set_entry(file, 0, 4 * MiB | State.PARTIALLY_PRESENT)
    assert check_image(file) == ["entry 0 is partially present in an image without a parent"]


def test_odd_state_of_a_bitmap_is_found():
    file = child_of(base())
    set_entry(file, 4096, State.ZERO)
    assert check_image(file) == ["the sector bitmap of entry 4096 has a state of a payload block"]


def test_fixed_image_may_lack_blocks():
    file = base(geometry(allocation=Allocation.FIXED))
    set_entry(file, 7, 0)
    assert check_image(file) == []


def test_bits_behind_the_end_of_the_disk_are_found():
    parent = base(geometry(MiB + 512 * 3))
    child = child_of(parent)
    chain = writable(child, parent)
    chain.write(MiB, bytes(512))
    chain.flush()
    assert check_chain([child, parent]) == []
    place = Image.open(child).bat.bitmap_place(0)
    child.write(place + 256, b"\x0f")
    assert check_image(child) == ["the sector bitmap has bits behind the end of the disk"]


@pytest.mark.parametrize("entries", [{0: 4}, {0: 4 * MiB | 6, 1: 4 * MiB | 6}, {0: 99 * MiB | 6}])
def test_what_cannot_be_opened_is_a_finding(entries):
    file = base()
    file.resize(6 * MiB)
    for index, entry in entries.items():
        set_entry(file, index, entry)
    assert len(check_image(file)) == 1


def test_anything_else_is_a_finding():
    assert check_image(MemoryFile()) == ["file is 0 bytes, a VHDX file has 1 MiB at least"]


def test_findings_of_a_chain_name_the_file():
    parent, stranger = base(), base()
    child = child_of(parent)
    stranger.resize(5 * MiB - 1)
    found = check_chain([child, stranger])
    assert found[0] == "file 1 of the chain: the file is 5242879 bytes, not whole MiB"
    assert any("another content" in finding for finding in found)


def test_crash_is_forgiven_in_the_leaf_only():
    parent = base()
    child = child_of(parent)
    for file in (parent, child):
        file.resize(file.size() + MiB)
        file.write(file.size() - 1, b"x")
    assert [finding[:6] for finding in check_chain([child, parent], after_crash=True)] == ["file 1"]
