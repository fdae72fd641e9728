# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VHDX file as libvhdi wants it: two ways round its faults with differencing files, by code of its own.

- Blocks of a child that are undefined, zero or unmapped read as zeros ([MS-VHDX] 2.5.1.1, and so does Windows), but
  libvhdi 20260901 reads the parent there. It is shown such blocks as fully present, in zeros behind the file's end.
- Where a differencing file has no sector bitmap yet, libvhdi takes the bitmap from offset 0 of the file. Once it has
  read the headers it is shown zeros there: no sector is present, which is what the missing bitmap means.
"""

from __future__ import annotations

import struct
from pathlib import Path
from uuid import UUID

MIB = 1024 * 1024
BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
FILE_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
REGION_TABLE = 192 * 1024
HAS_PARENT = 2
ZEROS = (1, 2, 3)  # undefined, zero, unmapped
FULLY_PRESENT = 6


class LibvhdiView:
    """What ``pyvhdi.file.open_file_object`` takes. Set ``opened`` when libvhdi has read the headers."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._size = path.stat().st_size
        self._position = 0
        self._bat_offset = 0
        self._bat = b""
        self.opened = False
        self._show_zero_blocks()

    def read(self, size: int) -> bytes:
        start, end = self._position, min(self._position + size, self._size)
        self._position = max(start, end)
        data = bytearray(self._stored(start, max(0, end - start)).ljust(max(0, end - start), b"\0"))
        if self.opened:
            self._overlay(data, start, other=bytes(MIB), at=0)
        self._overlay(data, start, other=self._bat, at=self._bat_offset)
        return bytes(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def get_size(self) -> int:
        return self._size

    def close(self) -> None:
        self._file.close()

    def _stored(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    @staticmethod
    def _overlay(data: bytearray, start: int, *, other: bytes, at: int) -> None:
        """Replace what of ``data``, read at ``start``, lies in ``other``, which is to be seen at ``at``."""
        first, last = max(start, at), min(start + len(data), at + len(other))
        if first < last:
            data[first - start : last - start] = other[first - at : last - at]

    def _show_zero_blocks(self) -> None:
        regions = self._table(REGION_TABLE, head="<8xI", entry="<16sQI4x", step=32, first=16)
        items = self._table(regions[METADATA][0], head="<10xH", entry="<16sII", step=32, first=32)
        where = regions[METADATA][0] + items[FILE_PARAMETERS][0]
        block_size, flags = struct.unpack("<II", self._stored(where, 8))
        if not flags & HAS_PARENT:
            return
        self._bat_offset, length = regions[BAT]
        entries = [entry for (entry,) in struct.iter_unpack("<Q", self._stored(self._bat_offset, length))]
        place = -(-self._size // MIB) * MIB
        shown = [place | FULLY_PRESENT if entry & 7 in ZEROS else entry for entry in entries]
        self._bat = struct.pack(f"<{len(shown)}Q", *shown)
        self._size = place + block_size

    def _table(self, offset: int, *, head: str, entry: str, step: int, first: int) -> dict[bytes, tuple[int, int]]:
        data = self._stored(offset, 64 * 1024)
        (count,) = struct.unpack_from(head, data)
        found = [struct.unpack_from(entry, data, first + step * index) for index in range(count)]
        return {guid: (at, length) for guid, at, length in found}
