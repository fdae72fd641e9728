# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open disk files of the lab: what the host's own writes add to a plain file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import LocalFile
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError, FormatError
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.volumes import Volumes, refused


class DiskFile:
    """A ByteFile within the limit of its volume. ``flush`` does nothing: the lab outlives its process only."""

    def __init__(self, path: str, opened: LocalFile, *, volumes: Volumes) -> None:
        self.path = path  # as the host names it
        self._file = opened
        self._file.path = path  # also in the texts of its errors
        self._volumes = volumes

    def size(self) -> int:
        return self._file.size()

    def read(self, offset: int, length: int) -> bytes:
        return self._file.read(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._file.read_into(offset, buffer)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self._volumes.spend(self.path, len(data))
        with told_as(self.path):
            self._file.write(offset, data)

    def resize(self, size: int) -> None:
        with told_as(self.path):
            self._file.resize(size)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()


def create(path: str, *, volumes: Volumes) -> DiskFile:
    """Create a new file, held exclusively."""
    with told_as(path):
        volumes.make_folder(path.rpartition("\\")[0])
        return DiskFile(path, files.create_file(str(volumes.local(path))), volumes=volumes)


def open_leaf(path: str, *, volumes: Volumes) -> DiskFile:
    """Open for writing, held exclusively. Raises Refusal IN_USE."""
    with told_as(path):
        return DiskFile(path, files.open_leaf(str(volumes.local(path))), volumes=volumes)


def open_for_reading(path: str, *, volumes: Volumes) -> DiskFile:
    with told_as(path):
        return DiskFile(path, files.open_for_reading(str(volumes.local(path))), volumes=volumes)


@contextmanager
def told_as(path: str) -> Iterator[None]:
    """Turn engine errors into what the host says, in the host's own path."""
    try:
        yield
    except FormatError as error:
        raise Refusal(Kind.CHAIN_BROKEN, f"The virtual disk {path} or its chain is corrupt: {error}") from error
    except EngineError as error:
        raise refused(error, path) from error
