# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure each behaviour of the model is, kept where a test can list it.

The grades are those of docs/design/host_contract.md: nothing here was run on a Windows host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any, TypeVar


class Grade(Enum):
    """Who says so."""

    DOCUMENTED = "D"  # Microsoft's reference documentation or open specification
    SAMPLE = "S"  # Microsoft's samples or test code
    FIELD = "F"  # other people's code or notes that run against real hosts
    OPEN = "?"  # nobody found who confirms it


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A modelled cmdlet or WMI method: the name callers use, its grade, where the fact comes from."""

    name: str
    grade: Grade
    source: str


Method = TypeVar("Method", bound=Callable[..., Any])


def behaviour(name: str, grade: str, *, source: str) -> Callable[[Method], Method]:
    """Mark a method as the model of a cmdlet or WMI method; it then runs alone in the lab, under its lock."""

    def mark(method: Method) -> Method:
        @wraps(method)
        def alone(self: Any, *arguments: Any, **named: Any) -> Any:
            with self.lab.lock:
                return method(self, *arguments, **named)

        alone.__behaviour__ = Behaviour(name, Grade(grade), source)  # type: ignore[attr-defined]
        return alone  # type: ignore[return-value]

    return mark


def behaviours(part: object) -> Iterator[tuple[Behaviour, Callable[..., Any]]]:
    """Yield the marked methods of an object, or of a class."""
    for attribute in dir(part):
        found = getattr(getattr(part, attribute), "__behaviour__", None)
        if isinstance(found, Behaviour):
            yield found, getattr(part, attribute)
