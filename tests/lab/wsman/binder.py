# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PowerShell's parameter binder, for typed commands in a NoLanguage session.

What was copied: which values each type takes, and the error ids. Only commands of the contract exist; script text is
never interpreted.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    FUNCTIONS,
    Function,
    Parameter,
    Type,
)

from .contract_server import Category
from .objects import ErrorRecord

_PARSER_ERROR: Final = 17
_FUNCTIONS: Final = {name.lower(): function for name, function in FUNCTIONS.items()}
_INTEGERS: Final = {
    Type.INT32: (-(2**31), 2**31 - 1),
    Type.INT64: (-(2**63), 2**63 - 1),
    Type.UINT64: (0, 2**64 - 1),
}
_COMMON: Final = frozenset(
    "verbose debug erroraction warningaction informationaction errorvariable warningvariable outvariable".split()
)


class BindingFailed(Exception):
    """The command does not run; ``record`` ends the pipeline."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message)
        self.record = record


@dataclass
class BoundCommand:
    """A command ready to run; ``common`` holds -Verbose, -ErrorAction and the like by their lower-case names."""

    function: Function
    parameters: dict[str, object] = field(default_factory=dict)
    common: dict[str, object] = field(default_factory=dict)

    def wants(self, stream: str) -> bool:
        """Tell whether -Verbose or -Debug was given; null leaves a switch off."""
        return bool(_plain(self.common.get(stream)))

    @property
    def error_action(self) -> str:
        return str(self.common.get("erroraction") or "Continue").lower()


def bind(command: Any) -> BoundCommand:
    """Find the function of a pipeline's command and bind its parameters. Raises BindingFailed."""
    if command.is_script:
        raise BindingFailed(
            ErrorRecord(
                "ScriptsNotAllowed",
                "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
                _PARSER_ERROR,
                "ParseException",
                target=command.command_text,
            )
        )
    function = _FUNCTIONS.get(command.command_text.lower())
    if function is None:
        raise BindingFailed(
            ErrorRecord(
                "CommandNotFoundException",
                f"The term '{command.command_text}' is not recognized as the name of a cmdlet, function, script file, "
                "or operable program.",
                Category.OBJECT_NOT_FOUND.value,
                "CommandNotFoundException",
                target=command.command_text,
            )
        )
    bound = BoundCommand(function)
    for name, value in command.parameters:
        _bind_one(bound, name, value=value)
    missing = [name for name, p in function.parameters.items() if p.mandatory and name not in bound.parameters]
    if missing:
        raise _refuse(
            function,
            "MissingMandatoryParameter",
            message=f"Cannot process command because of one or more missing mandatory parameters: {' '.join(missing)}.",
        )
    return bound


def _bind_one(bound: BoundCommand, name: str | None, *, value: Any) -> None:
    if name is None:
        raise _refuse(
            bound.function,
            "PositionalParameterNotFound",
            message=f"A positional parameter cannot be found that accepts argument '{value}'.",
        )
    given = name.lstrip("-").rstrip(":").lower()
    if given in _COMMON:
        bound.common[given] = value
        return
    key = _match(bound.function, given)
    if key in bound.parameters:
        raise _refuse(
            bound.function,
            "ParameterAlreadyBound",
            message=f"Cannot bind parameter because parameter '{key}' is specified more than once.",
        )
    bound.parameters[key] = _argument(bound.function, key, value=value)


def _match(function: Function, given: str) -> str:
    """Return the parameter of that name, or the only one that begins with it."""
    names = {parameter.lower(): parameter for parameter in function.parameters}
    found = [names[given]] if given in names else [p for lower, p in names.items() if lower.startswith(given)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _refuse(
            function,
            "AmbiguousParameter",
            message=f"Parameter cannot be processed because the parameter name '{given}' is ambiguous.",
        )
    raise _refuse(
        function,
        "NamedParameterNotFound",
        message=f"A parameter cannot be found that matches parameter name '{given}'.",
    )


def _argument(function: Function, name: str, *, value: Any) -> object:
    parameter = function.parameters[name]
    try:
        converted = convert(parameter.type, value)
    except (ValueError, TypeError) as error:
        raise _refuse(
            function,
            "ParameterArgumentTransformationError",
            message=f"Cannot process argument transformation on parameter '{name}'. {error}",
            category=Category.INVALID_DATA,
            exception="ParameterBindingArgumentTransformationException",
        ) from error
    problem = _emptiness(parameter, converted, is_null=value is None)
    if problem:
        raise _invalid(function, name, problem=f"{problem}NotAllowed", why="it is empty or null")
    if parameter.choices and str(converted).lower() not in {choice.lower() for choice in parameter.choices}:
        raise _invalid(
            function,
            name,
            why=f"'{converted}' does not belong to the set '{','.join(parameter.choices)}' of ValidateSet",
        )
    return converted


def _emptiness(parameter: Parameter, converted: object, *, is_null: bool) -> str:
    """Return what a mandatory parameter refuses: PowerShell takes no null, empty text or empty list for one."""
    if not parameter.mandatory or parameter.may_be_empty:
        return ""
    if is_null and parameter.type in {Type.STRINGS, Type.BYTES}:
        return "Null"
    if converted == "":
        return "EmptyString"
    if converted in ((), b""):
        return "EmptyArray"
    return "EmptyString" if isinstance(converted, tuple) and "" in converted else ""


def convert(type_: Type, value: Any) -> object:
    """Convert as the binder does: text to numbers and GUIDs, one string to a list, null to empty text.

    Raises:
        ValueError: there is no conversion, or the number does not fit.
    """
    value = _plain(value)
    match type_:
        case Type.STRING:
            return "" if value is None else str(value)
        case Type.STRINGS:
            items = value if isinstance(value, list) else [] if value is None else [value]
            return tuple("" if item is None else str(_plain(item)) for item in items)
        case Type.GUID:
            return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
        case Type.BYTES:
            return b"" if value is None else bytes(_octets(value))
        case Type.SWITCH:
            return bool(value)  # null leaves a switch off
        case Type.BOOL:
            if not isinstance(value, int):
                raise ValueError(f'Cannot convert value "{value}" to type "System.Boolean".')
            return bool(value)
    low, high = _INTEGERS[type_]
    number = 0 if value is None else int(value)
    if not low <= number <= high:
        raise ValueError(f'Cannot convert value "{value}" to type "{type_.value}": too large or too small.')
    return number


def _octets(value: Any) -> Iterable[int]:
    if isinstance(value, bytes | list):
        return value
    raise ValueError(f'Cannot convert value "{value}" to type "System.Byte[]".')


def _plain(value: Any) -> Any:
    """Return the Python value of a deserialized primitive, so that no psrpcore type reaches the contract server."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=value.int)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, int):
        return int(value)
    return str(value) if isinstance(value, str) else value


def _invalid(function: Function, name: str, *, why: str, problem: str = "") -> BindingFailed:
    return _refuse(
        function,
        f"ParameterArgumentValidationError{problem}",
        message=f"Cannot validate argument on parameter '{name}': {why}.",
        category=Category.INVALID_DATA,
        exception="ParameterBindingValidationException",
    )


def _refuse(
    function: Function,
    error_id: str,
    *,
    message: str,
    category: Category = Category.INVALID_ARGUMENT,
    exception: str = "ParameterBindingException",
) -> BindingFailed:
    return BindingFailed(
        ErrorRecord(
            f"{error_id},{function.name}",
            message,
            category.value,
            exception,
            activity=function.name,
            command=function.name,
        )
    )
