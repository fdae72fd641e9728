# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Files on Windows, through CreateFileW: share modes, and reads and writes that name their place.

``os.open`` cannot set a share mode, and the C runtime has no positional read. Each call carries its offset in an
OVERLAPPED structure, so threads may share a handle. Sources: Microsoft's documentation of CreateFileW, ReadFile,
WriteFile, SetFileInformationByHandle (FileEndOfFileInfo) and FlushFileBuffers.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any, Final

from ..units import GiB

DISK_FULL_CODES: Final = frozenset(
    {39, 112, 1295}
)  # ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED
LOCKED_CODES: Final = frozenset({32, 33})  # ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION

_GENERIC_READ: Final = 0x80000000
_GENERIC_WRITE: Final = 0x40000000
_SHARE_ALL: Final = 7  # read, write, delete
_CREATE_NEW: Final = 1
_OPEN_EXISTING: Final = 3
_ATTRIBUTE_NORMAL: Final = 0x80
_INVALID_HANDLE: Final = ctypes.c_void_p(-1).value
_ERROR_HANDLE_EOF: Final = 38
_FILE_END_OF_FILE_INFO: Final = 6
_PER_CALL_MAX: Final = 1 * GiB  # bytes; the length of a call is a 32-bit number


class _Overlapped(ctypes.Structure):
    _fields_ = (
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset_low", ctypes.c_uint32),
        ("offset_high", ctypes.c_uint32),
        ("event", ctypes.c_void_p),
    )


def open_handle(path: str, *, writable: bool, exclusive: bool, create: bool) -> WindowsHandle:
    """Open or create a file; ``exclusive`` shares nothing. Raises OSError with ``winerror``."""
    handle = _kernel32().CreateFileW(
        _long(path),
        _GENERIC_READ | (_GENERIC_WRITE if writable else 0),
        0 if exclusive else _SHARE_ALL,
        None,
        _CREATE_NEW if create else _OPEN_EXISTING,
        _ATTRIBUTE_NORMAL,
        None,
    )
    if handle is None or handle == _INVALID_HANDLE:
        raise _last_error(path)
    return WindowsHandle(handle)


class WindowsHandle:
    """A kernel handle; the contract is ``files.Handle``."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def size(self) -> int:
        size = ctypes.c_int64()
        _check(_kernel32().GetFileSizeEx(self._handle, ctypes.byref(size)))
        return size.value

    def read_into(self, offset: int, buffer: memoryview) -> int:
        length = min(len(buffer), _PER_CALL_MAX)
        place = (ctypes.c_char * length).from_buffer(buffer)
        count = ctypes.c_uint32()
        done = _kernel32().ReadFile(self._handle, place, length, ctypes.byref(count), ctypes.byref(_at(offset)))
        if not done:
            error = _last_error()
            if getattr(error, "winerror", None) == _ERROR_HANDLE_EOF:
                return 0
            raise error
        return count.value

    def write(self, offset: int, data: memoryview) -> int:
        part = data[:_PER_CALL_MAX]
        # ctypes takes no address of read-only memory other than a bytes object of its own.
        place = bytes(part) if part.readonly else (ctypes.c_char * len(part)).from_buffer(part)
        count = ctypes.c_uint32()
        _check(_kernel32().WriteFile(self._handle, place, len(part), ctypes.byref(count), ctypes.byref(_at(offset))))
        return count.value

    def resize(self, size: int) -> None:
        end = ctypes.c_int64(size)
        _check(
            _kernel32().SetFileInformationByHandle(
                self._handle, _FILE_END_OF_FILE_INFO, ctypes.byref(end), ctypes.sizeof(end)
            )
        )

    def flush(self) -> None:
        _check(_kernel32().FlushFileBuffers(self._handle))

    def close(self) -> None:
        _kernel32().CloseHandle(self._handle)


def _at(offset: int) -> _Overlapped:
    return _Overlapped(offset_low=offset & 0xFFFFFFFF, offset_high=offset >> 32)


def _long(path: str) -> str:
    r"""Lift the limit of 260 characters with the ``\\?\`` form, which takes only full paths with backslashes."""
    if path.startswith("\\\\?\\") or len(path) < 240:
        return path
    path = path.replace("/", "\\")
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def _check(succeeded: int) -> None:
    if not succeeded:
        raise _last_error()


if sys.platform == "win32":

    def _last_error(path: str | None = None) -> OSError:
        error = ctypes.WinError(ctypes.get_last_error())
        error.filename = path
        return error

    @cache
    def _kernel32() -> Any:
        library = ctypes.WinDLL("kernel32", use_last_error=True)
        handle, number, pointer = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p
        library.CreateFileW.argtypes = (ctypes.c_wchar_p, number, number, pointer, number, number, handle)
        library.CreateFileW.restype = handle
        library.GetFileSizeEx.argtypes = (handle, pointer)
        for function in (library.ReadFile, library.WriteFile):
            function.argtypes = (handle, pointer, number, pointer, pointer)
        library.SetFileInformationByHandle.argtypes = (handle, ctypes.c_int, pointer, number)
        library.FlushFileBuffers.argtypes = (handle,)
        library.CloseHandle.argtypes = (handle,)
        return library

else:

    def _last_error(path: str | None = None) -> OSError:
        return OSError(f"{path or 'file'}: not a Windows machine")

    def _kernel32() -> Any:
        raise _last_error()
