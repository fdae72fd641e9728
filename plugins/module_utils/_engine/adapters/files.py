# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Files of this machine, on Linux and Windows: the only file of the engine that calls what one of them lacks.

``LocalFile`` fulfils ``ports.ByteFile``: positional reads and writes, safe from several threads. Foreign errors leave
this module as engine errors, told apart by ``reason``:

==================  ============  ======================================================
reason              class         meaning
==================  ============  ======================================================
``file_missing``    RequestError  no such file or folder
``file_denied``     RequestError  the operating system refuses this user
``file_exists``     StateError    there is a file already
``file_locked``     StateError    another program holds it (``leaf_locked`` for a leaf)
``volume_full``     StateError    no room, or a quota or size limit is reached
``storage_failed``  StateError    the device reports an error
==================  ============  ======================================================

Windows specifics are in ``files_windows.py``. Target files are sparse on Linux. On Windows they are not: Hyper-V
refuses a virtual hard disk with the sparse attribute (error 0xC03A001A); NTFS extends a file with zeros by itself.
"""

from __future__ import annotations

import ctypes
import errno
import glob
import mmap
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from ..errors import EngineError, FormatError, RequestError, StateError
from ..units import KiB

SHARED_MODE: Final = 0o640
DIRECT_MIN: Final = 256 * KiB  # bytes
DIRECT_ALIGNMENT: Final = 4096  # bytes, of address, offset and length

if sys.platform == "win32":
    from .files_windows import DISK_FULL_CODES, LOCKED_CODES, open_handle
else:
    import fcntl

    DISK_FULL_CODES: frozenset[int] = frozenset()
    LOCKED_CODES: frozenset[int] = frozenset()

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR})


class Handle(Protocol):
    """What the operating system gives: each call may move fewer bytes than asked, and raises OSError."""

    def size(self) -> int: ...
    def read_into(self, offset: int, buffer: memoryview) -> int: ...
    def write(self, offset: int, data: memoryview) -> int: ...
    def resize(self, size: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class LocalFile:
    """An open file that fulfils ``ports.ByteFile``. Make it with the functions of this module."""

    def __init__(self, path: str, handle: Handle) -> None:
        self.path = path
        self._handle: Handle | None = handle

    @property
    def handle(self) -> Handle:
        """The open handle. Raises StateError, reason ``file_closed``, after ``close``."""
        if self._handle is None:
            raise StateError(f"{self.path} is closed", reason="file_closed")
        return self._handle

    def size(self) -> int:
        with translated(self.path):
            return self.handle.size()

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        done = 0
        with translated(self.path):
            while done < len(buffer):
                count = self.handle.read_into(offset + done, buffer[done:])
                if not count:
                    raise FormatError(f"{self.path} ends at {offset + done}, wanted {len(buffer) - done} bytes more")
                done += count

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        view, done = memoryview(data), 0
        with translated(self.path):
            while done < len(view):
                done += self.handle.write(offset + done, view[done:])

    def resize(self, size: int) -> None:
        with translated(self.path):
            self.handle.resize(size)

    def flush(self) -> None:
        with translated(self.path):
            self.handle.flush()

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    def __enter__(self) -> LocalFile:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def open_for_reading(path: str) -> LocalFile:
    """Open a file that others may read and write meanwhile. Raises ``file_locked`` when a writer excludes readers."""
    with translated(path):
        return LocalFile(path, _open(path, writable=False, exclusive=False, create=False))


def open_shared(path: str) -> LocalFile:
    """Open a file for reading, side by side with others who do so; ``open_leaf`` is refused until it is closed.

    Raises:
        StateError: reason ``file_locked``, somebody holds the file alone.
    """
    with translated(path):
        return LocalFile(path, _open(path, writable=False, exclusive=False, create=False, shared=True))


def open_leaf(path: str) -> LocalFile:
    """Open a file for reading and writing, and keep everybody else away from it until it is closed.

    On Windows nobody else can open it (share mode none). On Linux the lock is advisory (``flock``): it keeps away those
    who lock, as all programs of this project do, and it ends with the process that holds it.

    Raises:
        StateError: reason ``leaf_locked``, another program holds the file.
    """
    try:
        with translated(path):
            return LocalFile(path, _open(path, writable=True, exclusive=True, create=False))
    except StateError as error:
        if error.reason != "file_locked":
            raise
        raise StateError(
            f"{path} is in use by another program",
            hint="is the replica running, is a checkpoint being merged, or does another session write to it?",
            reason="leaf_locked",
        ) from error


def create_file(path: str) -> LocalFile:
    """Create a file, and hold it as ``open_leaf`` does. Raises StateError, reason ``file_exists``."""
    with translated(path):
        return LocalFile(path, _open(path, writable=True, exclusive=True, create=True))


def aligned_memory(length: int) -> memoryview:
    """Take memory that begins at a page, so that long writes from it need no copy in the kernel."""
    return memoryview(mmap.mmap(-1, length))


def is_locked(path: str) -> bool:
    """Tell whether somebody holds the file alone, as ``open_leaf`` does. Several may look at once."""
    try:
        open_shared(path).close()
    except StateError as error:
        if error.reason == "file_locked":
            return True
        raise
    return False


def exists(path: str) -> bool:
    """Tell whether there is a file or folder; a link counts as what it points to. Not being let near is an error."""
    try:
        with translated(path):
            os.stat(path)
    except RequestError as error:
        if error.reason != "file_missing":
            raise
        return False
    return True


def remove_file(path: str) -> None:
    """Delete a file; none there is success."""
    with translated(path):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
    sync_folder(os.path.dirname(path))


def rename(path: str, new_path: str) -> None:
    """Give a file another name in its folder, durably; an older file of that name is replaced."""
    with translated(path):
        os.replace(path, new_path)
    sync_folder(os.path.dirname(new_path))


def make_folder(path: str) -> None:
    """Create a folder and its parents, durably; there already is success."""
    made, folder = [], os.path.abspath(path)
    with translated(path):
        while not os.path.isdir(folder):
            made.append(folder)
            folder = os.path.dirname(folder)
        os.makedirs(path, exist_ok=True)
    for folder in made:
        sync_folder(os.path.dirname(folder))


def read_small(path: str, *, limit: int) -> bytes:
    """Return a whole file of at most ``limit`` bytes. Raises FormatError when it is larger."""
    with translated(path), open(path, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise FormatError(f"{path} is larger than {limit} bytes")
    return data


def write_atomically(path: str, data: bytes) -> None:
    """Replace a small file: after a crash there is the old content or the new one, and it is durable on return."""
    folder = os.path.dirname(path) or "."
    temporary = f"{_unfinished(path)}{secrets.token_hex(4)}.new"
    with translated(path):
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            descriptor = os.open(temporary, flags, SHARED_MODE)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            _forget(temporary)
            raise
    sync_folder(folder)


def remove_unfinished(path: str) -> None:
    """Remove what killed writers of a small file left of it. Only for somebody who alone writes the file now."""
    for name in glob.glob(f"{glob.escape(_unfinished(path))}*.new"):
        remove_file(name)


def _unfinished(path: str) -> str:
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.")


def sync_folder(path: str) -> None:
    """Make names in a folder durable. NTFS journals them by itself, so Windows has nothing to do."""
    if sys.platform != "win32":
        with translated(path):
            descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def resolve_inside(root: str, path: str) -> str:
    """Return the real path, links followed, of a file that exists or is to be made below ``root``.

    Raises:
        RequestError: reason ``path_outside``, the real path is not below the real root.
    """
    with translated(path):
        real_root, real = os.path.realpath(root), os.path.realpath(path)
    try:
        inside = real != real_root and os.path.commonpath([real_root, real]) == real_root
    except ValueError:  # different drives
        inside = False
    if not inside:
        raise RequestError(f"{path} leads outside of {root}", reason="path_outside")
    return real


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn OSError into the errors of this module's table."""
    try:
        yield
    except OSError as error:
        raise _engine_error(path, error) from error


