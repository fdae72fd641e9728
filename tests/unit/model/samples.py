# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records and machines to test with: small, whole, and easy to change with ``dataclasses.replace``."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import (
    Allocation,
    CheckpointType,
    Consistency,
    DiskGeometry,
    Firmware,
    FrozenDisk,
    Hardware,
    MachineConfig,
    Memory,
    Nic,
    PowerState,
    Slot,
    VirtualMachine,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import (
    FORMAT,
    Configured,
    Content,
    Cycle,
    ErrorNote,
    Lease,
    Pending,
    PendingDisk,
    Point,
    ReplicaDisk,
    ReplicaRecord,
    RetiredDisk,
    Source,
    Target,
    TrackingPoint,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.replica_state import ReplicaState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Traffic
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import (
    Verdict,
    Verification,
    VerifyMode,
)

REPLICA, VM, REPLICA_VM, SESSION, MANAGER = (UUID(int=number) for number in (0xA, 0xB, 0xC, 0xD, 0xE))
DISK, OTHER_DISK, GUID = (UUID(int=number) for number in (0x11, 0x12, 0x13))
CYCLES = tuple(UUID(int=0x100 + number) for number in range(4))
POINTS = tuple(UUID(int=0x200 + number) for number in range(4))
SLOT = Slot("SCSI", 0, 0)
SOURCE_CHAIN = ("C:\\VMs\\web\\disk.vhdx",)


def geometry(disk_id: UUID = DISK, size: int = 64 * MiB) -> DiskGeometry:
    return DiskGeometry(disk_id, size, 32 * MiB, 512, 4096, Allocation.DYNAMIC)


def frozen(disk_id: UUID = DISK, *, slot: Slot = SLOT, size: int = 64 * MiB) -> FrozenDisk:
    return FrozenDisk(slot, SOURCE_CHAIN, geometry(disk_id, size), file_size=size // 2)


def replica_disk(disk_id: UUID = DISK, *, slot: Slot = SLOT, content: Content = Content.RESTORE_POINT) -> ReplicaDisk:
    return ReplicaDisk(
        geometry(disk_id), slot, "D:\\R\\web\\disk.vhdx", "D:\\R\\web\\disk_1.avhdx", GUID, content, SOURCE_CHAIN
    )


def point(number: int) -> Point:
    filter_map: dict[UUID, tuple[Extent, ...]] = {DISK: (Extent(0, 4096),)}
    return Point(
        POINTS[number],
        f"p{number}",
        100.0 + number,
        Consistency.APPLICATION,
        (CYCLES[number],),
        (DISK,),
        filter_map,
        Verification(200.0, VerifyMode.FULL, Verdict.GOOD),
    )


def cycle(number: int) -> Cycle:
    return Cycle(
        cycle_id=CYCLES[number],
        session_id=SESSION,
        source_time=100.0 + number,
        consistency=Consistency.APPLICATION,
        traffic=Traffic(disk=64 * MiB, total=MiB, read=MiB),
        seconds=2.0,
        since=99.0 + number if number else None,
        changed={DISK: MiB} if number else {},
    )


def pending() -> Pending:
    disk = PendingDisk(DISK, Scope.CHANGED, "tracked", SOURCE_CHAIN, None, MiB)
    return Pending(
        SESSION, CYCLES[3], Phase.TRANSFER, "OpenDR x", "cp-1", 104.0, Consistency.CRASH, (disk,), None, Traffic(), 1.0
    )


def record(points: int = 2) -> ReplicaRecord:
    """A replica that is ready, with every optional part present."""
    return ReplicaRecord(
        format=FORMAT,
        epoch=5,
        revision=40,
        replica_id=REPLICA,
        job="web",
        rpo_seconds=3600,
        state=ReplicaState.READY,
        source=Source("hv-a", VM, "web", ("web", "old")),
        target=Target("hv-b", "D:\\R\\web_replica", "web_replica", REPLICA_VM),
        lease=Lease("mgr", MANAGER, SESSION, 300.0),
        disks=(replace(replica_disk(), repairs=(Extent(0, 4096),)),),
        tracking=TrackingPoint("rp-1", {DISK: "rct-1"}),
        tree=POINTS[:points],
        restore_points=tuple(point(number) for number in range(points)),
        cycles=tuple(cycle(number) for number in range(points)),
        pending=pending(),
        removing=(POINTS[3],),
        obsolete_reference_points=("rp-0",),
        retired=(RetiredDisk(OTHER_DISK, ("D:\\R\\web\\gone.vhdx",), (POINTS[0],)),),
        last_error=ErrorNote("transport_failed", "", "connection lost", "try again", 99.0),
        configured=Configured("web_replica", hardware(nic())),
    )


def nic(name: str = "LAN", *, mac: str = "00155D000001", static: bool = True, switch: str = "vs", vlan: int = 0) -> Nic:
    return Nic(f"id-{name}", name, mac, static, switch, vlan)


def hardware(*nics: Nic) -> Hardware:
    memory = Memory(GiB, False, GiB, GiB)
    return Hardware(2, memory, Firmware(True, "MicrosoftWindows", ("SCSI 0:0",)), nics)


def config(*nics: Nic, name: str = "web") -> MachineConfig:
    machine = VirtualMachine(VM, name, PowerState.OFF, 2, "9.0", CheckpointType.PRODUCTION, "", "C:\\VMs\\web")
    return MachineConfig(machine, hardware(*nics), ())
