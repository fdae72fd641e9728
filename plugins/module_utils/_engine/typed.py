# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Plain values (maps, lists, text, numbers) to typed ones and back, led by the types of dataclass fields.

Supported: dataclasses (maps), NamedTuples (lists), ``X | None``, ``tuple[X, ...]``, ``tuple[X, Y]``, ``dict[K, V]``,
and the scalars of a format: ``wire/plain.py`` (MessagePack) and ``model/codec.py`` (JSON) say what theirs look like.
"""

from __future__ import annotations

import dataclasses
import types
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID


def encode(value: object, *, id_of: Callable[[UUID], object]) -> object:
    """Return the plain form of a value; ``id_of`` writes an id."""
    if dataclasses.is_dataclass(value):
        return {item.name: encode(getattr(value, item.name), id_of=id_of) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return id_of(value)
    if isinstance(value, (tuple, list)):
        return [encode(item, id_of=id_of) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item, id_of=id_of) for key, item in value.items()}
    return value


class Decoder(ABC):
    """Takes nothing on trust: unknown and missing members are refused, each value must be what its field declares."""

    @abstractmethod
    def scalar(self, kind: Any, value: object, *, where: str) -> object:
        """Return a scalar of a type. Raises ValueError."""

    @abstractmethod
    def container(self, kind: type[Any], value: object, *, where: str) -> Any:
        """Return the value if it is a list or map, as asked. Raises ValueError."""

    def decode(self, kind: Any, value: object, *, where: str) -> Any:
        """Return the typed form of a value. Raises ValueError that names the place."""
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            inner = next(item for item in get_args(kind) if item is not types.NoneType)
            return None if value is None else self.decode(inner, value, where=where)
        if origin is tuple:
            return self._tuple(get_args(kind), self.container(list, value, where=where), where=where)
        if origin is dict:
            return self._map(get_args(kind), self.container(dict, value, where=where), where=where)
        if dataclasses.is_dataclass(kind):
            return self._members(kind, self.container(dict, value, where=where), where=where)
        if issubclass(kind, tuple):
            return self._row(kind, self.container(list, value, where=where), where=where)
        return self.scalar(kind, value, where=where)

    def _tuple(self, kinds: tuple[Any, ...], items: list[object], *, where: str) -> tuple[Any, ...]:
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(items)
        _require_count(items, len(kinds), where=where)
        pairs = zip(kinds, items, strict=True)
        return tuple(self.decode(kind, item, where=f"{where}[{index}]") for index, (kind, item) in enumerate(pairs))

    def _map(self, kinds: tuple[Any, Any], given: dict[Any, object], *, where: str) -> dict[Any, Any]:
        result = {
            self.decode(kinds[0], key, where=f"key of {where}"): self.decode(
                kinds[1], item, where=f"{where}.{str(key)[:64]}"
            )
            for key, item in given.items()
        }
        if len(result) != len(given):
            raise ValueError(f"{where} has one key in two spellings")
        return result

    def _members(self, kind: Any, given: dict[Any, object], *, where: str) -> Any:
        hints = get_type_hints(kind)
        names = {item.name for item in dataclasses.fields(kind)}
        if names != set(given):
            missing, unknown = sorted(names - set(given)), sorted(str(key)[:64] for key in set(given) - names)
            raise ValueError(f"{where} lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}")
        return kind(**{name: self.decode(hints[name], given[name], where=f"{where}.{name}") for name in given})

    def _row(self, kind: Any, items: list[object], *, where: str) -> Any:
        hints = get_type_hints(kind)
        _require_count(items, len(hints), where=where)
        pairs = zip(hints.items(), items, strict=True)
        return kind(*(self.decode(hint, item, where=f"{where}.{name}") for (name, hint), item in pairs))


def _require_count(items: list[object], wanted: int, *, where: str) -> None:
    if len(items) != wanted:
        raise ValueError(f"{where} has {len(items)} items, want {wanted}")
