# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files for tests of image formats: in memory, on disk, failing at a chosen call, and losing what was not flushed."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError

PAGE = 64 * 1024


class MemoryFile:
    """A sparse file in memory; pages that were never written cost nothing."""

    def __init__(self) -> None:
        self._size = 0
        self._pages: dict[int, bytearray] = {}
        self.closed = False

    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset < 0 or offset + len(buffer) > self._size:
            raise FormatError(f"file ends at {self._size}, wanted {len(buffer)} bytes at {offset}")
        for number, start, at, length in _per_page(offset, len(buffer)):
            page = self._pages.get(number)
            buffer[at : at + length] = page[start : start + length] if page else bytes(length)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        for number, start, at, length in _per_page(offset, len(view)):
            page = self._pages.setdefault(number, bytearray(PAGE))
            page[start : start + length] = view[at : at + length]
        if view:
            self._size = max(self._size, offset + len(view))

    def resize(self, size: int) -> None:
        if size < self._size:
            last = size // PAGE
            self._pages = {number: page for number, page in self._pages.items() if number <= last}
            if last in self._pages:
                self._pages[last][size % PAGE :] = bytes(PAGE - size % PAGE)
        self._size = size

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def copy(self) -> MemoryFile:
        twin = MemoryFile()
        twin._size = self._size
        twin._pages = {number: bytearray(page) for number, page in self._pages.items()}
        return twin

    def save(self, path: Path) -> None:
        with path.open("wb") as out:
            out.truncate(self._size)
            for number, page in self._pages.items():
                out.seek(number * PAGE)
                out.write(page[: self._size - number * PAGE])


def _per_page(offset: int, length: int) -> list[tuple[int, int, int, int]]:
    """Return page number, start in the page, position in the buffer, length."""
    parts = []
    at = 0
    while at < length:
        number, start = divmod(offset + at, PAGE)
        step = min(length - at, PAGE - start)
        parts.append((number, start, at, step))
        at += step
    return parts


class RealFile:
    """A file on disk, by plain seek and read: works on every platform."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._file = path.open("r+b", buffering=0)

    def size(self) -> int:
        return self._file.seek(0, 2)

    def read(self, offset: int, length: int) -> bytes:
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._file.seek(offset)
        if self._file.readinto(buffer) != len(buffer):
            raise FormatError(f"{self.path} ends before {offset + len(buffer)}")

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self._file.seek(offset)
        assert self._file.write(data) == len(data)

    def resize(self, size: int) -> None:
        self._file.truncate(size)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Injected(Exception):
    """The failure that a test asked for."""


class Fuse:
    """Fails at the Nth changing call on the files that share it, and at every one after it; 0: never."""

    def __init__(self, fail_at: int = 0) -> None:
        self.fail_at = fail_at
        self.calls = 0

    def burn(self) -> None:
        self.calls += 1
        if 0 < self.fail_at <= self.calls:
            raise Injected(f"call {self.calls}")

    @property
    def blown(self) -> bool:
        return 0 < self.fail_at <= self.calls


class FailingFile(MemoryFile):
    """A view of a file in memory whose changing calls burn a fuse; what went through before stays."""

    def __init__(self, inner: MemoryFile, fuse: Fuse) -> None:
        super().__init__()
        self.inner = inner
        self.fuse = fuse

    def size(self) -> int:
        return self.inner.size()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.inner.read_into(offset, buffer)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self.fuse.burn()
        self.inner.write(offset, data)

    def resize(self, size: int) -> None:
        self.fuse.burn()
        self.inner.resize(size)

    def flush(self) -> None:
        self.fuse.burn()


class CountingFile(FailingFile):
    """Notes offset and length of every read."""

    def __init__(self, inner: MemoryFile) -> None:
        super().__init__(inner, Fuse())
        self.reads: list[tuple[int, int]] = []

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads.append((offset, len(buffer)))
        super().read_into(offset, buffer)


class PowerCutFile(MemoryFile):
    """Remembers the changes since the last flush: a power cut keeps any of them, in any order, torn at sectors."""

    SECTOR = 512  # bytes that are written whole or not at all

    def __init__(self, durable: MemoryFile, fuse: Fuse) -> None:
        super().__init__()
        self.durable = durable
        self.fuse = fuse
        self.pending: list[Callable[[MemoryFile], None]] = []
        twin = durable.copy()
        self._size, self._pages = twin._size, twin._pages

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self.fuse.burn()
        super().write(offset, data)
        end, content = offset + len(data), bytes(data)
        for start in range(offset - offset % self.SECTOR, end, self.SECTOR):
            first, last = max(start, offset), min(start + self.SECTOR, end)
            part = content[first - offset : last - offset]
            self.pending.append(partial(MemoryFile.write, offset=first, data=part))

    def resize(self, size: int) -> None:
        self.fuse.burn()
        super().resize(size)
        self.pending.append(partial(MemoryFile.resize, size=size))

    def flush(self) -> None:
        self.fuse.burn()
        for change in self.pending:
            change(self.durable)
        self.pending.clear()

    def cut(self, chance: random.Random) -> MemoryFile:
        """Return what the disk may hold after a power cut now."""
        after = self.durable.copy()
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        kept = [change for change in self.pending if chance.random() < share]
        if chance.random() < 0.5:
            chance.shuffle(kept)
        for change in kept:
            change(after)
        return after
