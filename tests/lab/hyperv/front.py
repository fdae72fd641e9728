# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Front 1: the functions of the host contract, in Python, over the model.

The table of served functions is compared with the contract when it is built; a function too many or too few is an
error. Nothing is decided here: each function is a few lines of cmdlets, as the PowerShell module will be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    COMMON_ERRORS,
    FUNCTIONS,
    Function,
    Parameter,
    Type,
)
from ansible_collections.opendr.hyperv.tests.lab.hyperv import front_source, front_target
from ansible_collections.opendr.hyperv.tests.lab.hyperv.faults import Faults, When
from ansible_collections.opendr.hyperv.tests.lab.hyperv.fences import Fences
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.records import Records
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.serving import Call, Row, served
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import same_path
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError

# Error ids of a refusal, best first; a function gets the first that its contract knows, else Hvr.Failed.
ERROR_IDS: Final = {
    Kind.VM_NOT_FOUND: ("Hvr.VmNotFound",),
    Kind.CHECKPOINT_NOT_FOUND: ("Hvr.CheckpointNotFound",),
    Kind.SNAPSHOT_NOT_FOUND: ("Hvr.RestorePointNotFound",),
    Kind.SWITCH_NOT_FOUND: ("Hvr.SwitchNotFound",),
    Kind.FILE_NOT_FOUND: ("Hvr.FileNotFound", "Hvr.ChainBroken", "Hvr.InvalidArgument"),
    Kind.DRIVE_NOT_FOUND: ("Hvr.DriveNotFound", "Hvr.FileNotFound", "Hvr.ChainBroken", "Hvr.InvalidArgument"),
    Kind.PATH_INVALID: ("Hvr.PathNotAllowed", "Hvr.InvalidArgument"),
    Kind.EXISTS: ("Hvr.Exists",),
    Kind.BUSY: ("Hvr.Busy", "Hvr.WrongState", "Hvr.InUse"),
    Kind.WRONG_STATE: ("Hvr.WrongState", "Hvr.Busy"),
    Kind.IN_USE: ("Hvr.InUse", "Hvr.Busy", "Hvr.WrongState"),
    Kind.CHAIN_BROKEN: ("Hvr.ChainBroken",),
    Kind.CHECKPOINTS_DISABLED: ("Hvr.CheckpointsDisabled", "Hvr.WrongState"),
    Kind.CHECKPOINT_FAILED: ("Hvr.CheckpointFailed",),
    Kind.VERSION_TOO_OLD: ("Hvr.VersionTooOld",),
    Kind.VERSION_NOT_SUPPORTED: ("Hvr.VersionNotSupported",),
    Kind.SLOT_IN_USE: ("Hvr.SlotInUse",),
    Kind.VOLUME_FULL: ("Hvr.VolumeFull",),
    Kind.TRACKING_LOST: ("Hvr.TrackingLost",),
    Kind.OUT_OF_MEMORY: ("Hvr.OutOfMemory",),
    Kind.INVALID_ARGUMENT: ("Hvr.InvalidArgument",),
    Kind.FAILED: ("Hvr.Failed",),
}
_CATEGORIES: Final = {
    "Hvr.AccessDenied": Category.PERMISSION_DENIED,
    "Hvr.PathNotAllowed": Category.PERMISSION_DENIED,
    "Hvr.InvalidArgument": Category.INVALID_ARGUMENT,
    "Hvr.Failed": Category.NOT_SPECIFIED,
    "Hvr.VmNotFound": Category.OBJECT_NOT_FOUND,
    "Hvr.CheckpointNotFound": Category.OBJECT_NOT_FOUND,
    "Hvr.RestorePointNotFound": Category.OBJECT_NOT_FOUND,
    "Hvr.SwitchNotFound": Category.OBJECT_NOT_FOUND,
    "Hvr.FileNotFound": Category.OBJECT_NOT_FOUND,
    "Hvr.Exists": Category.RESOURCE_EXISTS,
    "Hvr.SlotInUse": Category.RESOURCE_EXISTS,
    "Hvr.Busy": Category.RESOURCE_BUSY,
    "Hvr.InUse": Category.RESOURCE_BUSY,
    "Hvr.VolumeFull": Category.RESOURCE_UNAVAILABLE,
    "Hvr.OutOfMemory": Category.RESOURCE_UNAVAILABLE,
    "Hvr.ChainBroken": Category.INVALID_DATA,
    "Hvr.RecordInvalid": Category.INVALID_DATA,
}
_RANGES: Final = {
    Type.INT32: range(-(2**31), 2**31),
    Type.INT64: range(-(2**63), 2**63),
    Type.UINT64: range(2**64),
}


