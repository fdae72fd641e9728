# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof: a restore point, read by programs that nobody here wrote, equals the source at its moment."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.opendr.hyperv.tests.demo import guest
from ansible_collections.opendr.hyperv.tests.lab import oracles

Chain = list[Path]  # leaf first


@dataclass(frozen=True)
class Moment:
    """The source when a restore point was taken: raw files by disk id, and the files of the file system."""

    point_id: str
    shadows: dict[str, Path]
    file_system_disk: str  # id of the disk with the file system
    hashes: guest.Hashes


@dataclass(frozen=True)
class Verdict:
    """What was compared of one restore point; ``qemu_img`` tells whether the program is here."""

    compared: int  # bytes
    files: int
    bases: int  # image files that qemu-img looked at
    qemu_img: bool
    problems: tuple[str, ...]


def prove(moment: Moment, chains: dict[str, Chain], scratch: Path) -> Verdict:
    """Compare a restore point with its moment; ``scratch`` is a folder that may be filled and emptied."""
    problems = [*_disks(moment, chains), *_file_system(moment, chains, scratch)]
    # qemu-img knows no differencing files, so it looks at the base of each chain.
    bases = sorted({chain[-1] for chain in chains.values()})
    qemu_img = shutil.which("qemu-img") is not None
    if qemu_img:
        problems += [f"qemu-img: {path.name}: {text}" for path in bases if (text := oracles.qemu_img_check(path))]
    return Verdict(
        compared=sum(shadow.stat().st_size for shadow in moment.shadows.values()),
        files=len(moment.hashes),
        bases=len(bases),
        qemu_img=qemu_img,
        problems=tuple(problems),
    )


def _disks(moment: Moment, chains: dict[str, Chain]) -> list[str]:
    if chains.keys() != moment.shadows.keys():
        return [f"the restore point has disks {sorted(chains)}, the source had {sorted(moment.shadows)}"]
    found = ((disk, oracles.first_difference(chain, moment.shadows[disk])) for disk, chain in chains.items())
    return [f"disk {disk} differs at {offset}" for disk, offset in found if offset is not None]


def _file_system(moment: Moment, chains: dict[str, Chain], scratch: Path) -> list[str]:
    """Check the file system and read its files back, from what libvhdi reads of the chain."""
    image = scratch / "restored.raw"
    _export(chains[moment.file_system_disk], image)
    try:
        guest.check(image)
        wrong = moment.hashes.items() ^ guest.hashes_in(image, scratch / "files").items()
        return [f"{len({name for name, _hash in wrong})} files differ"] if wrong else []
    except subprocess.CalledProcessError as error:
        return [f"{Path(error.cmd[0]).name}: {error.stdout.decode(errors='replace').strip()}"]
    finally:
        image.unlink()


def _export(chain: Sequence[Path], raw: Path) -> None:
    with raw.open("wb") as file:
        offset = 0
        for data in oracles.contents(chain):
            if data.strip(b"\0"):
                os.pwrite(file.fileno(), data, offset)
            offset += len(data)
        file.truncate(offset)
