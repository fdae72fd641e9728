# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What the pure layers ask of the outside world. Adapters fulfil these; tests fulfil them with real or lossy ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol
from uuid import UUID

from .extents import Extent
from .jobs import JobSpec
from .machines import (
    Activity,
    Checkpoint,
    Consistency,
    DiskGeometry,
    Fence,
    FrozenDisk,
    Hardware,
    HostInfo,
    HostPath,
    Leaf,
    MachineConfig,
    Nic,
    ReferencePoint,
    RestorePoint,
    Slot,
    SourceFence,
    StoredRecord,
    Switch,
    VirtualMachine,
    VolumeSpace,
)
from .progress import Event, MachineStatus
from .reports import MachineReport, ReplicaEntry, SessionEntry, SessionReport
from .transfers import LeafState, MoverInfo, Side, SourceOrder, TargetOrder, Ticket, TransferStatus


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> float:
        """Seconds since 1970, may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises Cancelled when the work is to stop."""


class ByteFile(Protocol):
    """An open file: random access, no position. Offsets and lengths are bytes."""

    def size(self) -> int:
        """Return the length of the file."""

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes. Raises FormatError when the file ends before."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer. Raises FormatError when the file ends before."""

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``, growing the file. Raises StateError, reason volume_full, when there is no room."""

    def resize(self, size: int) -> None:
        """Cut the file, or extend it with zeros (a hole where the file system can)."""

    def flush(self) -> None:
        """Return when everything written is durable."""

    def close(self) -> None:
        """Release the file and its locks; calling it again does nothing."""


class DiskReader(Protocol):
    """A virtual disk that can be read."""

    @property
    def virtual_size(self) -> int: ...

    def allocated(self) -> list[Extent]:
        """Return a normal list of what may differ from zero."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer with what the guest would see."""

    def close(self) -> None: ...


