# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's volumes: Windows paths in, local files out, and the limits on what may be stored."""

from __future__ import annotations

import errno
import ntpath
import os
import subprocess
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError, StateError
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Volume

_FORBIDDEN: Final = frozenset('<>"|?*/:') | {chr(code) for code in range(32)}
_TEXT_LIMIT: Final = 4 * 1024 * 1024  # bytes
_FILLER: Final = ".filler"


class Volumes:
    r"""Maps ``C:\x`` to ``<folder>/C/x``; names are found whatever their case, as on NTFS."""

    def __init__(self, folder: Path, volumes: dict[str, Volume]) -> None:
        self._folder = folder
        self.table = volumes
        self._budgets: dict[str, int] = {}  # bytes that may be written before the use is counted again
        for letter, volume in volumes.items():
            self.root(letter).mkdir(parents=True, exist_ok=True)
            if volume.mounted:
                self._mount(letter, volume)

    def root(self, letter: str) -> Path:
        return self._folder / letter.upper()

    def local(self, path: str) -> Path:
        """Return the local file of a Windows path. Raises Refusal for anything that is no plain absolute path."""
        local = self.root(self._letter(path))
        for part in ntpath.normpath(path)[3:].split("\\"):
            if part:
                local = _find(local, part)
        return local

    def windows(self, path: str) -> str:
        """Return a Windows path as the host writes it: in the case that is on the disk."""
        relative = self.local(path).relative_to(self._folder)
        return f"{relative.parts[0]}:\\" + "\\".join(relative.parts[1:])

    def exists(self, path: str) -> bool:
        return self.local(path).exists()

    def is_locked(self, path: str) -> bool:
        """Tell whether somebody (a mover) holds a file for himself."""
        local = self.local(path)
        return local.exists() and files.is_locked(str(local))

    def mount_point(self, path: str) -> str:
        return f"{self._letter(path)}:\\"

    def space(self, path: str) -> tuple[int, int]:
        """Return size and free bytes of the volume of a path."""
        letter = self._letter(path)
        volume, root = self.table[letter], self.root(letter)
        if volume.mounted:
            found = os.statvfs(root)
            return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
        return volume.size, max(0, volume.size - volume.filled - _used(root))

    def require(self, path: str, length: int) -> None:
        """Raise Refusal when the volume has less than ``length`` bytes left."""
        if self.space(path)[1] < length:
            raise Refusal(Kind.VOLUME_FULL, f"There is not enough space on the volume of {path}")

    def spend(self, path: str, length: int) -> None:
        """Raise Refusal when ``length`` bytes more may be too many; cheap enough for each write."""
        letter = self._letter(path)
        left = self._budgets.get(letter, 0) - length
        if left < 0:
            self.require(path, length)
            left = self.space(path)[1] // 2
        self._budgets[letter] = left

    def subfolders(self, path: str) -> list[str]:
        root = self.local(path)
        if not root.is_dir():
            return []
        return [ntpath.join(path, each.name) for each in sorted(root.iterdir()) if each.is_dir()]

    def make_folder(self, path: str) -> None:
        self.local(path).mkdir(parents=True, exist_ok=True)

    def remove_folder_if_empty(self, path: str) -> None:
        try:
            self.local(path).rmdir()
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ENOENT, errno.EBUSY}:
                raise

    def read_text(self, path: str) -> str | None:
        """Return a small text file, or None when there is none."""
        local = self.local(path)
        if not local.is_file():
            return None
        return files.read_small(str(local), limit=_TEXT_LIMIT).decode("utf-8")

    def write_text(self, path: str, text: str) -> None:
        """Replace a small text file atomically."""
        data = text.encode("utf-8")
        self.require(path, len(data))
        self.make_folder(ntpath.dirname(path))
        try:
            files.remove_unfinished(str(self.local(path)))
            files.write_atomically(str(self.local(path)), data)
        except StateError as error:
            raise refused(error, path) from error

    def date(self, path: str, moment: float) -> None:
        """Let a file be last written at a moment of the host's clock."""
        os.utime(self.local(path), (moment, moment))

    def dated(self, path: str) -> float:
        return self.local(path).stat().st_mtime

    def remove_file(self, path: str) -> None:
        self.local(path).unlink(missing_ok=True)

    def fill(self, letter: str, *, free: int) -> None:
        """Leave only ``free`` bytes on a volume, as if somebody had stored something else there."""
        volume, filler = self.table[letter], self.root(letter) / _FILLER
        filler.unlink(missing_ok=True)
        volume.filled = 0
        self._budgets.clear()
        surplus = max(0, self.space(f"{letter}:\\")[1] - free)
        if not volume.mounted:
            volume.filled = surplus
        elif surplus:
            with open(filler, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, surplus)

    def limit(self, letter: str, *, size: int) -> None:
        """Add a volume, or change the size of one that has no file system of its own."""
        self.root(letter).mkdir(parents=True, exist_ok=True)
        self.table[letter] = Volume(size=size)
        self._budgets.clear()

    def mount(self, letter: str, *, size: int) -> None:
        """Give an empty volume a file system of its own (root only), so that movers meet its limit as well."""
        root = self.root(letter)
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise Refusal(Kind.WRONG_STATE, f"volume {letter} is not empty")
        self.table[letter] = Volume(size=size, mounted=True)
        self._mount(letter, self.table[letter])

    def unmount(self) -> None:
        """Take the mounted volumes away, with all that is on them."""
        for letter, volume in self.table.items():
            if volume.mounted and self.root(letter).is_mount():
                subprocess.run(["umount", str(self.root(letter))], check=True)
                volume.mounted = False

    def _mount(self, letter: str, volume: Volume) -> None:
        if not self.root(letter).is_mount():  # it outlives the process that mounted it
            options = f"size={volume.size},mode=0755"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "lab", str(self.root(letter))], check=True)

    def _letter(self, path: str) -> str:
        letter = path[:1].upper()
        if path[1:3] not in {":\\", ":/"} or set(path[3:].replace("/", "\\")) & _FORBIDDEN:
            raise Refusal(Kind.PATH_INVALID, f"{path} is not a path that this host can use")
        if letter not in self.table:
            raise Refusal(Kind.DRIVE_NOT_FOUND, f"The system cannot find the drive of {path}")
        return letter


def refused(error: EngineError, path: str) -> Refusal:
    """Return what the host says of a failing file, in the host's own path."""
    if error.reason == "volume_full":
        return Refusal(Kind.VOLUME_FULL, f"There is not enough space on the volume of {path}")
    if error.reason in {"leaf_locked", "file_locked"}:
        return Refusal(Kind.IN_USE, f"The process cannot access {path} because it is being used by another process")
    if error.reason == "file_missing":
        return Refusal(Kind.FILE_NOT_FOUND, f"The system cannot find the file {path}")
    if error.reason == "file_exists":
        return Refusal(Kind.EXISTS, f"The file {path} exists")
    return Refusal(Kind.FAILED, f"The operation on {path} failed: {error.reason or error.code}")


def _find(folder: Path, name: str) -> Path:
    exact = folder / name
    if exact.exists():
        return exact
    try:
        return next((each for each in folder.iterdir() if each.name.casefold() == name.casefold()), exact)
    except (FileNotFoundError, NotADirectoryError):
        return exact


def _used(root: Path) -> int:
    total = 0
    for folder, _unused, names in os.walk(root):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # deleted while we counted
    return total
