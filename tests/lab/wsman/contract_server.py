# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the WSMan front asks of whoever answers the host contract, and how that one refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import NamedTuple, Protocol


class Category(Enum):
    """The PowerShell error categories that the contract uses; values are those of ErrorCategory."""

    NOT_SPECIFIED = 0
    INVALID_ARGUMENT = 5
    INVALID_DATA = 6
    INVALID_OPERATION = 7
    OBJECT_NOT_FOUND = 13
    PERMISSION_DENIED = 18
    RESOURCE_BUSY = 19
    RESOURCE_EXISTS = 20
    RESOURCE_UNAVAILABLE = 21
    LIMITS_EXCEEDED = 29


class HostError(Exception):
    """A terminating error of a contract function; ``error_id`` is one of the contract (``Hvr.VmNotFound``)."""

    def __init__(
        self, error_id: str, message: str, *, category: Category = Category.NOT_SPECIFIED, target: str | None = None
    ) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message
        self.category = category
        self.target = target


class Notice(NamedTuple):
    """A record for one of the other streams: ``verbose``, ``debug``, ``warning`` or ``information``."""

    stream: str
    text: str


Row = Mapping[str, object] | HostError | Notice  # a HostError that is yielded, not raised, does not end the pipeline


class ContractServer(Protocol):
    """Runs contract functions. Calls come from several threads at once."""

    def dispatch(self, function: str, parameters: Mapping[str, object], *, user: str) -> Iterator[Row]:
        """Run one function and yield its output rows, each with ``Kind`` and the members of the contract.

        The front has bound the parameters: names as in the contract, mandatory ones present, optional ones only when
        given, values as ``str``, ``tuple[str, ...]``, ``uuid.UUID``, ``int``, ``bool`` or ``bytes``. Rows carry the
        same types; the front adds SchemaVersion. A client that stops the call closes the iterator at its next row;
        what the function did until then is done.

        Raises:
            HostError: the function refuses; what it yielded before has been sent.
        """
