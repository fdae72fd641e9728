# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Wheels that only compute (no I/O), guarded in one place so that the pure layers can use them.

A missing wheel is reported when it is first needed, never at import: ``docs/decisions/0001-libraries.md``.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from typing import Any, Callable, Protocol, TypeAlias

from .errors import LibraryMissing
from .units import UNIT_MAX

try:
    import google_crc32c
except ImportError:
    google_crc32c = None

try:
    import xxhash
except ImportError:
    xxhash = None

try:
    import blake3 as _blake3
except ImportError:
    _blake3 = None

try:
    import zstandard
except ImportError:
    zstandard = None

try:
    import msgpack
except ImportError:
    msgpack = None

Buffer: TypeAlias = "bytes | bytearray | memoryview"  # as text: the pylint of ansible-test judges by Python 3.8


class Compressor(Protocol):
    """One per thread: a zstd context is not shared."""

    def compress(self, data: Buffer) -> bytes: ...


class Decompressor(Protocol):
    """One per thread: a zstd context is not shared."""

    def decompress(self, data: Buffer, max_output_size: int = 0) -> bytes: ...

    def stream_reader(self, source: Buffer, read_size: int = 0) -> Any: ...


def missing(distribution: str) -> LibraryMissing:
    """Build the error for a missing library: which, where, and the command that installs it with others that miss.

    The others are those that this module would have loaded; ``requirements.txt`` has them all.
    """
    guarded = {"blake3": _blake3, "google-crc32c": google_crc32c, "msgpack": msgpack}
    guarded |= {"xxhash": xxhash, "zstandard": zstandard}
    names = [distribution, *(name for name, library in guarded.items() if library is None and name != distribution)]
    return LibraryMissing(
        f"Python library {distribution} is not installed for {sys.executable} on {platform.node()}",
        hint=f"{sys.executable} -m pip install {' '.join(names)}; requirements.txt of the collection has all that is "
        "needed; where pip refuses an externally managed Python, make a virtual environment and name its Python in "
        "ansible_python_interpreter",
        reason=distribution,
    )


def need(library: Any, distribution: str) -> Any:
    """Return a guarded library, or raise LibraryMissing."""
    if library is None:
        raise missing(distribution)
    return library


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) as VHDX uses it. Source: [MS-VHDX] 2.2.2."""
    return int(need(google_crc32c, "google-crc32c").value(data))


def xxh3_128(parts: Iterable[Buffer]) -> bytes:
    """Sixteen bytes that detect accidents in transit; they do not resist forgery."""
    state = need(xxhash, "xxhash").xxh3_128()
    for part in parts:
        state.update(part)
    return bytes(state.digest())


def keyed_blake3(key: bytes) -> Callable[[Buffer], bytes]:
    """Return a function that gives the 32-byte keyed BLAKE3 digest of a buffer; ``key`` is 32 bytes."""
    blake3 = need(_blake3, "blake3").blake3
    return lambda data: bytes(blake3(data, key=key).digest())


def zstd_compressor(level: int) -> Compressor:
    """Return a compressor of its own for the calling thread."""
    compressor: Compressor = need(zstandard, "zstandard").ZstdCompressor(level=level)
    return compressor


def zstd_decompressor() -> Decompressor:
    """Return a decompressor of its own for the calling thread; it takes no more memory than a unit may need."""
    decompressor: Decompressor = need(zstandard, "zstandard").ZstdDecompressor(max_window_size=2 * UNIT_MAX)
    return decompressor


def decompress_into(decompressor: Decompressor, data: Buffer, *, memory: memoryview) -> None:
    """Decompress into memory that it fills exactly, whatever size the data claims. Raises ValueError otherwise."""
    done = 0
    try:
        with decompressor.stream_reader(data, read_size=len(data)) as reader:
            while done < len(memory) and (count := reader.readinto(memory[done:])):
                done += count
            if done < len(memory) or reader.read(1):
                raise ValueError(f"not exactly {len(memory)} bytes")
    except zstd_error() as error:
        raise ValueError(str(error)) from error


def zstd_error() -> type[Exception]:
    """Return the exception class that decompression raises on junk."""
    error: type[Exception] = need(zstandard, "zstandard").ZstdError
    return error


def pack(value: object) -> bytes:
    """Encode plain values (maps, lists, str, bytes, int, bool, None) as MessagePack."""
    return bytes(need(msgpack, "msgpack").packb(value, use_bin_type=True))


def unpack(data: Buffer) -> object:
    """Decode MessagePack; raises ValueError on junk, on trailing bytes and on duplicate or non-text keys."""
    library = need(msgpack, "msgpack")
    try:
        value: object = library.unpackb(data, raw=False, strict_map_key=True)
    except (library.exceptions.UnpackException, UnicodeDecodeError) as error:
        raise ValueError(f"not MessagePack: {error}") from error
    return value
