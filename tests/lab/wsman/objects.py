# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows and errors as the objects that a real PowerShell endpoint sends.

What was copied from the PowerShell engine: full type chains of exceptions, their text, error ids, activities,
``Object[]``-style arrays; clients are to rely on error id, category and target only.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psrpcore.types as ps

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    SCHEMA_VERSION,
    Function,
    Type,
)

_EXCEPTION: Final = ["System.Exception", "System.Object"]
_RUNTIME: Final = ["System.Management.Automation.RuntimeException", "System.SystemException", *_EXCEPTION]
_BINDING: Final = ["System.Management.Automation.ParameterBindingException", *_RUNTIME]
_CHAINS: Final = {
    "RuntimeException": _RUNTIME,
    "WriteErrorException": ["Microsoft.PowerShell.Commands.WriteErrorException", "System.SystemException", *_EXCEPTION],
    "CommandNotFoundException": ["System.Management.Automation.CommandNotFoundException", *_RUNTIME],
    "ParseException": ["System.Management.Automation.ParseException", *_RUNTIME],
    "ParameterBindingException": _BINDING,
    "ParameterBindingArgumentTransformationException": [
        "System.Management.Automation.ParameterBindingArgumentTransformationException",
        *_BINDING,
    ],
    "ParameterBindingValidationException": [
        "System.Management.Automation.ParameterBindingValidationException",
        *_BINDING,
    ],
}
_HRESULT: Final = -2146233087  # COR_E_SYSTEM, that of RuntimeException


class RowMismatch(Exception):
    """The contract server yielded something that the contract does not promise: a fault of the lab itself."""


@ps.PSType(["System.String[]", "System.Array"], rehydrate=False)
class StringArray(ps.PSListBase):
    """``String[]``; psrpcore itself would send an ArrayList."""


class CategoryInfo(ps.ErrorCategoryInfo):
    """With the text as the engine writes it."""

    def __str__(self) -> str:
        return f"{self.Category.name}: ({self.TargetName}:{self.TargetType}) [{self.Activity}], {self.Reason}"


@dataclass(frozen=True)
class ErrorRecord:
    """An error record as the engine makes it; ``error_id`` is the whole FullyQualifiedErrorId."""

    error_id: str
    message: str
    category: int
    exception: str
    activity: str = ""
    target: str | None = None
    command: str = ""

    def build(self) -> ps.ErrorRecord:
        chain = _CHAINS[self.exception]
        exception = ps.NETException(Message=self.message, HResult=_HRESULT)
        exception.PSObject.type_names = list(chain)
        exception.PSObject.to_string = f"{chain[0]}: {self.message}"
        record = ps.ErrorRecord(
            Exception=exception,
            CategoryInfo=self._category(),
            TargetObject=self.target,
            FullyQualifiedErrorId=self.error_id,
            InvocationInfo=invocation(self.command),
            ScriptStackTrace="at <ScriptBlock>, <No file>: line 1",
        )
        record.PSObject.to_string = self.message
        return record

    def _category(self) -> CategoryInfo:
        return CategoryInfo(
            Category=ps.ErrorCategory(self.category),
            Activity=self.activity,
            Reason=self.exception,
            TargetName=self.target or "",
            TargetType="" if self.target is None else "String",
        )


def invocation(command: str) -> ps.InvocationInfo:
    """Return the little of InvocationInfo that a function in a remote session has."""
    return ps.InvocationInfo(
        BoundParameters=ps.PSDict(),
        CommandOrigin=ps.CommandOrigin.Runspace,
        DisplayScriptPosition=None,
        ExpectingInput=False,
        HistoryId=1,
        InvocationName=command,
        Line="",
        MyCommand=None,
        OffsetInLine=0,
        PipelineLength=1,
        PipelinePosition=1,
        PSCommandPath="",
        PSScriptRoot="",
        ScriptLineNumber=0,
        ScriptName="",
        UnboundArguments=ps.PSList(),
    )


def custom_object(function: Function, row: Mapping[str, object]) -> ps.PSCustomObject:
    """Build the flat object of one row.

    Raises:
        RowMismatch: kind, members or types are not those of the contract.
    """
    kind = row.get("Kind")
    members = function.output.get(kind) if isinstance(kind, str) else None
    if members is None:
        raise RowMismatch(f"{function.name} must not emit an object of kind {kind!r}")
    if set(row) != {"Kind", *members}:
        raise RowMismatch(f"{function.name}: members of {kind} are {sorted(row)}, want {sorted(members)} and Kind")
    values = {
        name: value_of(type_, row[name], where=f"{function.name}: {kind}.{name}") for name, type_ in members.items()
    }
    return ps.PSCustomObject(Kind=kind, SchemaVersion=ps.PSInt(SCHEMA_VERSION), **values)


def value_of(type_: Type, value: object, *, where: str) -> Any:
    """Convert one member. Raises RowMismatch."""
    match type_, value:
        case Type.STRING, str():
            return value
        case Type.BOOL, bool():
            return value
        case Type.GUID, uuid.UUID():
            return ps.PSGuid(int=value.int)
        case Type.BYTES, bytes():
            return ps.PSByteArray(value)
        case Type.STRINGS, (list() | tuple()) if all(isinstance(item, str) for item in value):
            return StringArray(value)
        case ((Type.INT32 | Type.INT64 | Type.UINT64), int()) if not isinstance(value, bool):
            try:
                return _INTEGERS[type_](value)
            except ValueError as error:
                raise RowMismatch(f"{where}: {error}") from error
    raise RowMismatch(f"{where} is {value!r}, want {type_.value}")


_INTEGERS: Final = {Type.INT32: ps.PSInt, Type.INT64: ps.PSInt64, Type.UINT64: ps.PSUInt64}
