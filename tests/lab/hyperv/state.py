# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modelled host remembers. Plain values: ``store.py`` keeps them on disk as JSON."""

from __future__ import annotations

import ntpath
from dataclasses import dataclass, field
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, TiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches

VHDX: Final = "Vhdx"
RECOVERY: Final = "Recovery"
# Configuration versions that Windows Server 2019 can run (Get-VMHostSupportedVersion).
VERSIONS: Final = ("5.0", "6.2", "7.0", "7.1", "8.0", "8.1", "8.2", "8.3", "9.0")


@dataclass
class Drive:
    """An attached disk: Msvm_StorageAllocationSettingData. ``path`` is the leaf, as a Windows path."""

    controller: str
    number: int
    location: int
    path: str
    kind: str = VHDX
    disk_id: str = ""  # VirtualDiskId, empty when it is no VHDX

    @property
    def slot(self) -> str:
        return f"{self.controller} {self.number}:{self.location}"


@dataclass
class Nic:
    """A synthetic adapter; its name need not be unique."""

    nic_id: str
    name: str
    mac_address: str
    mac_is_static: bool = False
    switch_name: str = ""
    vlan_id: int = 0


@dataclass
class Settings:
    """The part of a machine that a checkpoint keeps and brings back."""

    processor_count: int = 1
    memory_startup: int = GiB
    memory_dynamic: bool = False
    memory_minimum: int = GiB // 2
    memory_maximum: int = TiB
    secure_boot: bool = True
    secure_boot_template: str = "MicrosoftWindows"
    boot_order: list[str] = field(default_factory=list)
    notes: str = ""
    scsi_controllers: int = 0
    drives: list[Drive] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)

    def vhdx_drives(self) -> list[Drive]:
        return [drive for drive in self.drives if drive.kind == VHDX]


@dataclass
class Checkpoint:
    """A node of the checkpoint tree. The drives of ``settings`` name the frozen files."""

    checkpoint_id: str  # GUID
    name: str
    created_at: float
    kind: str  # SnapshotType: Standard, Recovery
    consistency: str  # Application, Crash
    parent_id: str  # empty: a root
    settings: Settings
    ignored: list[str] = field(default_factory=list)
    rct_ids: dict[str, str] = field(default_factory=dict)  # disk id to change-tracking id


@dataclass
class ReferencePoint:
    """Metadata of a converted recovery checkpoint; the pairs stand in the order in which the host tells them."""

    reference_point_id: str
    checkpoint_id: str
    consistency: str
    disk_ids: list[str]
    rct_ids: list[str]


@dataclass
class Merge:
    """A merge that has begun: done again from the start after a crash."""

    child: str
    parent: str


@dataclass
class Machine:
    """A virtual machine. ``files`` maps each image that belongs to it to its parent (empty: a base)."""

    vm_id: str
    name: str
    generation: int
    version: str
    folder: str
    state: str = "Off"
    checkpoint_type: str = "Production"
    settings: Settings = field(default_factory=Settings)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    current_parent: str = ""
    reference_points: list[ReferencePoint] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    merge: Merge | None = None
    merge_after: float = 0.0  # seconds since 1970
    merge_problem: str = ""  # why the last try failed
    merge_held_back: bool = False  # another program's export keeps the files as they are
    trash: list[str] = field(default_factory=list)  # files to delete: written down before they are made or given up
    thawing: str = ""  # checkpoint whose shadows are being brought back
    leaf_guids: dict[str, str] = field(default_factory=dict)  # leaf path to DataWriteGuid, while the machine is off
    removed: bool = False  # Remove-VM was called, merges go on

    @property
    def version_number(self) -> tuple[int, int]:
        major, _unused, minor = self.version.partition(".")
        return int(major), int(minor or 0)

    def checkpoint(self, checkpoint_id: str) -> Checkpoint | None:
        return next((c for c in self.checkpoints if c.checkpoint_id == checkpoint_id), None)

    def recovery_checkpoints(self) -> list[Checkpoint]:
        return [c for c in self.checkpoints if c.kind == RECOVERY]

    def chain(self, path: str) -> list[str]:
        """Return the chain of one of the machine's files, leaf first."""
        chain = [path]
        while self.files.get(chain[-1]):
            chain.append(self.files[chain[-1]])
        return chain

    def owns(self, path: str) -> bool:
        return any(same_path(path, each) for each in self.files)


@dataclass
class Tracker:
    """Change tracking of one disk: one list of extents per epoch, kept in a file named by the epoch's id."""

    epochs: list[str] = field(default_factory=list)
    lost_code: int = 0  # HRESULT; 0: tracking is whole


@dataclass
class VirtualSwitch:
    switch_id: str
    name: str
    switch_type: str = "External"


@dataclass
class Volume:
    """A drive letter. ``mounted``: a file system of that size of its own, so that movers feel the limit as well."""

    size: int = TiB
    filled: int = 0  # bytes that "somebody else" uses
    mounted: bool = False


@dataclass
class State:
    """All of it."""

    name: str = "hv"
    switches: Switches = field(default_factory=Switches)
    machines: dict[str, Machine] = field(default_factory=dict)
    trackers: dict[str, Tracker] = field(default_factory=dict)  # "<vm id>/<disk id>"
    networks: list[VirtualSwitch] = field(default_factory=list)
    volumes: dict[str, Volume] = field(default_factory=lambda: {"C": Volume(), "D": Volume()})
    memory: int = 64 * GiB
    versions: list[str] = field(default_factory=lambda: list(VERSIONS))
    default_version: str = VERSIONS[-1]
    replica_roots: list[str] = field(default_factory=lambda: ["C:\\", "D:\\"])
    clock_offset: float = 0.0  # seconds by which the host's clock is wrong
    vss_failures: int = 0  # application-consistent checkpoints that will fail; -1: all


def same_path(first: str, second: str) -> bool:
    """Compare two Windows paths as NTFS does."""
    return ntpath.normcase(ntpath.normpath(first)) == ntpath.normcase(ntpath.normpath(second))


def is_inside(path: str, folder: str) -> bool:
    """Tell whether a Windows path lies below a folder."""
    root = ntpath.normcase(ntpath.normpath(folder)).rstrip("\\") + "\\"
    return ntpath.normcase(ntpath.normpath(path)).startswith(root)
