# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The checksum that headers and region tables carry at offset 4. Source: [MS-VHDX] 2.2.2, 2.2.3.1."""

from __future__ import annotations

from struct import pack_into, unpack_from

from ...libraries import crc32c


def _checksum(data: bytes | bytearray) -> int:
    return crc32c(b"".join((data[:4], bytes(4), data[8:])))


def is_sealed(data: bytes, signature: bytes) -> bool:
    """Tell whether a structure starts with its four-byte signature and its checksum is right."""
    return data[:4] == signature and unpack_from("<I", data, 4)[0] == _checksum(data)


def seal(data: bytearray) -> bytes:
    """Put the checksum into a structure and return it whole."""
    pack_into("<I", data, 4, _checksum(data))
    return bytes(data)
