# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Values of the engine as JSON text; everything is checked and bounded. Ids are text, integers are not negative."""

from __future__ import annotations

import json
import math
from enum import Enum
from typing import Any, Final, TypeVar
from uuid import UUID

from .. import typed
from ..errors import FormatError

TEXT_MAX: Final = 4096  # characters of one text
ITEMS_MAX: Final = 65536  # members of one array or map
NUMBER_MAX: Final = 2**63 - 1

T = TypeVar("T")


def encode(value: object) -> object:
    """Return the JSON form of a value."""
    return typed.encode(value, id_of=str)


def load(text: str, *, size_max: int) -> object:
    """Parse JSON of at most ``size_max`` characters. Raises FormatError; member names are unique in the result."""
    if len(text) > size_max:
        raise FormatError(f"text is {len(text)} characters, the limit is {size_max}")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}") from error


def decode(kind: type[T], value: object, *, where: str) -> T:
    """Return the typed form of a parsed JSON value. Raises FormatError that names the place."""
    try:
        result: T = _JsonDecoder().decode(kind, value, where=where)
    except ValueError as error:
        raise FormatError(str(error)) from error
    return result


class _JsonDecoder(typed.Decoder):
    def scalar(self, kind: Any, value: object, *, where: str) -> object:
        try:
            if kind is bool and isinstance(value, bool):
                return value
            if kind is int and isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= NUMBER_MAX:
                return value
            real = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
            if kind is float and math.isfinite(real):
                return float(real)
            if isinstance(value, str) and len(value) <= TEXT_MAX:
                if kind is str:
                    return value
                if kind is UUID:
                    return UUID(value)
            if issubclass(kind, Enum):
                return kind(value)
        except (ValueError, OverflowError):
            pass  # said below
        raise ValueError(f"{where} is {_shown(value)}, want {kind.__name__}")

    def container(self, kind: type[Any], value: object, *, where: str) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"{where} is {_shown(value)}, want {kind.__name__}")
        if len(value) > ITEMS_MAX:
            raise ValueError(f"{where} has {len(value)} items, the limit is {ITEMS_MAX}")
        return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a member stands twice")
    return result


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")
