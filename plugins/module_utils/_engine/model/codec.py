# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""JSON text to typed values and back, driven by the types of dataclass fields; everything is checked and bounded.

Supported: str, int, float, bool, UUID, Enum (by value), dataclasses (objects), NamedTuples (arrays), ``X | None``,
``tuple[X, ...]``, ``dict[K, V]`` with text or UUID keys. Integers are not negative. Unknown, missing and double
members are refused: a writer must not drop what it does not understand.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from enum import Enum
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints
from uuid import UUID

from ..errors import FormatError

TEXT_MAX: Final = 4096  # characters of one text
ITEMS_MAX: Final = 65536  # members of one array or map
NUMBER_MAX: Final = 2**63 - 1

T = TypeVar("T")


def encode(value: object) -> object:
    """Return the JSON form of a value."""
    if dataclasses.is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    return value


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
    result: T = _decode(kind, value, where=where)
    return result


def _decode(kind: Any, value: Any, *, where: str) -> Any:
    origin = get_origin(kind)
    if origin is types.UnionType:
        inner = next(item for item in get_args(kind) if item is not types.NoneType)
        return None if value is None else _decode(inner, value, where=where)
    if origin is tuple:
        items = _container(list, value, where=where)
        return tuple(_decode(get_args(kind)[0], item, where=f"{where}[{i}]") for i, item in enumerate(items))
    if origin is dict:
        return _decode_map(get_args(kind), _container(dict, value, where=where), where=where)
    if dataclasses.is_dataclass(kind):
        return _decode_members(kind, _container(dict, value, where=where), where=where)
    if issubclass(kind, tuple):
        return _decode_row(kind, _container(list, value, where=where), where=where)
    return _decode_scalar(kind, value, where=where)


def _decode_map(kinds: tuple[Any, Any], value: dict[str, object], *, where: str) -> dict[Any, Any]:
    result = {
        _decode(kinds[0], key, where=f"key of {where}"): _decode(kinds[1], item, where=f"{where}.{key[:64]}")
        for key, item in value.items()
    }
    if len(result) != len(value):
        raise FormatError(f"{where} has one key in two spellings")
    return result


def _decode_members(kind: Any, value: dict[str, object], *, where: str) -> Any:
    hints = get_type_hints(kind)
    names = {item.name for item in dataclasses.fields(kind)}
    if names != set(value):
        missing, unknown = sorted(names - set(value)), sorted(key[:64] for key in set(value) - names)
        raise FormatError(f"{where} lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}")
    return kind(**{name: _decode(hints[name], value[name], where=f"{where}.{name}") for name in value})


def _decode_row(kind: Any, value: list[object], *, where: str) -> Any:
    hints = get_type_hints(kind)
    if len(value) != len(hints):
        raise FormatError(f"{where} has {len(value)} items, want {len(hints)}")
    pairs = zip(hints.items(), value, strict=True)
    return kind(*(_decode(hint, item, where=f"{where}.{name}") for (name, hint), item in pairs))


def _decode_scalar(kind: Any, value: object, *, where: str) -> object:
    try:
        if kind is bool and isinstance(value, bool):
            return value
        if kind is int and isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= NUMBER_MAX:
            return value
        if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        if isinstance(value, str) and len(value) <= TEXT_MAX:
            if kind is str:
                return value
            if kind is UUID:
                return UUID(value)
        if issubclass(kind, Enum):
            return kind(value)
    except (ValueError, OverflowError):
        pass  # said below
    raise FormatError(f"{where} is {_shown(value)}, want {kind.__name__}")


def _container(kind: type[Any], value: object, *, where: str) -> Any:
    if not isinstance(value, kind):
        raise FormatError(f"{where} is {_shown(value)}, want {kind.__name__}")
    if len(value) > ITEMS_MAX:
        raise FormatError(f"{where} has {len(value)} items, the limit is {ITEMS_MAX}")
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
