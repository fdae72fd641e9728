# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of this project as libvhdi reads them: differencing images, partial blocks, merged and relinked files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
import pyvhdi

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.merge import merge_child, relink
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.oracles import contents
from ansible_collections.opendr.hyperv.tests.unit.formats.byte_files import MemoryFile
from ansible_collections.opendr.hyperv.tests.unit.formats.vhdx.disks import (
    PATHS,
    base,
    child_of,
    content,
    geometry,
    scribble,
    writable,
)

SIZE = 6 * MiB + 512 * 5
Oracle = Callable[[Sequence[MemoryFile]], bytes]


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    """Return what libvhdi reads from a chain, leaf first."""

    def read(files: Sequence[MemoryFile]) -> bytes:
        paths = [tmp_path / f"{number}.vhdx" for number in range(len(files))]
        for path, file in zip(paths, files, strict=True):
            file.save(path)
        return b"".join(contents(paths))

    return read


def layered(chance: random.Random, *, count: int, blocks_mib: Sequence[int]) -> tuple[list[MemoryFile], bytearray]:
    files: list[MemoryFile] = []
    shadow = bytearray(SIZE)
    for _turn in range(count):
        block_size = chance.choice(blocks_mib) * MiB
        if files:
            files.insert(0, child_of(files[0], block_size=block_size))
        else:
            files = [base(geometry(SIZE, block_size=block_size, allocation=chance.choice(list(Allocation))))]
        chain = writable(*files)
        scribble(chain, shadow, chance=chance, steps=10)
        chain.flush()
    return files, shadow


@pytest.mark.parametrize("seed", range(8))
def test_libvhdi_reads_chains_written_here(oracle, seed):
    files, shadow = layered(random.Random(seed), count=1 + seed % 4, blocks_mib=(1, 2, 32))
    assert content(files) == shadow
    assert oracle(files) == shadow


@pytest.mark.parametrize("block_mib", [1, 2, 4, 8, 16, 32, 64, 128, 256])
def test_libvhdi_reads_every_block_size(oracle, block_mib):
    files, shadow = layered(random.Random(block_mib), count=2, blocks_mib=(block_mib,))
    assert oracle(files) == shadow


@pytest.mark.parametrize("seed", range(4))
def test_libvhdi_reads_merged_and_relinked_chains(oracle, seed):
    files, shadow = layered(random.Random(50 + seed), count=4, blocks_mib=(1, 2, 4))
    leaf, second, third, bottom = files
    merge_child(second, third, grandparents=[bottom], new_id=uuid4)
    relink(leaf, Image.open(third), locator=PATHS, new_id=uuid4)
    assert oracle([leaf, third, bottom]) == shadow
    merge_child(third, bottom, new_id=uuid4)
    relink(leaf, Image.open(bottom), locator=PATHS, new_id=uuid4)
    assert oracle([leaf, bottom]) == shadow
    merge_child(leaf, bottom, new_id=uuid4)
    assert oracle([bottom]) == shadow


def test_libvhdi_knows_the_parent_by_its_path_and_identity(tmp_path):
    parent = base()
    child_of(parent).save(tmp_path / "child.vhdx")
    image = pyvhdi.file()
    image.open(str(tmp_path / "child.vhdx"))
    assert image.parent_filename.endswith("parent.vhdx")
    assert image.get_parent_identifier() == str(Image.open(parent).data_write_guid)


def test_libvhdi_refuses_a_parent_that_changed(tmp_path):
    parent = base()
    child_of(parent).save(tmp_path / "child.vhdx")
    writable(parent).prepare()
    parent.save(tmp_path / "parent.vhdx")
    child, changed = pyvhdi.file(), pyvhdi.file()
    child.open(str(tmp_path / "child.vhdx"))
    changed.open(str(tmp_path / "parent.vhdx"))
    with pytest.raises(OSError, match="mismatch"):
        child.set_parent(changed)
