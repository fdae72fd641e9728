# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Values that a Hyper-V host speaks of: machines, disks, checkpoints, reference points, restore points.

Sources: docs/design/host_contract.md, and the cmdlets and WMI classes named at each contract function in
``model/contract.py``.
"""

from __future__ import annotations

import ntpath
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple
from uuid import UUID


class HostPath(NamedTuple):
    """A file on a host, as the host itself names it: a Windows path, also when this program runs elsewhere."""

    host: str
    path: str

    @property
    def folder(self) -> HostPath:
        return HostPath(self.host, ntpath.dirname(self.path))

    @property
    def name(self) -> str:
        return ntpath.basename(self.path)

    def join(self, *parts: str) -> HostPath:
        return HostPath(self.host, ntpath.join(self.path, *parts))

    def is_under(self, folder: str) -> bool:
        """Tell whether the normalized path lies in ``folder``; case does not count, as on NTFS."""
        path, root = (ntpath.normcase(ntpath.normpath(p)) for p in (self.path, folder))
        return path.startswith(root.rstrip("\\") + "\\")

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"


class PowerState(Enum):
    """``State`` of a virtual machine; the words are those of Get-VM."""

    OFF = "Off"
    RUNNING = "Running"
    SAVED = "Saved"
    PAUSED = "Paused"
    OTHER = "Other"


class CheckpointType(Enum):
    """``CheckpointType`` of a virtual machine; the words are those of Get-VM."""

    DISABLED = "Disabled"
    PRODUCTION = "Production"
    PRODUCTION_ONLY = "ProductionOnly"
    STANDARD = "Standard"


class Consistency(Enum):
    """What a checkpoint promises: the guest took part, or it looks like a power cut."""

    APPLICATION = "Application"
    CRASH = "Crash"


class DiskKind(Enum):
    """How a disk is backed. Only ``VHDX`` can be replicated."""

    VHDX = "Vhdx"
    VHD = "Vhd"
    VHD_SET = "VhdSet"
    SHARED = "Shared"
    PASS_THROUGH = "PassThrough"


class Allocation(Enum):
    """Type of the base image of a chain."""

    FIXED = "Fixed"
    DYNAMIC = "Dynamic"


class Slot(NamedTuple):
    """Where a disk is attached, the same on source and replica."""

    controller: str  # "IDE" or "SCSI"
    number: int
    location: int

    def __str__(self) -> str:
        return f"{self.controller} {self.number}:{self.location}"


@dataclass(frozen=True, slots=True)
class DiskGeometry:
    """What a replica disk copies from its source."""

    disk_id: UUID  # guest-visible identity, equal along a chain
    virtual_size: int  # bytes
    block_size: int  # bytes, of the VHDX
    logical_sector_size: int  # bytes
    physical_sector_size: int  # bytes
    allocation: Allocation


@dataclass(frozen=True, slots=True)
class AttachedDisk:
    """A disk of a machine as configured now; ``path`` is the leaf, ``geometry`` None when it is no VHDX."""

    slot: Slot
    path: str
    kind: DiskKind
    geometry: DiskGeometry | None
    file_size: int  # bytes, of all files of its chain


@dataclass(frozen=True, slots=True)
class FrozenDisk:
    """A disk of a checkpoint: nothing writes to ``chain`` while the checkpoint exists.

    ``chain`` is leaf first, base last, in the host's paths.
    """

    slot: Slot
    chain: tuple[str, ...]
    geometry: DiskGeometry
    file_size: int  # bytes, of the chain

    @property
    def disk_id(self) -> UUID:
        return self.geometry.disk_id


@dataclass(frozen=True, slots=True)
class Nic:
    """A network adapter; ``name`` and ``nic_id`` identify it on its own host only."""

    nic_id: str
    name: str
    mac_address: str  # twelve hexadecimal digits
    mac_is_static: bool
    switch_name: str  # empty: not connected
    vlan_id: int  # 0: untagged


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes; minimum and maximum count only when dynamic."""

    startup: int
    dynamic: bool
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Firmware:
    """Generation 2: secure boot, its template, boot order. Generation 1: boot order only."""

    secure_boot: bool
    secure_boot_template: str
    boot_order: tuple[str, ...]  # "SCSI 0:0", "Nic:<name>", generation 1: "IDE", "CD", ...


@dataclass(frozen=True, slots=True)
class Hardware:
    """The part of a machine's configuration that a replica takes over, disks apart."""

    processor_count: int
    memory: Memory
    firmware: Firmware
    nics: tuple[Nic, ...]


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """One machine, identified by ``vm_id``; names are not unique."""

    vm_id: UUID
    name: str
    state: PowerState
    generation: int
    version: str  # configuration version, "9.0"
    checkpoint_type: CheckpointType
    notes: str
    folder: str

    @property
    def version_number(self) -> tuple[int, int]:
        major, _dot, minor = self.version.partition(".")
        return int(major), int(minor or 0)


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """A machine with its hardware and disks."""

    machine: VirtualMachine
    hardware: Hardware
    disks: tuple[AttachedDisk, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A recovery checkpoint on a source machine; ``name`` carries who made it (``model/naming.py``)."""

    checkpoint_id: str
    name: str
    created_at: float  # seconds since 1970, the host's clock
    consistency: Consistency
    lease_seconds: int  # for which the host keeps it from now on; 0: it has ended, or was made by another product
    ignored_disks: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """A tracking point; ``rct_ids`` maps disk ids to change-tracking ids."""

    reference_point_id: str
    consistency: Consistency
    rct_ids: dict[UUID, str]


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """A checkpoint of the powered-off replica."""

    restore_point_id: UUID
    parent_id: UUID | None
    name: str
    created_at: float  # seconds since 1970, the target's clock


@dataclass(frozen=True, slots=True)
class Activity:
    """What a host does with a machine's checkpoints, and what keeps merges from getting on."""

    is_idle: bool  # none is being made, applied or merged; merging that is held back counts as nothing
    is_merging: bool = False  # that, and nothing else
    problem: str = ""  # why merging does not get on, in the host's words
    merge_held_back: bool = False  # another program switched merging off for the machine


@dataclass(frozen=True, slots=True)
class Leaf:
    """The file a replica disk writes into now."""

    slot: Slot
    disk_id: UUID
    path: str


@dataclass(frozen=True, slots=True)
class Switch:
    """A virtual switch; names may repeat across hosts."""

    switch_id: UUID
    name: str
    switch_type: str


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What a host says of itself."""

    name: str
    module_version: str
    os_build: str
    supported_versions: tuple[str, ...]  # configuration versions it can run
    default_version: str


@dataclass(frozen=True, slots=True)
class VolumeSpace:
    """Bytes of the volume a path lies on; ``root`` is where it is mounted: a drive, or a folder of another volume."""

    root: str
    size: int
    free: int


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to change a replica: its folder on the target host, and the epoch of the session."""

    folder: str
    epoch: int


@dataclass(frozen=True, slots=True)
class SourceFence:
    """The right to work on the source of a replica: whose session it is, and its epoch."""

    replica_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A replica record as its host has it; ``text`` may be none that can be understood (epoch and revision 0).

    ``age_seconds`` have passed since it was written, by the host's clock; never below 0.
    """

    folder: str
    epoch: int
    revision: int
    age_seconds: int
    text: str


VERSION_TRACKED: Final = (8, 0)  # configuration version from which change tracking works
VERSION_OLDEST: Final = (6, 2)  # below it there are no production checkpoints
