# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual disks for tests: small images in memory, and a plain ``bytearray`` that says what they must read."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import (
    create_child,
    create_image,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import (
    ParentLocator,
    ParentPaths,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation, DiskGeometry
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import ByteFile
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB

from ..byte_files import MemoryFile

SECTOR = 512
PATHS = ParentPaths(relative=".\\parent.vhdx", absolute="C:\\disks\\parent.vhdx")
LENGTHS = (SECTOR, 4096, 64 * 1024, MiB, 3 * MiB)


def geometry(
    virtual_size: int = 8 * MiB,
    *,
    block_size: int = MiB,
    allocation: Allocation = Allocation.DYNAMIC,
    logical_sector_size: int = SECTOR,
) -> DiskGeometry:
    return DiskGeometry(
        disk_id=uuid4(),
        virtual_size=virtual_size,
        block_size=block_size,
        logical_sector_size=logical_sector_size,
        physical_sector_size=4096,
        allocation=allocation,
    )


def base(shape: DiskGeometry | None = None) -> MemoryFile:
    file = MemoryFile()
    create_image(file, shape or geometry(), new_id=uuid4)
    return file


def child_of(parent: ByteFile, *, block_size: int = MiB, virtual_size: int | None = None) -> MemoryFile:
    file = MemoryFile()
    image = Image.open(parent)
    create_child(file, image, locator=PATHS, block_size=block_size, virtual_size=virtual_size, new_id=uuid4)
    return file


def writable(*files: ByteFile, new_id: Callable[[], UUID] = uuid4) -> Chain:
    return Chain.open(files, writable=True, new_id=new_id)


def locator_of(file: ByteFile) -> ParentLocator:
    locator = Image.open(file).parent_locator
    assert locator is not None
    return locator


def content(files: Sequence[ByteFile] | Chain) -> bytearray:
    chain = files if isinstance(files, Chain) else Chain.open(files)
    buffer = bytearray(chain.virtual_size)
    chain.read_into(0, memoryview(buffer))
    return buffer


def read(chain: Chain, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    chain.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def random_range(chance: random.Random, size: int) -> tuple[int, int]:
    """Return offset and length of whole sectors; often a whole block, often across the borders of blocks."""
    offset = chance.randrange(0, size, SECTOR)
    if chance.random() < 0.4:
        offset -= offset % MiB
    return offset, min(chance.choice(LENGTHS), size - offset)


def scribble(chain: Chain, shadow: bytearray, *, chance: random.Random, steps: int) -> None:
    """Write, zero and flush at random, into the chain and into its shadow."""
    for _turn in range(steps):
        offset, length = random_range(chance, len(shadow))
        choice = chance.random()
        if choice < 0.6:
            data = chance.randbytes(length)
            chain.write(offset, data)
            shadow[offset : offset + length] = data
        elif choice < 0.9:
            chain.zero(offset, length)
            shadow[offset : offset + length] = bytes(length)
        else:
            chain.flush()
