# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Values of the host contract as pypsrp sends and receives them, checked both ways.

pypsrp writes every int as Int32 and cannot send what does not fit; it gives objects as two dictionaries, and some
types as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from ..errors import PeerError, RequestError
from ..libraries import need
from ..model.contract import SCHEMA_VERSION, Function, Parameter, Type

try:
    from pypsrp import complex_objects as pypsrp_objects
    from pypsrp import serializer as pypsrp_serializer
except ImportError:
    pypsrp_objects = pypsrp_serializer = None

_RANGES: Final = {
    Type.INT32: (-(2**31), 2**31 - 1),
    Type.INT64: (-(2**63), 2**63 - 1),
    Type.UINT64: (0, 2**64 - 1),
}
_TAGS: Final = {Type.INT32: "I32", Type.INT64: "I64", Type.UINT64: "U64"}


def encode(function: Function, values: Mapping[str, object]) -> dict[str, Any]:
    """Return the parameters of a call as pypsrp takes them; None means not given.

    Raises:
        RequestError: the call does not keep to the contract.
    """
    unknown = set(values) - set(function.parameters)
    if unknown:
        raise RequestError(f"{function.name} has no parameter {', '.join(sorted(unknown))}", reason="contract")
    encoded: dict[str, Any] = {}
    for name, parameter in function.parameters.items():
        value = values.get(name)
        if value is not None:
            encoded[name] = _encode_one(parameter, value, where=f"{function.name} -{name}")
        elif parameter.mandatory:
            raise RequestError(f"{function.name} needs parameter {name}", reason="contract")
    return encoded


def _encode_one(parameter: Parameter, value: object, *, where: str) -> Any:
    if not _fits(parameter.type, value):
        raise RequestError(f"{where}: {value!r} is not of type {parameter.type.value}", reason="contract")
    if parameter.choices and value not in parameter.choices:
        raise RequestError(f"{where}: {value!r} is not one of {', '.join(parameter.choices)}", reason="contract")
    if parameter.mandatory and not parameter.may_be_empty and value in ("", b"", (), []):
        raise RequestError(f"{where} must not be empty", reason="contract")
    if parameter.type in _TAGS:
        return need(pypsrp_serializer, "pypsrp").TaggedValue(_TAGS[parameter.type], value)
    return list(value) if isinstance(value, list | tuple) else value


def decode(function: Function, objects: Iterable[object]) -> list[dict[str, Any]]:
    """Return what a call emitted as rows: ``Kind`` and the members of the contract, GUIDs as UUID, lists as tuples.

    Members that the contract does not know are left out: a newer host may have more.

    Raises:
        PeerError: kind, schema version, a member or its type is not that of the contract.
    """
    return [_decode_one(function, _properties(function, item)) for item in objects]


def _properties(function: Function, item: object) -> dict[str, object]:
    if not isinstance(item, need(pypsrp_objects, "pypsrp").GenericComplexObject):
        raise _broken(function, f"an object expected, {type(item).__name__} {str(item)[:80]!r} found")
    generic: Any = item
    return {**generic.adapted_properties, **generic.extended_properties}


def _decode_one(function: Function, properties: Mapping[str, object]) -> dict[str, Any]:
    kind, version = properties.get("Kind"), properties.get("SchemaVersion")
    if version != SCHEMA_VERSION:
        raise _broken(function, f"schema version {version!r}, want {SCHEMA_VERSION}")
    members = function.output.get(kind) if isinstance(kind, str) else None
    if members is None:
        raise _broken(function, f"kind {kind!r} is not one of {', '.join(function.output) or 'none'}")
    row: dict[str, Any] = {"Kind": kind}
    for name, type_ in members.items():
        if name not in properties:
            raise _broken(function, f"{kind} has no member {name}")
        value = _plain(type_, properties[name])
        if not _fits(type_, value):
            raise _broken(function, f"{kind}.{name} is {value!r:.80}, want {type_.value}")
        row[name] = value
    return row


def _plain(type_: Type, value: object) -> object:
    """Allow for the forms that mean the same: a GUID as text, a list for an array."""
    if type_ is Type.GUID and isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            return value
    return tuple(value) if isinstance(value, list) else value


def _fits(type_: Type, value: object) -> bool:
    match type_:
        case Type.STRING:
            return isinstance(value, str)
        case Type.GUID:
            return isinstance(value, UUID)
        case Type.BOOL | Type.SWITCH:
            return isinstance(value, bool)
        case Type.BYTES:
            return isinstance(value, bytes)
        case Type.STRINGS:
            return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    low, high = _RANGES[type_]
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _broken(function: Function, problem: str) -> PeerError:
    return PeerError(
        f"{function.name} breaks the host contract: {problem}",
        hint="install the module of this version on the host with role opendr.hyperv.hyperv_host",
        reason="contract",
    )


def accept_empty_bytes(serializer: Any) -> None:
    """Make a pypsrp serializer read an empty byte array, which it fails on (pypsrp 0.9.1: b64decode of None)."""
    deserialize: Callable[..., Any] = serializer.deserialize

    def patched(element: Any, *arguments: Any, **options: Any) -> Any:
        if getattr(element, "tag", None) == "BA" and element.text is None:
            return b""
        return deserialize(element, *arguments, **options)

    serializer.deserialize = patched
