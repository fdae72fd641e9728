# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""New images."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain, check_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import (
    CreateOptions,
    create_child,
    create_image,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB, TiB

from ..byte_files import FailingFile, Fuse, Injected, MemoryFile
from .disks import PATHS, base, child_of, content, geometry, locator_of


@pytest.mark.parametrize("block_mib", [1, 2, 4, 8, 16, 32, 64, 128, 256])
@pytest.mark.parametrize("allocation", Allocation)
def test_new_image_is_sound_and_reads_zero(block_mib, allocation):
    shape = geometry(3 * MiB + 512, block_size=block_mib * MiB, allocation=allocation)
    file = base(shape)
    assert check_image(file) == []
    assert Image.open(file).geometry == shape
    assert not any(content([file]))


def test_fixed_image_has_all_its_blocks():
    assert base(geometry(8 * MiB, allocation=Allocation.FIXED)).size() == 12 * MiB
    assert base(geometry(8 * MiB)).size() == 4 * MiB


def test_largest_disk_can_be_made():
    file = base(geometry(64 * TiB, block_size=256 * MiB))
    assert check_image(file) == []
    assert Image.open(file).virtual_size == 64 * TiB


def test_table_of_a_large_disk_takes_more_than_one_mebibyte():
    assert Image.open(base(geometry(512 * GiB))).regions.bat.length == 5 * MiB


def test_identifiers_come_from_the_caller():
    ids = iter([UUID(int=1), UUID(int=2)])
    file = MemoryFile()
    create_image(file, geometry(), new_id=lambda: next(ids))
    image = Image.open(file)
    assert {image.file_write_guid, image.data_write_guid} == {UUID(int=1), UUID(int=2)}


def test_child_takes_over_the_disk_of_its_parent():
    parent = base(geometry(5 * MiB, block_size=32 * MiB, allocation=Allocation.FIXED))
    child = child_of(parent, block_size=2 * MiB)
    above, below = Image.open(child).geometry, Image.open(parent).geometry
    assert above == replace(below, block_size=2 * MiB, allocation=Allocation.DYNAMIC)
    assert check_chain([child, parent]) == []


def test_child_names_its_parent():
    parent = base()
    locator = locator_of(child_of(parent))
    assert locator.linkages == (Image.open(parent).data_write_guid,)
    assert locator.pairs["relative_path"] == PATHS.relative
    assert locator.pairs["absolute_win32_path"] == PATHS.absolute


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"block_size": 3 * MiB}, "geometry_invalid"),
        ({"virtual_size": 0}, "geometry_invalid"),
        ({"virtual_size": MiB + 1}, "geometry_invalid"),
        ({"physical_sector_size": 8192}, "geometry_invalid"),
        ({"logical_sector_size": 4096}, "sector_size_unsupported"),
    ],
)
def test_impossible_geometry_is_refused(change, reason):
    with pytest.raises(RequestError) as caught:
        CreateOptions(replace(geometry(), **change))
    assert caught.value.reason == reason


def test_file_with_content_is_refused():
    file = base()
    with pytest.raises(StateError) as caught:
        create_image(file, geometry(), new_id=uuid4)
    assert caught.value.reason == "file_exists"


def test_failure_at_any_call_leaves_no_image():
    parent = Image.open(base())
    fail_at = 0
    while True:
        fail_at += 1
        file = FailingFile(MemoryFile(), Fuse(fail_at))
        try:
            create_child(file, parent, locator=PATHS, new_id=uuid4)
        except Injected:
            assert file.size() == 0 or file.read(0, 8) != b"vhdxfile" or check_image(file) == []
        else:
            break
    assert fail_at > 8