def _engine_error(path: str, error: OSError) -> EngineError:
    code, native = error.errno, getattr(error, "winerror", None)
    said = f"{path}: {error.strerror or error}"
    if native in LOCKED_CODES or isinstance(error, BlockingIOError):
        return StateError(said, reason="file_locked")
    if native in DISK_FULL_CODES or code in _FULL:
        return StateError(said, hint="make room on the volume, then run the job again", reason="volume_full")
    if code == errno.EEXIST:
        return StateError(said, reason="file_exists")
    if code in _MISSING:
        return RequestError(said, hint="is its volume there, was it moved, renamed or removed?", reason="file_missing")
    if code in _DENIED:
        return RequestError(said, hint="check the rights of the user that this program runs as", reason="file_denied")
    return StateError(said, hint="check the storage device and the system log", reason="storage_failed")


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # the first error is the one to tell


if sys.platform == "win32":

    def _open(path: str, *, writable: bool, exclusive: bool, create: bool, shared: bool = False) -> Handle:
        del shared  # a reader of Windows keeps away those who share nothing
        return open_handle(path, writable=writable, exclusive=exclusive, create=create)

else:

    class _PosixHandle:
        """A file descriptor, and for long aligned writes a second one that goes round the page cache.

        Measured on ext4: written in parts of 1 MiB, a new file of 1 GiB takes 0.1 instead of 0.3 to 1.2 CPU-seconds,
        and is durable sooner. Below 256 KiB each write would wait longer for the device than that saves. The kernel
        keeps both descriptors coherent.
        """

        def __init__(self, descriptor: int, direct: int | None = None) -> None:
            self._descriptor = descriptor
            self._direct = direct

        def size(self) -> int:
            return os.fstat(self._descriptor).st_size

        def read_into(self, offset: int, buffer: memoryview) -> int:
            return os.preadv(self._descriptor, [buffer], offset)

        def write(self, offset: int, data: memoryview) -> int:
            if self._direct is not None and _suits_direct(offset, data):
                try:
                    return os.pwrite(self._direct, data, offset)
                except OSError as error:
                    if error.errno != errno.EINVAL:
                        raise
                    os.close(self._direct)  # the file system wants it some other way
                    self._direct = None
            return os.pwrite(self._descriptor, data, offset)

        def resize(self, size: int) -> None:
            os.ftruncate(self._descriptor, size)

        def flush(self) -> None:
            os.fdatasync(self._descriptor)

        def close(self) -> None:
            if self._direct is not None:
                os.close(self._direct)
            # A program that is just being started may still share the descriptor: closing alone would keep the lock.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)

    def _suits_direct(offset: int, data: memoryview) -> bool:
        if len(data) < DIRECT_MIN or data.readonly:
            return False
        address = ctypes.addressof(ctypes.c_char.from_buffer(data))
        return (offset | len(data) | address) % DIRECT_ALIGNMENT == 0

    def _open_direct(path: str) -> int | None:
        try:
            return os.open(path, os.O_CLOEXEC | os.O_NOFOLLOW | os.O_WRONLY | os.O_DIRECT)
        except OSError:
            return None  # tmpfs, some network file systems

    def _open(path: str, *, writable: bool, exclusive: bool, create: bool, shared: bool = False) -> Handle:
        flags = os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_RDWR if writable else os.O_RDONLY)
        descriptor = os.open(path, flags | (os.O_CREAT | os.O_EXCL if create else 0), SHARED_MODE)
        try:
            if exclusive or shared:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            if create:
                os.fsync(descriptor)
                sync_folder(os.path.dirname(path))
        except BaseException:
            os.close(descriptor)
            raise
        return _PosixHandle(descriptor, _open_direct(path) if writable else None)
