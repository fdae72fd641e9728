# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base images between this project and qemu-img: each checks and reads what the other wrote."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.formats.byte_files import RealFile
from ansible_collections.opendr.hyperv.tests.unit.formats.vhdx.disks import base, content, geometry, scribble, writable

pytestmark = pytest.mark.needs("qemu-img", "qemu-io")
SIZE = 9 * MiB + 512 * 4  # qemu-img rounds raw files to whole sectors, so this is a size that both can have
BLOCKS_MIB = (1, 2, 32, 256)


def qemu(*arguments: str | Path) -> str:
    done = subprocess.run([str(part) for part in arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_same(image: Path, raw: Path, shadow: bytearray) -> None:
    raw.write_bytes(shadow)
    assert "No errors" in qemu("qemu-img", "check", "-f", "vhdx", image)
    assert "identical" in qemu("qemu-img", "compare", "-f", "vhdx", "-F", "raw", image, raw)


@pytest.mark.parametrize("block_mib", BLOCKS_MIB)
@pytest.mark.parametrize("allocation", Allocation)
def test_qemu_reads_what_was_written_here(tmp_path, block_mib, allocation):
    chance = random.Random(block_mib)
    file, shadow = base(geometry(SIZE, block_size=block_mib * MiB, allocation=allocation)), bytearray(SIZE)
    image, raw = tmp_path / "image.vhdx", tmp_path / "disk.raw"
    for _turn in range(4):
        chain = writable(file)
        scribble(chain, shadow, chance=chance, steps=8)
        chain.flush()
        file.save(image)
        assert_same(image, raw, shadow)


@pytest.mark.parametrize("block_mib", BLOCKS_MIB)
@pytest.mark.parametrize("kind", ["dynamic", "fixed"])
def test_images_of_qemu_are_read_and_written_here(tmp_path, block_mib, kind):
    chance = random.Random(block_mib)
    image, raw = tmp_path / "image.vhdx", tmp_path / "disk.raw"
    shadow = bytearray(SIZE)
    shadow[MiB : 2 * MiB] = chance.randbytes(MiB)
    shadow[7 * MiB : 7 * MiB + 512] = chance.randbytes(512)
    raw.write_bytes(shadow)
    options = f"subformat={kind},block_size={block_mib}M"
    qemu("qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", options, raw, image)
    file = RealFile(image)
    assert check_image(file) == []
    assert content([file]) == shadow
    chain = writable(file)
    scribble(chain, shadow, chance=chance, steps=12)
    chain.flush()
    chain.close()
    assert_same(image, raw, shadow)


def test_both_write_in_turns(tmp_path):
    image, raw = tmp_path / "image.vhdx", tmp_path / "disk.raw"
    base(geometry(SIZE)).save(image)
    shadow, chance = bytearray(SIZE), random.Random(1)
    for turn in range(4):
        chain = writable(RealFile(image))
        scribble(chain, shadow, chance=chance, steps=6)
        chain.flush()
        chain.close()
        at, fill = chance.randrange(SIZE // MiB) * MiB, turn + 1
        qemu("qemu-io", "-f", "vhdx", "-c", f"write -P {fill} {at} 65536", image)
        shadow[at : at + 65536] = bytes([fill]) * 65536
        assert_same(image, raw, shadow)


def test_holes_stay_holes(tmp_path):
    image = tmp_path / "image.vhdx"
    base(geometry(64 * MiB, allocation=Allocation.FIXED)).save(image)
    file = RealFile(image)
    chain = writable(file)
    chain.zero(0, 64 * MiB)
    chain.write(5 * MiB, b"x" * 4096)
    chain.flush()
    chain.close()
    assert image.stat().st_size == 68 * MiB
    assert image.stat().st_blocks * 512 < 2 * MiB
