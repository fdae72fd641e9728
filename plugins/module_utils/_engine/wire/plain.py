# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Values of the engine as MessagePack has them: ids are their 16 bytes, and each scalar has exactly its type.

An error names the field and the type that was found, never the value, which may be a secret.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

from ..typed import Decoder, encode

T = TypeVar("T")


def to_plain(value: object) -> object:
    """Encode a value of the engine: a dataclass becomes a map, a tuple a list, a UUID its 16 bytes (big-endian)."""
    return encode(value, id_of=lambda found: found.bytes)


def from_plain(wanted: type[T], plain: object) -> T:
    """Decode into a value of type ``wanted``. Raises ValueError, naming the field, when something does not fit."""
    result: T = _PlainDecoder().decode(wanted, plain, where=wanted.__name__)
    return result


class _PlainDecoder(Decoder):
    def scalar(self, kind: Any, value: object, *, where: str) -> object:
        if kind is object:
            return value
        try:
            if kind is UUID:
                return UUID(bytes=self.container(bytes, value, where=where))
            if issubclass(kind, Enum):
                return kind(value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        return self.container(kind, value, where=where)

    def container(self, kind: type[Any], value: object, *, where: str) -> Any:
        if value.__class__ is not kind:  # exactly: a bool is no number here
            raise ValueError(f"{where} is {type(value).__name__}, want {kind.__name__}")
        return value
