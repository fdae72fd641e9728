# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The contract between the engine and a Hyper-V host: each function, its parameters, output and errors.

One table serves all: the PSRP adapter calls exactly it, the lab serves exactly it, the PowerShell module is checked
against it. Functions take typed parameters only and return flat objects (docs/design/host_contract.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final


class Type(Enum):
    """Types that cross PSRP unchanged. Times are ISO 8601 strings in UTC, GUIDs travel as Guid or as string."""

    STRING = "string"
    STRINGS = "string[]"
    GUID = "guid"
    INT32 = "int32"
    INT64 = "int64"
    UINT64 = "uint64"
    BOOL = "bool"
    SWITCH = "switch"
    BYTES = "byte[]"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named parameter; ``choices`` is its ValidateSet.

    PowerShell refuses an empty string or list for a mandatory parameter, unless the function says otherwise
    (``may_be_empty``: AllowEmptyString, AllowEmptyCollection).
    """

    type: Type
    mandatory: bool = True
    choices: tuple[str, ...] = ()
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One host function.

    ``output`` maps the ``Kind`` member of each object it may emit to the members of that object, each always present
    beside ``SchemaVersion``.
    ``errors`` are its own error ids beside ``COMMON_ERRORS``.
    """

    name: str
    parameters: Mapping[str, Parameter]
    output: Mapping[str, Mapping[str, Type]]
    errors: tuple[str, ...] = ()
    changes: bool = False  # it changes something on the host
    about: str = field(default="", compare=False)


COMMON_ERRORS: Final = ("Hvr.AccessDenied", "Hvr.InvalidArgument", "Hvr.Failed")

_GUID = Parameter(Type.GUID)
_STRING = Parameter(Type.STRING)
_VM = {"VmId": _GUID}
_FENCE = {"Folder": _STRING, "Epoch": Parameter(Type.INT64)}
_SOURCE_FENCE = {"ReplicaId": _GUID, "Epoch": Parameter(Type.INT64)}
_SLOT = {
    "ControllerType": Parameter(Type.STRING, choices=("IDE", "SCSI")),
    "ControllerNumber": Parameter(Type.INT32),
    "ControllerLocation": Parameter(Type.INT32),
}
_SLOT_OUT = {"ControllerType": Type.STRING, "ControllerNumber": Type.INT32, "ControllerLocation": Type.INT32}
_GEOMETRY_OUT = {
    "VirtualDiskId": Type.GUID,
    "VirtualSize": Type.UINT64,
    "BlockSize": Type.UINT64,
    "LogicalSectorSize": Type.INT32,
    "PhysicalSectorSize": Type.INT32,
    "Allocation": Type.STRING,
}
_DISK_OUT = {**_SLOT_OUT, **_GEOMETRY_OUT, "FileSize": Type.UINT64}
_VM_OUT = {
    "VmId": Type.GUID,
    "Name": Type.STRING,
    "State": Type.STRING,
    "Generation": Type.INT32,
    "Version": Type.STRING,
    "CheckpointType": Type.STRING,
    "Notes": Type.STRING,
    "Folder": Type.STRING,
}
_CHECKPOINT_OUT = {
    "CheckpointId": Type.STRING,
    "Name": Type.STRING,
    "CreatedAt": Type.STRING,
    "Consistency": Type.STRING,
    "LeaseSeconds": Type.INT64,
    "IgnoredDisks": Type.STRINGS,
}
_REFERENCE_POINT_OUT = {
    "ReferencePointId": Type.STRING,
    "Consistency": Type.STRING,
    "VirtualDiskIds": Type.STRINGS,
    "RctIds": Type.STRINGS,
}
_RESTORE_POINT_OUT = {
    "RestorePointId": Type.GUID,
    "ParentId": Type.STRING,
    "Name": Type.STRING,
    "CreatedAt": Type.STRING,
}
_RECORD_OUT = {"Epoch": Type.INT64, "Revision": Type.INT64, "AgeSeconds": Type.INT64, "Record": Type.STRING}
_LEAF_OUT = {**_SLOT_OUT, "VirtualDiskId": Type.GUID, "Path": Type.STRING}
_HARDWARE = {
    "ProcessorCount": Parameter(Type.INT32),
    "MemoryStartup": Parameter(Type.UINT64),
    "MemoryDynamic": Parameter(Type.BOOL),
    "MemoryMinimum": Parameter(Type.UINT64),
    "MemoryMaximum": Parameter(Type.UINT64),
    "SecureBoot": Parameter(Type.BOOL),
    "SecureBootTemplate": Parameter(Type.STRING, may_be_empty=True),
    "BootOrder": Parameter(Type.STRINGS, may_be_empty=True),
}

_TABLE: Final = (
    Function(
        "Get-HvrHost",
        {},
        {
            "host": {
                "Name": Type.STRING,
                "ModuleVersion": Type.STRING,
                "OsBuild": Type.STRING,
                "SupportedVersions": Type.STRINGS,
                "DefaultVersion": Type.STRING,
            }
        },
        about="Get-VMHost, Get-VMHostSupportedVersion",
    ),
    Function(
        "Get-HvrSwitch",
        {},
        {"switch": {"SwitchId": Type.GUID, "Name": Type.STRING, "SwitchType": Type.STRING}},
        about="Get-VMSwitch",
    ),
    Function(
        "Get-HvrVm",
        {"VmId": Parameter(Type.GUID, mandatory=False), "Name": Parameter(Type.STRING, mandatory=False)},
        {"vm": _VM_OUT},
        ("Hvr.VmNotFound",),
        about="Get-VM; by name it returns every machine of that name, also none",
    ),
    Function(
        "Get-HvrVmConfig",
        _VM,
        {
            "vm": {
                **_VM_OUT,
                "ProcessorCount": Type.INT32,
                "MemoryStartup": Type.UINT64,
                "MemoryDynamic": Type.BOOL,
                "MemoryMinimum": Type.UINT64,
                "MemoryMaximum": Type.UINT64,
                "SecureBoot": Type.BOOL,
                "SecureBootTemplate": Type.STRING,
                "BootOrder": Type.STRINGS,
            },
            "disk": {**_DISK_OUT, "Path": Type.STRING, "DiskKind": Type.STRING},
            "nic": {
                "NicId": Type.STRING,
                "Name": Type.STRING,
                "MacAddress": Type.STRING,
                "MacIsStatic": Type.BOOL,
                "SwitchName": Type.STRING,
                "VlanId": Type.INT32,
            },
        },
        ("Hvr.VmNotFound",),
        about="Get-VM, Get-VMProcessor, Get-VMMemory, Get-VMFirmware or Get-VMBios, Get-VMHardDiskDrive, Get-VHD, "
        "Get-VMNetworkAdapter. FileSize is that of all files of the chain. A disk that is no VHDX has zeros instead",
    ),
    Function(
        "New-HvrCheckpoint",
        {
            **_SOURCE_FENCE,
            **_VM,
            "Name": _STRING,
            "Consistency": Parameter(Type.STRING, choices=("Application", "Crash")),
        },
        {"checkpoint": _CHECKPOINT_OUT},
        (
            "Hvr.VmNotFound",
            "Hvr.Fenced",
            "Hvr.Busy",
            "Hvr.CheckpointsDisabled",
            "Hvr.CheckpointFailed",
            "Hvr.VersionTooOld",
            "Hvr.VolumeFull",
            "Hvr.WrongState",
        ),
        changes=True,
        about="CreateSnapshot, type 32768. A checkpoint of that name is returned as it is; one that is made and cannot "
        "be named is removed again",
    ),
    Function(
        "Get-HvrCheckpoint",
        _VM,
        {"checkpoint": _CHECKPOINT_OUT},
        ("Hvr.VmNotFound",),
        about="Recovery checkpoints of a machine, also those of other products. LeaseSeconds is what remains of the "
        "lease by the host's clock",
    ),
    Function(
        "Get-HvrCheckpointDisk",
        {**_VM, "CheckpointId": _STRING},
        {"disk": {**_DISK_OUT, "ChainPaths": Type.STRINGS}},
        ("Hvr.VmNotFound", "Hvr.CheckpointNotFound", "Hvr.ChainBroken"),
        about="Msvm_StorageAllocationSettingData of the checkpoint, Get-VHD; ChainPaths is leaf first",
    ),
    Function(
        "Set-HvrCheckpointLease",
        {**_SOURCE_FENCE, **_VM, "Seconds": Parameter(Type.INT64)},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced"),
        changes=True,
        about="The replica's checkpoints of the machine, also those made later, stay so long from now on by the host's "
        "clock",
    ),
    Function(
        "Convert-HvrCheckpoint",
        {**_SOURCE_FENCE, **_VM, "CheckpointId": _STRING},
        {"referencePoint": _REFERENCE_POINT_OUT},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.CheckpointNotFound", "Hvr.Busy", "Hvr.WrongState"),
        changes=True,
        about="ConvertToReferencePoint. VirtualDiskIds[i] belongs to RctIds[i]. What was converted already is returned "
        "again while its reference point lives",
    ),
    Function(
        "Remove-HvrCheckpoint",
        {**_SOURCE_FENCE, **_VM, "CheckpointId": _STRING},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.Busy"),
        changes=True,
        about="DestroySnapshot. Missing is success; the merge may go on afterwards",
    ),
    Function(
        "Remove-HvrExpiredCheckpoint",
        {},
        {"checkpoint": _CHECKPOINT_OUT},
        changes=True,
        about="DestroySnapshot of each replica's checkpoint whose lease has ended; emits what it removed. A scheduled "
        "task of the host calls it, no session does",
    ),
    Function(
        "Get-HvrReferencePoint",
        _VM,
        {"referencePoint": _REFERENCE_POINT_OUT},
        ("Hvr.VmNotFound",),
        about="Msvm_ReferencePointOfVirtualSystem; foreign ones are listed as well",
    ),
    Function(
        "Remove-HvrReferencePoint",
        {**_SOURCE_FENCE, **_VM, "ReferencePointId": _STRING},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.Busy"),
        changes=True,
        about="DestroyReferencePoint. Missing is success",
    ),
    Function(
        "Get-HvrChangedRange",
        {
            "Path": _STRING,
            "RctId": _STRING,
            "Offset": Parameter(Type.UINT64),
            "Length": Parameter(Type.UINT64),
        },
        {"changedRange": {"Encoding": Type.STRING, "NextOffset": Type.UINT64, "Extents": Type.BYTES}},
        ("Hvr.TrackingLost", "Hvr.FileNotFound"),
        about="GetVirtualDiskChanges. Encoding is 'u64-le-pairs': at most 65536 pairs of offset and length in each "
        "object; the query goes on at the last NextOffset",
    ),
    Function(
        "New-HvrVm",
        {
            **_FENCE,
            "Name": _STRING,
            "Marker": _STRING,
            "Generation": Parameter(Type.INT32),
            "Version": _STRING,
        },
        {"vm": _VM_OUT},
        ("Hvr.Fenced", "Hvr.VersionNotSupported", "Hvr.PathNotAllowed", "Hvr.Exists"),
        changes=True,
        about="New-VM -NoVHD without default devices, in Folder. A machine with Marker in its Notes is returned",
    ),
    Function(
        "Set-HvrVm",
        {**_FENCE, **_VM, "Name": _STRING, **_HARDWARE},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.WrongState", "Hvr.InvalidArgument"),
        changes=True,
        about="Rename-VM, Set-VMProcessor, Set-VMMemory, Set-VMFirmware or Set-VMBios",
    ),
    Function(
        "Set-HvrNic",
        {
            **_FENCE,
            **_VM,
            "Name": _STRING,
            "MacAddress": _STRING,
            "SwitchName": Parameter(Type.STRING, may_be_empty=True),
            "VlanId": Parameter(Type.INT32),
        },
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.SwitchNotFound", "Hvr.WrongState"),
        changes=True,
        about="Add-VMNetworkAdapter when no adapter has that name, static address, Connect-VMNetworkAdapter "
        "(empty SwitchName: disconnect), Set-VMNetworkAdapterVlan",
    ),
    Function(
        "Remove-HvrNic",
        {**_FENCE, **_VM, "Name": _STRING},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.WrongState"),
        changes=True,
        about="Remove-VMNetworkAdapter. Missing is success",
    ),
    Function(
        "Add-HvrDisk",
        {**_FENCE, **_VM, **_SLOT, "Path": _STRING},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.SlotInUse", "Hvr.InUse", "Hvr.ChainBroken", "Hvr.FileNotFound"),
        changes=True,
        about="Add-VMScsiController as needed, Add-VMHardDiskDrive. The same path in the slot is success",
    ),
    Function(
        "Remove-HvrDisk",
        {**_FENCE, **_VM, **_SLOT},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.WrongState"),
        changes=True,
        about="Remove-VMHardDiskDrive; the file stays. Missing is success",
    ),
    Function(
        "Get-HvrLeaf",
        _VM,
        {"leaf": _LEAF_OUT},
        ("Hvr.VmNotFound", "Hvr.ChainBroken"),
        about="Get-VMHardDiskDrive: the file each disk writes into now",
    ),
    Function(
        "New-HvrRestorePoint",
        {**_FENCE, **_VM, "Name": _STRING},
        {"restorePoint": _RESTORE_POINT_OUT},
        (
            "Hvr.VmNotFound",
            "Hvr.Fenced",
            "Hvr.Busy",
            "Hvr.WrongState",
            "Hvr.InUse",
            "Hvr.ChainBroken",
            "Hvr.VolumeFull",
        ),
        changes=True,
        about="Checkpoint-VM on the machine that is off. A restore point of that name is returned as it is",
    ),
    Function(
        "Get-HvrRestorePoint",
        _VM,
        {"restorePoint": _RESTORE_POINT_OUT},
        ("Hvr.VmNotFound",),
        about="Get-VMSnapshot",
    ),
    Function(
        "Restore-HvrRestorePoint",
        {**_FENCE, **_VM, "RestorePointId": _GUID},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.RestorePointNotFound", "Hvr.WrongState", "Hvr.InUse", "Hvr.ChainBroken"),
        changes=True,
        about="Restore-VMSnapshot: the leaf is discarded, a fresh one stands on the restore point",
    ),
    Function(
        "Remove-HvrRestorePoint",
        {**_FENCE, **_VM, "RestorePointId": _GUID},
        {},
        ("Hvr.VmNotFound", "Hvr.Fenced", "Hvr.WrongState", "Hvr.InUse", "Hvr.Busy"),
        changes=True,
        about="Remove-VMSnapshot. Missing is success; the merge may go on afterwards (Get-HvrActivity)",
    ),
    Function(
        "Remove-HvrVm",
        {**_FENCE, **_VM},
        {},
        ("Hvr.Fenced", "Hvr.WrongState", "Hvr.Busy"),
        changes=True,
        about="Remove-VM -Force; disk files stay. Missing is success",
    ),
    Function(
        "Remove-HvrFile",
        {**_FENCE, "Path": _STRING},
        {},
        ("Hvr.Fenced", "Hvr.PathNotAllowed", "Hvr.InUse"),
        changes=True,
        about="Remove-Item of one file inside Folder. Missing is success",
    ),
    Function(
        "Get-HvrVolume",
        {"Path": _STRING},
        {"volume": {"Root": Type.STRING, "Size": Type.UINT64, "Free": Type.UINT64}},
        ("Hvr.FileNotFound",),
        about="GetVolumePathName, GetDiskFreeSpaceEx. Root is where the volume is mounted; Path need not exist yet",
    ),
    Function(
        "Get-HvrActivity",
        _VM,
        {
            "activity": {
                "Idle": Type.BOOL,
                "Operations": Type.STRINGS,
                "Problem": Type.STRING,
                "MergeHeldBack": Type.BOOL,
            }
        },
        ("Hvr.VmNotFound",),
        about="OperationalStatus and Msvm_ConcreteJob: Idle is false while checkpoints are made, applied or merged. "
        "Problem says why merging does not get on (event 19100 without a 19080 after it) and is empty when it does; "
        "MergeHeldBack: Msvm_DiskMergeSettingData is switched off, which another program's export does",
    ),
    Function(
        "Test-HvrChain",
        {"Path": _STRING},
        {"chain": {"Valid": Type.BOOL, "Paths": Type.STRINGS, "Reason": Type.STRING}},
        ("Hvr.FileNotFound",),
        about="Test-VHD and a Get-VHD walk; Paths is leaf first",
    ),
    Function(
        "Get-HvrReplicaRecord",
        {"Folder": _STRING},
        {"record": _RECORD_OUT},
        ("Hvr.RecordInvalid",),
        about="Content of replica.json in Folder; emits nothing when there is none",
    ),
    Function(
        "Set-HvrReplicaRecord",
        {
            "Folder": _STRING,
            "ExpectedEpoch": Parameter(Type.INT64),
            "ExpectedRevision": Parameter(Type.INT64),
            "Record": _STRING,
        },
        {},
        ("Hvr.Fenced", "Hvr.RecordInvalid", "Hvr.PathNotAllowed", "Hvr.VolumeFull"),
        changes=True,
        about="Atomic write when the stored epoch and revision are the expected ones (0: none is stored). The new "
        "epoch is the same or one more, the new revision one more. Writing again what is stored already is success, "
        "and the record is as young as a new one",
    ),
    Function(
        "Find-HvrReplicaRecord",
        {"Folder": _STRING},
        {"record": {"Folder": Type.STRING, **_RECORD_OUT}},
        ("Hvr.DriveNotFound",),
        about="Each replica.json one level below Folder; a folder that does not exist yet has none. AgeSeconds since "
        "it was written last, by the host's clock, never below 0",
    ),
    Function(
        "Remove-HvrReplicaRecord",
        {**_FENCE},
        {},
        ("Hvr.Fenced",),
        changes=True,
        about="Deletes replica.json, and Folder when it is then empty",
    ),
)

SCHEMA_VERSION: Final = 1  # Int32 member of every object; a host that speaks another one is refused
FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType({function.name: function for function in _TABLE})
EXTENTS_ENCODING: Final = "u64-le-pairs"
EXTENTS_PER_OBJECT: Final = 65536  # pairs in one changedRange object
