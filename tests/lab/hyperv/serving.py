# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the contract functions of front 1 share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, TypeVar
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import DiskGeometry
from ansible_collections.opendr.hyperv.tests.lab.hyperv.fences import Fences
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.records import Records
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Drive, Machine

Row = Mapping[str, object]
Objects = Iterator[tuple[str, dict[str, object]]]  # kind and members of each object
Output = Iterable[tuple[str, dict[str, object]]] | None
Served = TypeVar("Served", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a contract function: its parameters, checked, and what it works on."""

    host: ModelHost
    records: Records
    fences: Fences
    parameters: Mapping[str, object]
    user: str

    @property
    def vm_id(self) -> str:
        return str(self.parameters["VmId"])

    def text(self, name: str) -> str:
        return str(self.parameters[name])

    def number(self, name: str) -> int:
        value = self.parameters[name]
        if not isinstance(value, int):
            raise TypeError(f"{name} is {value!r}")
        return value

    def strings(self, name: str) -> list[str]:
        value = self.parameters[name]
        if not isinstance(value, list | tuple):
            raise TypeError(f"{name} is {value!r}")
        return [str(each) for each in value]

    def choice(self, name: str) -> str:
        """Return a value of a ValidateSet as the cmdlets write it."""
        return self.text(name).upper() if name == "ControllerType" else self.text(name).capitalize()

    @property
    def replica_id(self) -> UUID:
        value = self.parameters["ReplicaId"]
        if not isinstance(value, UUID):
            raise TypeError(f"ReplicaId is {value!r}")
        return value

    @property
    def slot(self) -> dict[str, Any]:
        number, location = self.number("ControllerNumber"), self.number("ControllerLocation")
        return {"controller": self.choice("ControllerType"), "number": number, "location": location}


def serves(name: str) -> Callable[[Served], Served]:
    """Mark a function as the implementation of a contract function."""

    def mark(function: Served) -> Served:
        function.__serves__ = name  # type: ignore[attr-defined]
        return function

    return mark


def served(module: ModuleType) -> dict[str, Callable[[Call], Output]]:
    """Return the marked functions of a module by contract name."""
    found = (getattr(module, attribute) for attribute in vars(module))
    return {each.__serves__: each for each in found if hasattr(each, "__serves__")}


def vm_row(machine: Machine) -> dict[str, object]:
    return {
        "VmId": UUID(machine.vm_id),
        "Name": machine.name,
        "State": machine.state,
        "Generation": machine.generation,
        "Version": machine.version,
        "CheckpointType": machine.checkpoint_type,
        "Notes": machine.settings.notes,
        "Folder": machine.folder,
    }


def slot_row(drive: Drive) -> dict[str, object]:
    return {
        "ControllerType": drive.controller,
        "ControllerNumber": drive.number,
        "ControllerLocation": drive.location,
    }


def geometry_row(geometry: DiskGeometry | None) -> dict[str, object]:
    """Return the geometry members; zeros for a disk that is no VHDX."""
    return {
        "VirtualDiskId": geometry.disk_id if geometry else UUID(int=0),
        "VirtualSize": geometry.virtual_size if geometry else 0,
        "BlockSize": geometry.block_size if geometry else 0,
        "LogicalSectorSize": geometry.logical_sector_size if geometry else 0,
        "PhysicalSectorSize": geometry.physical_sector_size if geometry else 0,
        "Allocation": geometry.allocation.value if geometry else "",
    }


def iso_time(seconds: float) -> str:
    """Return a time as .NET's round-trip format writes it: UTC, seven decimals."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"