class Front:
    """A ContractServer over the model. Calls come from several threads; each runs alone in the lab."""

    def __init__(self, host: ModelHost, *, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self._host = host
        self._records = Records(host.lab)
        self._fences = Fences(host.lab.folder)
        self._table = table()
        host.upkeep.scheduled_tasks.append(self.remove_expired_checkpoints)

    def dispatch(self, function: str, parameters: Mapping[str, object], *, user: str) -> Iterator[Row]:
        """Run one function and return its rows.

        Raises:
            HostError: as the contract says; Hvr.InvalidArgument also for parameters that it does not know.
        """
        if function not in FUNCTIONS:
            raise HostError(
                "Hvr.InvalidArgument", f"there is no function {function}", category=Category.INVALID_ARGUMENT
            )
        contract = FUNCTIONS[function]
        bound = checked(contract, parameters)
        hits = self.faults.hits(function)
        self.faults.strike(hits, When.BEFORE)
        with self._host.lab.lock:
            rows = self._run(contract, Call(self._host, self._records, self._fences, bound, user))
            if self._host.lab.state.switches.listing_order == "shuffled":
                self._host.lab.random.shuffle(rows)
        self.faults.strike(hits, When.AFTER)
        return iter(rows)

    def remove_expired_checkpoints(self) -> None:
        """What the scheduled task of a host does; no planned failure meets it. The caller holds the lock."""
        self._run(FUNCTIONS["Remove-HvrExpiredCheckpoint"], Call(self._host, self._records, self._fences, {}, "task"))

    def _run(self, contract: Function, call: Call) -> list[Row]:
        try:
            self._check_fence(contract, call)
            rows: list[Row] = [{"Kind": kind, **members} for kind, members in self._table[contract.name](call) or ()]
        except Refusal as refusal:
            raise translated(contract, refusal) from refusal
        except OSError as error:  # its text names files of this machine, which no host would know
            raise translated(contract, Refusal(Kind.FAILED, f"{contract.name} failed")) from error
        for row in rows:
            if set(row) != {"Kind", *contract.output[str(row["Kind"])]}:
                raise RuntimeError(f"{contract.name} emits {sorted(row)}")
        return rows

    def _check_fence(self, contract: Function, call: Call) -> None:
        """Functions with Folder and Epoch change a replica only under its record, and only a replica of that folder.

        Functions with ReplicaId and Epoch work on its source; no older epoch may do so any more.
        """
        if "ReplicaId" in contract.parameters:
            call.fences.admit(call.replica_id, call.number("Epoch"))
        if "Folder" not in contract.parameters or "Epoch" not in contract.parameters:
            return
        folder = call.text("Folder")
        gone = contract.name == "Remove-HvrReplicaRecord" and self._records.read(folder) is None
        if not gone:
            self._records.check_fence(folder, call.number("Epoch"))
        if "VmId" in contract.parameters:
            for machine in call.host.machines.get_vm():
                if machine.vm_id == call.vm_id and not same_path(machine.folder, folder):
                    message = f"{machine.name} is not the machine of the replica in {folder}"
                    raise HostError("Hvr.AccessDenied", message, category=Category.PERMISSION_DENIED, target=folder)


def table() -> Mapping[str, Callable[[Call], Any]]:
    """Return the served functions by name. Raises RuntimeError when they are not those of the contract."""
    found = {**served(front_source), **served(front_target)}
    if found.keys() != FUNCTIONS.keys():
        raise RuntimeError(f"the lab and the contract differ in {sorted(found.keys() ^ FUNCTIONS.keys())}")
    return found


def translated(contract: Function, refusal: Refusal) -> HostError:
    """Return a refusal of the model as an error of the contract; the target carries the host's own code."""
    known = {*contract.errors, *COMMON_ERRORS}
    error_id = next((each for each in ERROR_IDS[refusal.kind] if each in known), "Hvr.Failed")
    category = _CATEGORIES.get(error_id, Category.INVALID_OPERATION)
    return HostError(error_id, refusal.message, category=category, target=f"0x{refusal.code:08X}")


def checked(contract: Function, parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters with GUIDs parsed. Raises HostError Hvr.InvalidArgument."""
    unknown = sorted(parameters.keys() - contract.parameters.keys())
    missing = sorted(n for n, p in contract.parameters.items() if p.mandatory and parameters.get(n) is None)
    if unknown or missing:
        raise _invalid(contract, f"parameters unknown: {unknown}, missing: {missing}")
    return {name: _value(contract, name, value=value) for name, value in parameters.items() if value is not None}


def _value(contract: Function, name: str, *, value: object) -> object:
    parameter = contract.parameters[name]
    if parameter.type is Type.GUID and isinstance(value, str):
        try:
            value = UUID(value)
        except ValueError as error:
            raise _invalid(contract, f"{name} {value!r} is no GUID") from error
    if not _fits(parameter, value):
        raise _invalid(contract, f"{name} cannot be {value!r}")
    return value


def _fits(parameter: Parameter, value: object) -> bool:
    match parameter.type, value:
        case Type.STRING, str():
            chosen = not parameter.choices or value.casefold() in {choice.casefold() for choice in parameter.choices}
            return chosen and bool(value or parameter.may_be_empty)
        case Type.STRINGS, list() | tuple():
            return all(isinstance(each, str) for each in value) and bool(value or parameter.may_be_empty)
        case ((Type.BOOL | Type.SWITCH), bool()) | (Type.GUID, UUID()) | (Type.BYTES, bytes()):
            return True
        case ((Type.INT32 | Type.INT64 | Type.UINT64), int()) if not isinstance(value, bool):
            return value in _RANGES[parameter.type]
    return False


def _invalid(contract: Function, message: str) -> HostError:
    return HostError("Hvr.InvalidArgument", f"{contract.name}: {message}", category=Category.INVALID_ARGUMENT)
