# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Frozen dataclasses to plain values (maps, lists, text, bytes, numbers) and back, led by their type annotations.

It serves the orders and answers of ``transfers.py``. Decoding takes nothing on trust: each value must have exactly the
type that its field declares.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any, TypeVar
from uuid import UUID

T = TypeVar("T")


def to_plain(value: object) -> object:
    """Encode a value of the engine: a dataclass becomes a map, a tuple a list, a UUID its 16 bytes (big-endian)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def from_plain(wanted: type[T], plain: object) -> T:
    """Decode into a value of type ``wanted``. Raises ValueError, naming the field, when something does not fit."""
    return typing.cast(T, _decode(wanted, plain, where=wanted.__name__))


def _decode(wanted: Any, plain: object, *, where: str) -> object:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        (present,) = (argument for argument in arguments if argument is not types.NoneType)
        return None if plain is None else _decode(present, plain, where=where)
    if origin is tuple:
        return _decode_tuple(arguments, plain, where=where)
    if origin is dict:
        items = _checked(dict, plain, where=where).items()
        return {
            _checked(str, key, where=where): _decode(arguments[1], item, where=f"{where}.{key}") for key, item in items
        }
    if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        return _decode_record(wanted, plain, where=where)
    if issubclass(wanted, tuple):  # a NamedTuple
        hints = typing.get_type_hints(wanted)
        return wanted(*_decode_tuple(tuple(hints.values()), plain, where=where))
    return _decode_scalar(wanted, plain, where=where)


def _decode_tuple(arguments: tuple[Any, ...], plain: object, *, where: str) -> tuple[object, ...]:
    items = _checked(list, plain, where=where)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item, where=f"{where}[{index}]") for index, item in enumerate(items))
    if len(items) != len(arguments):
        raise ValueError(f"{where} has {len(items)} items, want {len(arguments)}")
    return tuple(_decode(arguments[index], item, where=f"{where}[{index}]") for index, item in enumerate(items))


def _decode_record(wanted: type, plain: object, *, where: str) -> object:
    given = _checked(dict, plain, where=where)
    hints = typing.get_type_hints(wanted)
    if set(given) != set(hints):
        raise ValueError(f"{where} has the fields {sorted(map(str, given))}, want {sorted(hints)}")
    return wanted(**{name: _decode(hint, given[name], where=f"{where}.{name}") for name, hint in hints.items()})


def _decode_scalar(wanted: Any, plain: object, *, where: str) -> object:
    if wanted is object:
        return plain
    try:
        if wanted is UUID:
            return UUID(bytes=_checked(bytes, plain, where=where))
        if issubclass(wanted, Enum):
            return wanted(plain)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if wanted is float and isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain)
    return _checked(wanted, plain, where=where)


def _checked(wanted: type[T], plain: object, *, where: str) -> T:
    if plain.__class__ is not wanted:  # exactly: a bool is no number here
        raise ValueError(f"{where} is {type(plain).__name__}, want {wanted.__name__}")
    return plain
