# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that format tests use behave like the real adapter, and images work on all of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import create_file
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import ByteFile
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.formats.byte_files import (
    CountingFile,
    Fuse,
    MemoryFile,
    PowerCutFile,
    RealFile,
)
from ansible_collections.opendr.hyperv.tests.unit.formats.vhdx.disks import (
    base,
    child_of,
    content,
    geometry,
    scribble,
    writable,
)

KINDS: dict[str, Callable[[Path], ByteFile]] = {
    "adapter": lambda path: create_file(str(path)),
    "real": RealFile,
    "memory": lambda _path: MemoryFile(),
    "counting": lambda _path: CountingFile(MemoryFile()),
    "power cut": lambda _path: PowerCutFile(MemoryFile(), Fuse()),
}


@pytest.fixture(params=KINDS)
def file(request: pytest.FixtureRequest, tmp_path: Path):
    opened = KINDS[request.param](tmp_path / "file")
    yield opened
    opened.close()
    opened.close()


def test_random_calls_agree_with_a_bytearray(file):
    chance, shadow = random.Random(1), bytearray()
    for _turn in range(300):
        offset, length = chance.randrange(200_000), chance.choice((0, 1, 511, 4096, 70_000))
        choice = chance.random()
        if choice < 0.5:
            data = chance.randbytes(length)
            file.write(offset, data)
            shadow.extend(bytes(max(0, offset + length - len(shadow)) if length else 0))
            shadow[offset : offset + length] = data
        elif choice < 0.6:
            file.resize(offset)
            shadow = shadow[:offset].ljust(offset, b"\0")
        elif choice < 0.7:
            file.flush()
        elif offset + length <= len(shadow):
            assert file.read(offset, length) == shadow[offset : offset + length]
        assert file.size() == len(shadow)
    assert file.read(0, len(shadow)) == shadow


def test_reading_behind_the_end_is_an_error(file):
    file.write(0, b"x" * 10)
    for offset, length in ((0, 11), (10, 1), (5000, 1)):
        with pytest.raises(FormatError):
            file.read(offset, length)


def test_images_work_on_the_real_adapter(tmp_path):
    chance, shadow = random.Random(2), bytearray(6 * MiB)
    bottom = base(geometry(6 * MiB))
    scribble(chain := writable(bottom), shadow, chance=chance, steps=10)
    chain.flush()
    leaf = child_of(bottom, block_size=2 * MiB)
    stored = []
    for number, memory in enumerate((leaf, bottom)):
        stored.append(create_file(str(tmp_path / f"{number}.vhdx")))
        stored[-1].write(0, memory.read(0, memory.size()))
    chain = writable(*stored)
    scribble(chain, shadow, chance=chance, steps=30)
    assert content(chain) == shadow
    chain.flush()
    assert content(Chain.open(stored)) == shadow
    assert check_chain(stored) == []
    chain.close()
