# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modelled host refuses, and with which of its own codes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import Grade


class Kind(Enum):
    """Why the host refuses; the front translates these to the error ids of the contract."""

    VM_NOT_FOUND = "vm_not_found"
    CHECKPOINT_NOT_FOUND = "checkpoint_not_found"
    SNAPSHOT_NOT_FOUND = "snapshot_not_found"
    SWITCH_NOT_FOUND = "switch_not_found"
    FILE_NOT_FOUND = "file_not_found"
    DRIVE_NOT_FOUND = "drive_not_found"
    PATH_INVALID = "path_invalid"
    EXISTS = "exists"
    BUSY = "busy"
    WRONG_STATE = "wrong_state"
    IN_USE = "in_use"
    CHAIN_BROKEN = "chain_broken"
    CHECKPOINTS_DISABLED = "checkpoints_disabled"
    CHECKPOINT_FAILED = "checkpoint_failed"
    VERSION_TOO_OLD = "version_too_old"
    VERSION_NOT_SUPPORTED = "version_not_supported"
    SLOT_IN_USE = "slot_in_use"
    VOLUME_FULL = "volume_full"
    TRACKING_LOST = "tracking_lost"
    OUT_OF_MEMORY = "out_of_memory"
    INVALID_ARGUMENT = "invalid_argument"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Fact:
    """The code that a host gives with a refusal (WMI return value, or HRESULT from 2**31 up), and who says so."""

    code: int
    grade: Grade
    source: str


_JOB: Final = "W32 Msvm_ConcreteJob, common return codes"
_WINERROR: Final = "winerror.h"

FACTS: Final = {
    Kind.VM_NOT_FOUND: Fact(0x80070490, Grade.FIELD, "Get-VM -Id, error ObjectNotFound"),
    Kind.CHECKPOINT_NOT_FOUND: Fact(32773, Grade.DOCUMENTED, _JOB),
    Kind.SNAPSHOT_NOT_FOUND: Fact(0x80070490, Grade.FIELD, "Get-VMSnapshot -Id"),
    Kind.SWITCH_NOT_FOUND: Fact(0x80070490, Grade.FIELD, "Connect-VMNetworkAdapter, error ObjectNotFound"),
    Kind.FILE_NOT_FOUND: Fact(0x80070002, Grade.DOCUMENTED, _WINERROR),
    Kind.DRIVE_NOT_FOUND: Fact(0x8007000F, Grade.DOCUMENTED, _WINERROR),
    Kind.PATH_INVALID: Fact(0x8007007B, Grade.DOCUMENTED, _WINERROR),
    Kind.EXISTS: Fact(0x80070050, Grade.DOCUMENTED, _WINERROR),
    Kind.BUSY: Fact(32775, Grade.DOCUMENTED, _JOB),
    Kind.WRONG_STATE: Fact(32775, Grade.DOCUMENTED, _JOB),
    Kind.IN_USE: Fact(0x80070020, Grade.DOCUMENTED, _WINERROR),
    Kind.CHAIN_BROKEN: Fact(0xC03A000E, Grade.DOCUMENTED, _WINERROR),
    Kind.CHECKPOINTS_DISABLED: Fact(32770, Grade.FIELD, "vendors demand a CheckpointType other than Disabled"),
    Kind.CHECKPOINT_FAILED: Fact(0x800423F2, Grade.DOCUMENTED, "VSS error in the guest fails the checkpoint"),
    Kind.VERSION_TOO_OLD: Fact(32770, Grade.DOCUMENTED, "WSD Upgrade-virtual-machine-version"),
    Kind.VERSION_NOT_SUPPORTED: Fact(32770, Grade.DOCUMENTED, "WSD Upgrade-virtual-machine-version"),
    Kind.SLOT_IN_USE: Fact(0x80070055, Grade.FIELD, "Add-VMHardDiskDrive on a location that is taken"),
    Kind.VOLUME_FULL: Fact(0x80070070, Grade.DOCUMENTED, _WINERROR),
    Kind.TRACKING_LOST: Fact(0xC03A0029, Grade.DOCUMENTED, "winerror.h, facility virtualization"),
    Kind.OUT_OF_MEMORY: Fact(32778, Grade.DOCUMENTED, _JOB),
    Kind.INVALID_ARGUMENT: Fact(32773, Grade.DOCUMENTED, _JOB),
    Kind.FAILED: Fact(32768, Grade.DOCUMENTED, _JOB),
}


class Refusal(Exception):
    """The host says no. ``code`` is the host's own number when it differs from the usual one of the kind."""

    def __init__(self, kind: Kind, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.code = FACTS[kind].code if code is None else code
