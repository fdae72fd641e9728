# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract functions of a lab host called without WSMan between: for tests of services that need many calls."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp_values import encode
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import HypervisorError, TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import FUNCTIONS, Type

from .hyperv.client import LabControl, LabError
from .wsman.contract_server import ContractServer, HostError, Notice, Row


class DirectHost:
    """Stands in for ``PsrpHost``; ``PsrpHypervisor(DirectHost(...))`` is a Hypervisor port."""

    def __init__(self, name: str, server: ContractServer) -> None:
        self._name = name
        self._server = server

    @property
    def name(self) -> str:
        return self._name

    def call(self, function: str, **parameters: object) -> list[dict[str, Any]]:
        """Check the call as the adapter does, and run it. Raises HypervisorError, RequestError."""
        encode(FUNCTIONS[function], parameters)
        given = {name: value for name, value in parameters.items() if value is not None}
        rows = []
        try:
            for row in self._server.dispatch(function, given, user="direct"):
                if isinstance(row, HostError):
                    raise row
                if not isinstance(row, Notice):
                    rows.append({n: tuple(value) if isinstance(value, list) else value for n, value in row.items()})
        except HostError as error:
            raise HypervisorError(
                f"host {self._name}: {function}: {error.message} ({error.error_id})",
                function=function,
                error_id=error.error_id,
            ) from error
        return rows

    def close(self) -> None:
        """There is nothing to let go of."""


class CurrentFront:
    """A ContractServer: the front of a host as it is now, for callers that outlive a restart of the host."""

    def __init__(self, fronts: Mapping[str, ContractServer], name: str) -> None:
        self._fronts = fronts
        self._name = name

    def dispatch(self, function: str, parameters: Mapping[str, object], *, user: str) -> Iterator[Row]:
        return self._fronts[self._name].dispatch(function, parameters, user=user)


class ControlledHost:
    """A ContractServer: a lab host in another process, asked over its control socket."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder
        self._control: LabControl | None = None
        self._lock = threading.Lock()

    def dispatch(self, function: str, parameters: Mapping[str, object], *, user: str) -> Iterator[Row]:
        """Raises HostError as the host does, TransportError when its process is gone."""
        given = {"function": function, "parameters": dict(parameters), "user": user}
        try:
            with self._lock:
                self._control = self._control or LabControl(self._folder)
                rows = self._control.call("front.dispatch", **given)
        except LabError as error:
            raise HostError(error.kind, str(error)) from error
        except OSError as error:
            self._drop()
            raise TransportError(f"host {self._name}: connection lost in {function}: {error}") from error
        output = FUNCTIONS[function].output
        return iter([_with_guids(row, output[row["Kind"]]) for row in rows])

    def _drop(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            control.close()


def _with_guids(row: dict[str, Any], members: Mapping[str, Type]) -> Row:
    """Return a row as WSMan brings it: the control socket turns GUIDs into text."""
    return {name: UUID(value) if members.get(name) is Type.GUID else value for name, value in row.items()}
