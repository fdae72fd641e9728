# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The parent locator: which file lies below a differencing image, and which content it must have.

``parent_linkage`` is the parent's DataWriteGuid when the two were linked; ``parent_linkage2`` is a second value that is
accepted, used while a merge changes the parent. Source: [MS-VHDX] 2.6.2.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final
from uuid import UUID

from ...errors import FormatError

HEAD: Final = Struct("<16sHH")
ENTRY: Final = Struct("<IIHH")
VHDX_LOCATOR: Final = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")
PAIRS_MAX: Final = 256

LINKAGE: Final = "parent_linkage"
LINKAGE2: Final = "parent_linkage2"
RELATIVE: Final = "relative_path"
VOLUME: Final = "volume_path"
ABSOLUTE: Final = "absolute_win32_path"
PATH_KEYS: Final = (RELATIVE, VOLUME, ABSOLUTE)  # in the order in which they are tried
NO_LINK: Final = UUID(int=0)  # Windows writes it as parent_linkage2 when there is none


@dataclass(frozen=True, slots=True)
class ParentPaths:
    """Where a child finds its parent, in Windows paths."""

    relative: str  # to the child's folder: ".\\base.vhdx"
    absolute: str  # "C:\\disks\\base.vhdx"
    volume: str | None = None  # "\\\\?\\Volume{guid}\\disks\\base.vhdx"

    def as_pairs(self) -> dict[str, str]:
        pairs = {RELATIVE: self.relative, ABSOLUTE: self.absolute}
        return pairs | ({VOLUME: self.volume} if self.volume is not None else {})


@dataclass(frozen=True, slots=True)
class ParentLocator:
    """The keys and values of a locator, verified."""

    pairs: Mapping[str, str]
    linkages: tuple[UUID, ...]  # the values of the parent's DataWriteGuid that are accepted

    @classmethod
    def of(cls, paths: ParentPaths, *, linkage: UUID, linkage2: UUID | None = None) -> ParentLocator:
        """Make a locator that accepts one content of the parent, or either of two."""
        links = {LINKAGE: f"{{{linkage}}}"} | ({LINKAGE2: f"{{{linkage2}}}"} if linkage2 else {})
        return cls.from_pairs(links | paths.as_pairs())

    @classmethod
    def from_pairs(cls, pairs: Mapping[str, str]) -> ParentLocator:
        """Check that the pairs name a parent. Raises FormatError."""
        if LINKAGE not in pairs:
            raise FormatError(f"parent locator has no {LINKAGE}")
        if not any(key in pairs for key in PATH_KEYS):
            raise FormatError("parent locator has no path")
        found = [_guid(pairs[key]) for key in (LINKAGE, LINKAGE2) if key in pairs]
        return cls(dict(pairs), tuple(guid for guid in found if guid != NO_LINK))

    @classmethod
    def parse(cls, data: bytes) -> ParentLocator:
        """Decode a metadata item. Raises FormatError."""
        if len(data) < HEAD.size:
            raise FormatError(f"parent locator is {len(data)} bytes")
        kind, _reserved, count = HEAD.unpack_from(data)
        if UUID(bytes_le=kind) != VHDX_LOCATOR:
            raise FormatError(f"parent locator type {UUID(bytes_le=kind)} is not VHDX", reason="unknown_locator")
        if not 0 < count <= PAIRS_MAX or HEAD.size + count * ENTRY.size > len(data):
            raise FormatError(f"parent locator of {len(data)} bytes with {count} pairs")
        pairs: dict[str, str] = {}
        for index in range(count):
            key_at, value_at, key_size, value_size = ENTRY.unpack_from(data, HEAD.size + index * ENTRY.size)
            key = _text(data, key_at, key_size)
            if not key or key in pairs:
                raise FormatError(f"parent locator key {key!r} is empty or given twice")
            pairs[key] = _text(data, value_at, value_size)
        return cls.from_pairs(pairs)

    def pack(self) -> bytes:
        """Encode as a metadata item."""
        texts = bytearray()
        entries = bytearray()
        base = HEAD.size + len(self.pairs) * ENTRY.size
        for key, value in self.pairs.items():
            name, text = key.encode("utf-16-le"), value.encode("utf-16-le")
            at = base + len(texts)
            entries += ENTRY.pack(at, at + len(name), len(name), len(text))
            texts += name + text
        return HEAD.pack(VHDX_LOCATOR.bytes_le, 0, len(self.pairs)) + bytes(entries + texts)


def _text(data: bytes, offset: int, length: int) -> str:
    if not offset or offset + length > len(data):
        raise FormatError(f"parent locator text of {length} bytes at {offset} lies outside {len(data)} bytes")
    try:
        text = data[offset : offset + length].decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise FormatError(f"parent locator text at {offset} is not UTF-16") from error
    if "\0" in text:
        raise FormatError(f"parent locator text at {offset} holds a NUL")
    return text


def _guid(text: str) -> UUID:
    try:
        return UUID(text.removeprefix("{").removesuffix("}"))
    except ValueError as error:
        raise FormatError(f"parent linkage {text!r} is no GUID") from error
