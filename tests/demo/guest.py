# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guest of the demo keeps on its disks: an ext4 file system of real files, and an area of raw data.

The file system is made and changed with e2fsprogs (``mke2fs -d``, ``debugfs``): no mount, no root, and no code of ours.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

FILES_MAX = 2500
FILE_MAX = MiB // 2
BYTES_MAX = 32 * MiB
# Where distributions keep mke2fs and its kin; the PATH of an ordinary user often lacks it.
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"

Hashes = dict[str, str]  # SHA-256 by path in the file system


class Missing(Exception):
    """A program that the demo needs is not installed."""


@dataclass(frozen=True)
class Change:
    """What the guest did between two sessions."""

    changed: int
    added: int
    removed: int

    def __str__(self) -> str:
        return f"{self.changed} files changed, {self.added} added, {self.removed} removed"


class FileSystem:
    """An ext4 file system in ``image``; ``hashes`` says what must be in it."""

    def __init__(self, folder: Path, *, size: int, seed: int) -> None:
        self.image = folder / "ext4.raw"
        self.hashes: Hashes = {}
        self._size = size
        self._random = random.Random(seed)
        self._tree = folder / "tree"
        self._tree.mkdir(parents=True)

    def make(self) -> None:
        """Fill a new file system with the libraries of this Python: thousands of real files of all sizes."""
        for source, name in _real_files():
            target = self._tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        with self.image.open("wb") as file:
            file.truncate(self._size)
        e2fsprogs("mke2fs", "-q", "-F", "-t", "ext4", "-L", "demo", "-d", str(self._tree), str(self.image))
        self.hashes = hashes_below(self._tree)

    def change(self) -> Change:
        """Edit, add and remove files, as a working machine does."""
        names = sorted(self.hashes)
        edited = self._random.sample(names, 60)
        removed, changed = edited[:15], edited[15:]
        added = [f"var/spool/{number}-{self._random.randrange(16**8):08x}" for number in range(25)]
        for name in [*changed, *added]:
            target = self._tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self._random.randbytes(self._random.randrange(1, 96 * KiB)))
        for name in removed:
            (self._tree / name).unlink()
        self._edit(write=[*changed, *added], remove=[*removed, *changed])
        self.hashes = hashes_below(self._tree)
        return Change(len(changed), len(added), len(removed))

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def _edit(self, *, write: list[str], remove: list[str]) -> None:
        folders = [] if "var/spool" in self._known_folders() else ["mkdir var", "mkdir var/spool"]
        commands = [
            *(f'rm "{name}"' for name in remove),
            *folders,
            *(f'write "{self._tree / name}" "{name}"' for name in write),
        ]
        e2fsprogs("debugfs", "-w", "-f", "-", str(self.image), text="\n".join(commands))

    def _known_folders(self) -> set[str]:
        return {os.path.dirname(name) for name in self.hashes}


def raw_area(path: Path, *, size: int, seed: int) -> None:
    """Make a raw file whose first third is random, the rest zero but for a few islands."""
    numbers = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size)
        file.write(numbers.randbytes(size // 3))
        for offset in numbers.sample(range(size // 2, size - MiB, 64 * KiB), 8):
            file.seek(offset)
            file.write(numbers.randbytes(64 * KiB))


def check(image: Path) -> None:
    """Raise CalledProcessError unless e2fsck finds the file system clean."""
    e2fsprogs("e2fsck", "-f", "-n", str(image))


def hashes_in(image: Path, scratch: Path) -> Hashes:
    """Read every file of a file system back, by debugfs."""
    scratch.mkdir()
    try:
        e2fsprogs("debugfs", "-R", f'rdump / "{scratch}"', str(image))
        shutil.rmtree(scratch / "lost+found", ignore_errors=True)
        return hashes_below(scratch)
    finally:
        shutil.rmtree(scratch)


def hashes_below(folder: Path) -> Hashes:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def e2fsprogs(program: str, *arguments: str, text: str = "") -> None:
    """Run a program of e2fsprogs. Raises Missing, CalledProcessError."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if path is None:
        raise Missing(f"{program} is not installed; on Debian and Ubuntu: apt-get install e2fsprogs")
    subprocess.run([path, *arguments], input=text.encode(), check=True, capture_output=True)


def _real_files() -> Iterator[tuple[Path, str]]:
    """Yield files of this machine and the names they get, until there are enough."""
    count = total = 0
    for root, name in ((sysconfig.get_path("purelib"), "opt/lib"), (sysconfig.get_path("stdlib"), "usr/lib")):
        for path in sorted(Path(root).rglob("*")):
            if path.suffix == ".pyc" or path.is_symlink() or not path.is_file():
                continue
            if not 0 < path.stat().st_size <= FILE_MAX:
                continue
            count, total = count + 1, total + path.stat().st_size
            if count > FILES_MAX or total > BYTES_MAX:
                return
            yield path, f"{name}/{path.relative_to(root).as_posix()}"
