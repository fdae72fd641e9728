# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the golden images beside this file: ``python -m ansible_collections....tests.unit.formats.vhdx.golden.make``.

``base.vhdx`` and ``child.avhdx`` are a chain of this project, with fixed ids; ``qemu.vhdx`` is a dynamic image that
qemu-img 7.2 made. They are kept compressed; what they read as is in ``content``.
"""

from __future__ import annotations

import itertools
import lzma
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import (
    create_child,
    create_image,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import ParentPaths
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation, DiskGeometry
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.formats.byte_files import MemoryFile

HERE = Path(__file__).parent
SIZE = 5 * MiB + 1536
LOWER = {MiB: b"base" * 1024, 3 * MiB - 512: b"across" * 512, SIZE - 512: b"l" * 512}
UPPER = {512: b"c" * 512, 2 * MiB: b"child" * 2048, 4 * MiB: b"f" * MiB}
ZEROED = (MiB, MiB)


def content(*layers: dict[int, bytes]) -> bytes:
    """Return the disk after writing layers over each other; the second one also zeroes a block."""
    disk = bytearray(SIZE)
    for number, layer in enumerate(layers):
        if number:
            disk[ZEROED[0] : sum(ZEROED)] = bytes(ZEROED[1])
        for offset, data in layer.items():
            disk[offset : offset + len(data)] = data
    return bytes(disk)


def ids(first: int) -> Callable[[], UUID]:
    """Return ids that count upwards."""
    numbers = itertools.count(first)
    return lambda: UUID(int=next(numbers))


def own_chain() -> tuple[MemoryFile, MemoryFile]:
    """Return base and child, the same bytes each time."""
    shape = DiskGeometry(UUID(int=0xD15C), SIZE, MiB, 512, 4096, Allocation.DYNAMIC)
    base, child = MemoryFile(), MemoryFile()
    create_image(base, shape, new_id=ids(100))
    _write(Chain.open([base], writable=True, new_id=ids(200)), LOWER)
    paths = ParentPaths(relative=".\\base.vhdx", absolute="C:\\disks\\base.vhdx")
    create_child(child, Image.open(base), locator=paths, block_size=MiB, new_id=ids(300))
    chain = Chain.open([child, base], writable=True, new_id=ids(400))
    chain.zero(*ZEROED)
    _write(chain, UPPER)
    return base, child


def _write(chain: Chain, layer: dict[int, bytes]) -> None:
    for offset, data in layer.items():
        chain.write(offset, data)
    chain.flush()


def golden(name: str) -> MemoryFile:
    """Return a golden image, unpacked."""
    file = MemoryFile()
    file.write(0, lzma.decompress((HERE / f"{name}.xz").read_bytes()))
    return file


def main() -> None:
    base, child = own_chain()
    with tempfile.TemporaryDirectory() as folder:
        raw, image = Path(folder, "raw"), Path(folder, "qemu.vhdx")
        raw.write_bytes(content(LOWER))
        options = "subformat=dynamic,block_size=1M"
        subprocess.run(["qemu-img", "convert", "-O", "vhdx", "-f", "raw", "-o", options, raw, image], check=True)
        files = {"base.vhdx": base.read(0, base.size()), "child.avhdx": child.read(0, child.size())}
        for name, data in {**files, "qemu.vhdx": image.read_bytes()}.items():
            (HERE / f"{name}.xz").write_bytes(lzma.compress(data, preset=9))


if __name__ == "__main__":
    main()
