# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power that is cut: what was written to a volume and not flushed is lost singly, in any subset, torn at 512 bytes.

``Power`` stands between ``adapters/files.py`` and the operating system. Writes are real; what they replace is kept
until the file is flushed, and what became of names until their folder is. From the chosen operation on everything
fails, until ``restore`` has rolled a random part of what was kept back.

Files that the lab host opens for itself are left alone: Hyper-V looks after what it writes.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.tests.lab.hyperv import disk_files

SECTOR: Final = 512  # bytes that are written whole or not at all
WATCHED: Final = frozenset("open close preadv pwrite ftruncate fdatasync fsync replace unlink".split())
SHARES: Final = (0.0, 0.1, 0.5, 0.9, 1.0)  # of what was not flushed: how much of it reaches the disk


@dataclass
class Unsynced:
    """What a file held before writes that were not flushed; ``descriptor`` is ours, and outlives names."""

    descriptor: int
    sizes: list[int] = field(default_factory=list)
    sectors: dict[int, list[bytes]] = field(default_factory=dict)
    is_new: bool = False  # nothing of its content was flushed yet

    def keep(self, offset: int, length: int) -> None:
        """Remember size and sectors that are about to change."""
        self.sizes.append(os.fstat(self.descriptor).st_size)
        for number in range(offset // SECTOR, -(-(offset + length) // SECTOR)):
            old = os.pread(self.descriptor, SECTOR, number * SECTOR)
            self.sectors.setdefault(number, []).append(old.ljust(SECTOR, b"\0"))

    def roll_back(self, chance: random.Random, *, share: float) -> None:
        """Let each sector be as it is, or as it was after any of the earlier writes to it."""
        size = os.fstat(self.descriptor).st_size
        if self.is_new:
            self.sectors = {number: [bytes(SECTOR)] for number in range(-(-size // SECTOR))}
            self.sizes = [0]
        for number, older in self.sectors.items():
            if chance.random() >= share:
                os.pwrite(self.descriptor, chance.choice(older), number * SECTOR)
        lost = self.sizes and chance.random() >= share
        os.ftruncate(self.descriptor, chance.choice(self.sizes) if lost else size)


@dataclass(frozen=True)
class Named:
    """A name in a folder that changed: ``before`` is what it was or what stands in its place elsewhere."""

    kind: str  # create, replace, remove
    path: str
    before: str = ""  # replace: the old name of the file
    spare: str = ""  # a link to the file that the name led to

    def undo(self) -> None:
        if self.kind == "create":
            Path(self.path).unlink(missing_ok=True)
        elif self.kind == "replace" and os.path.exists(self.path):
            os.replace(self.path, self.before)
        if self.spare:
            os.link(self.spare, self.path)


class Power:
    """Of the volumes under ``roots``. ``trace`` lists every operation since it was armed, as ``what file``."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(f"{root}{os.sep}" for root in roots)
        self._spares = roots[0].parent / "spares"
        self._spares.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._exempt = threading.local()
        self._files: dict[int, Unsynced] = {}  # by inode
        self._names: dict[str, list[Named]] = {}  # by folder
        self._open: dict[int, str] = {}  # paths by descriptor
        self._cut_at = ("", 0)
        self.trace: list[str] = []
        self.is_off = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stand between the engine's files and the operating system."""
        with patch.object(files, "os", self), patch.object(disk_files, "files", _Exempt(self._exempt)):
            yield
        self._forget_all()

    def arm(self, kind: str = "", nth: int = 0) -> None:
        """Cut at the nth operation of a kind (as in ``trace``) from now on; 0: never."""
        with self._lock:
            self._cut_at, self.trace = (kind, nth), []

    def restore(self, seed: int) -> None:
        """Switch on again: what was not durable is kept or lost as the seed says."""
        chance = random.Random(seed)
        with self._lock:
            share = chance.choice(SHARES)
            for file in self._files.values():
                file.roll_back(chance, share=share)
            self._forget_all()
            for changes in self._names.values():
                for change in reversed(changes[chance.randint(0, len(changes)) if share else 0 :]):
                    change.undo()
            self._names.clear()
            self._cut_at, self.is_off = ("", 0), False

    def _forget_all(self) -> None:
        for file in self._files.values():
            os.close(file.descriptor)
        self._files.clear()

    def _burn(self, what: str, path: str) -> None:
        if self.is_off:
            raise OSError(errno.EIO, "the power is off")
        kind = f"{what} {_kind_of(path)}"
        self.trace.append(kind)
        if self._cut_at == (kind, self.trace.count(kind)):
            self.is_off = True
            raise OSError(errno.EIO, "the power is off")

    # What the operating system offers: the calls that change or read files are watched.

    def __getattr__(self, name: str) -> Any:
        return getattr(self, f"_os_{name}") if name in WATCHED else getattr(os, name)

    def _os_open(self, path: str, flags: int, mode: int = 0o777) -> int:
        with self._lock:
            is_ours = path.startswith(self._roots) and not getattr(self._exempt, "is_on", False)
            if is_ours and flags & os.O_CREAT:
                self._burn("create", path)
            elif is_ours and self.is_off:
                raise OSError(errno.EIO, "the power is off")
            descriptor = os.open(path, flags, mode)
            self._open.pop(descriptor, None)
            if is_ours:
                self._open[descriptor] = path
            if is_ours and flags & os.O_CREAT:
                self._unsynced(descriptor, path).is_new = True
                self._names.setdefault(os.path.dirname(path), []).append(Named("create", path))
            return descriptor

    def _os_close(self, descriptor: int) -> None:
        with self._lock:
            self._open.pop(descriptor, None)
            os.close(descriptor)

    def _os_preadv(self, descriptor: int, buffers: Sequence[memoryview], offset: int) -> int:
        if self.is_off and descriptor in self._open:
            raise OSError(errno.EIO, "the power is off")
        return os.preadv(descriptor, buffers, offset)

    def _os_pwrite(self, descriptor: int, data: memoryview, offset: int) -> int:
        with self._lock:
            if descriptor in self._open:
                self._burn("write", self._open[descriptor])
                self._unsynced(descriptor).keep(offset, len(data))
            return os.pwrite(descriptor, data, offset)

    def _os_ftruncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            if descriptor in self._open:
                self._burn("resize", self._open[descriptor])
                self._unsynced(descriptor).keep(size, max(0, os.fstat(descriptor).st_size - size))
            os.ftruncate(descriptor, size)

    def _os_fdatasync(self, descriptor: int) -> None:
        self._os_fsync(descriptor)

    def _os_fsync(self, descriptor: int) -> None:
        with self._lock:
            path = self._open.get(descriptor)
            if path is None:
                return  # to wait for the real device would prove nothing
            self._burn("flush", path)
            if os.path.isdir(path):
                self._names.pop(path, None)
            else:
                file = self._files.pop(os.fstat(descriptor).st_ino, None)
                if file is not None:
                    os.close(file.descriptor)

    def _os_replace(self, path: str, new_path: str) -> None:
        with self._lock:
            if new_path.startswith(self._roots):
                self._burn("replace", new_path)
                self._names.setdefault(os.path.dirname(new_path), []).append(
                    Named("replace", new_path, before=path, spare=self._spare(new_path))
                )
            os.replace(path, new_path)

    def _os_unlink(self, path: str) -> None:
        with self._lock:
            if path.startswith(self._roots) and os.path.exists(path):
                self._burn("remove", path)
                self._names.setdefault(os.path.dirname(path), []).append(Named("remove", path, spare=self._spare(path)))
            os.unlink(path)

    def _spare(self, path: str) -> str:
        if not os.path.exists(path):
            return ""
        spare = str(self._spares / f"{len(os.listdir(self._spares))}")
        os.link(path, spare)
        return spare

    def _unsynced(self, descriptor: int, path: str = "") -> Unsynced:
        inode = os.fstat(descriptor).st_ino
        if inode not in self._files:
            own = os.open(path or self._open[descriptor], os.O_RDWR | os.O_CLOEXEC)
            self._files[inode] = Unsynced(own)
        return self._files[inode]


class _Exempt:
    """``adapters.files`` for the lab host: what it opens is not watched."""

    def __init__(self, flag: threading.local) -> None:
        self._flag = flag

    def __getattr__(self, name: str) -> Any:
        found = getattr(files, name)

        def call(*given: object) -> object:
            self._flag.is_on = True
            try:
                return found(*given)
            finally:
                self._flag.is_on = False

        return call


def _kind_of(path: str) -> str:
    name = os.path.basename(path)
    if os.path.isdir(path):
        return "folder"
    for part, kind in (("opendr-journal", "journal"), ("replica.json", "record"), (".epoch", "epoch")):
        if part in name:
            return kind
    return "image" if name.endswith(".new") else "leaf"