class DiskWriter(DiskReader, Protocol):
    """A virtual disk whose leaf can be written. Nothing is durable before ``flush`` returns."""

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write whole logical sectors."""

    def zero(self, offset: int, length: int) -> None:
        """Make whole logical sectors read as zeros, without storing zeros where the format allows it."""

    def flush(self) -> None: ...


class Hypervisor(Protocol):
    """One Hyper-V host, through the functions of ``model/contract.py``.

    Every method may raise TransportError (host not reached, connection lost), HypervisorError (refused, with the
    contract's error id), and StateError with reason ``fenced`` where it takes a fence. Every call may be made again
    when its answer was lost (docs/design/host_contract.md, "Repeating"); an implementation does not do so by itself.
    """

    @property
    def name(self) -> str:
        """The inventory name of the host."""

    def host(self) -> HostInfo: ...

    def switches(self) -> list[Switch]: ...

    def find_machines(self, name: str) -> list[VirtualMachine]:
        """Return every machine of that name; names are not unique."""

    def machine(self, vm_id: UUID) -> VirtualMachine: ...

    def configuration(self, vm_id: UUID) -> MachineConfig: ...

    def create_checkpoint(
        self, fence: SourceFence, vm_id: UUID, *, name: str, consistency: Consistency
    ) -> Checkpoint: ...

    def checkpoints(self, vm_id: UUID) -> list[Checkpoint]: ...

    def checkpoint_disks(self, vm_id: UUID, checkpoint_id: str) -> list[FrozenDisk]: ...

    def hold_source(self, fence: SourceFence, vm_id: UUID, *, seconds: int) -> None:
        """Let the host keep the replica's checkpoints of a machine so long from now on, also those made later."""

    def convert_checkpoint(self, fence: SourceFence, vm_id: UUID, *, checkpoint_id: str) -> ReferencePoint: ...

    def remove_checkpoint(self, fence: SourceFence, vm_id: UUID, *, checkpoint_id: str) -> None: ...

    def reference_points(self, vm_id: UUID) -> list[ReferencePoint]: ...

    def remove_reference_point(self, fence: SourceFence, vm_id: UUID, *, reference_point_id: str) -> None: ...

    def changed_extents(self, path: str, *, rct_id: str, size: int) -> list[Extent]:
        """List what the guest may have written since a change-tracking id, as a normal list.

        Raises TrackingLost when the host no longer knows the id: compare or read in full instead.
        """

    def create_machine(
        self, fence: Fence, *, name: str, marker: str, generation: int, version: str
    ) -> VirtualMachine: ...

    def update_machine(self, fence: Fence, vm_id: UUID, *, name: str, hardware: Hardware) -> None:
        """Set name, processors, memory and firmware; adapters are set one by one."""

    def set_nic(self, fence: Fence, vm_id: UUID, *, nic: Nic) -> None: ...

    def remove_nic(self, fence: Fence, vm_id: UUID, *, name: str) -> None: ...

    def attach_disk(self, fence: Fence, vm_id: UUID, *, slot: Slot, path: str) -> None: ...

    def detach_disk(self, fence: Fence, vm_id: UUID, *, slot: Slot) -> None: ...

    def leaves(self, vm_id: UUID) -> list[Leaf]: ...

    def create_restore_point(self, fence: Fence, vm_id: UUID, *, name: str) -> RestorePoint: ...

    def restore_points(self, vm_id: UUID) -> list[RestorePoint]: ...

    def apply_restore_point(self, fence: Fence, vm_id: UUID, *, restore_point_id: UUID) -> None: ...

    def remove_restore_point(self, fence: Fence, vm_id: UUID, *, restore_point_id: UUID) -> None: ...

    def remove_file(self, fence: Fence, path: str) -> None: ...

    def volume(self, path: str) -> VolumeSpace: ...

    def activity(self, vm_id: UUID) -> Activity: ...

    def chain(self, path: str) -> tuple[str, ...]:
        """Return the chain of an image, leaf first. Raises HypervisorError ``Hvr.ChainBroken``."""

    def write_record(self, folder: str, text: str, *, expected_epoch: int, expected_revision: int) -> None:
        """Replace the record if epoch and revision are still the expected ones (0: none yet).

        The text that is stored already may be written again whatever is expected; that makes the record young.
        Raises StateError, reason ``fenced``.
        """

    def find_records(self, folder: str) -> list[StoredRecord]:
        """Return each record one level below a folder."""

    def remove_record(self, fence: Fence) -> None: ...

    def close(self) -> None: ...


class Mover(Protocol):
    """The control side of one data mover.

    Every method may raise TransportError, PeerError, and what the mover itself refuses (RequestError for a path
    outside its roots, StateError ``fenced``, ``leaf_locked``, ``leaf_touched``, ``volume_full``, FormatError).
    """

    @property
    def name(self) -> str:
        """The name in its certificate."""

    @property
    def data_address(self) -> tuple[str, int]:
        """Where other movers reach it."""

    def describe(self) -> MoverInfo: ...

    def create_disk(self, path: HostPath, geometry: DiskGeometry, *, replica_id: UUID, epoch: int) -> None:
        """Create an empty base image. The same image already there is success; another file is StateError."""

    def inspect(self, chain: Sequence[HostPath]) -> LeafState:
        """Check the structure of an idle chain (leaf first) and return the identity of its leaf."""

    def open_target(self, order: TargetOrder) -> TransferStatus:
        """Open, lock and check the leaf; the answer says how far an earlier transfer of the cycle came."""

    def start_source(self, order: SourceOrder) -> TransferStatus:
        """Start sending; the transfer goes on in the background."""

    def status(self, ticket: Ticket, *, side: Side) -> TransferStatus: ...

    def close_transfer(self, ticket: Ticket) -> None:
        """Stop what runs here of the transfer, on either side, and release its files; unknown is success."""

    def close(self) -> None: ...


class Journal(Protocol):
    """Where a job session tells how it stands; safe to call from several threads."""

    def publish(self, machine: MachineStatus) -> None:
        """Replace what is known of a machine of the session."""

    def say(self, event: Event) -> None:
        """Add an event for whoever follows the session."""


class Executor(Protocol):
    """Runs pieces of work side by side."""

    def run(self, tasks: Sequence[Callable[[], None]], *, limit: int) -> None:
        """Run all tasks, at most ``limit`` at once, and return when each has ended. A task raises nothing."""


class Claims(Protocol):
    """What the machines of a session still need of the volumes they share; safe to call from several threads."""

    def claim(self, volume: str, owner: UUID, *, size: int, room: int) -> int:
        """Note the bytes that an owner needs, in place of what it needed before; return what the others need.

        When both together are more than ``room`` nothing is noted.
        """

    def release(self, owner: UUID, *, left: float = 0.0) -> None:
        """Lower what an owner needs to the part that is ``left`` (0 to 1) of what it claimed."""


class Locks(Protocol):
    """Exclusion between the sessions of one manager; a lock ends with the process that holds it."""

    def hold(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock. Raises StateError, reason ``locked``, when another session of this manager has it."""


class Catalog(Protocol):
    """Jobs, history and an index of the replica records. Losing it loses history only: the record decides.

    Every method may raise CatalogError.
    """

    def save_job(self, job: JobSpec, *, now: float) -> None:
        """Create or replace the job of that name."""

    def find_job(self, name: str) -> JobSpec | None: ...

    def jobs(self) -> list[JobSpec]: ...

    def remove_job(self, name: str) -> None:
        """Forget a job; its history stays. Missing is success."""

    def open_session(self, session_id: UUID, *, job: str, manager: str, now: float) -> None: ...

    def save_machine(self, session_id: UUID, report: MachineReport) -> None:
        """Keep the result of a machine task with its disk transfers."""

    def close_session(self, report: SessionReport) -> None: ...

    def sessions(self, *, job: str | None = None, limit: int = 20) -> list[SessionEntry]:
        """Return sessions, newest first."""

    def save_replica(self, entry: ReplicaEntry) -> None:
        """Follow a committed record; what an older epoch says of a replica is ignored."""

    def replicas(self, *, job: str | None = None) -> list[ReplicaEntry]: ...

    def close(self) -> None: ...
