# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The replica record: ``replica.json`` beside the replica's disks, the authority on a replica.

The format is documented field by field in docs/design/replica_record.md. Records are values: a session makes a new one
with ``dataclasses.replace`` and writes it with compare and set on epoch and revision.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final
from uuid import UUID

from ..errors import FormatError
from ..extents import Extent
from ..machines import Consistency, DiskGeometry, Fence, Hardware, Slot, SourceFence
from ..progress import Phase
from ..reports import PointReport, Traffic
from ..transfers import Scope
from ..verification import Verification
from .codec import decode, encode, load
from .replica_state import ReplicaState

FORMAT: Final = 1
PIN_OF_USER: Final = "user"
DIGEST: Final = "digest"  # SHA-256 of the other members: shows what was edited by hand, keeps nobody from it
SIZE_MAX: Final = 8 * 1024 * 1024  # characters of the JSON text


@dataclass(frozen=True, slots=True)
class Source:
    """The machine that is replicated. ``vm_id`` is its identity, ``known_as`` the names that jobs called it by."""

    host: str
    vm_id: UUID
    name: str
    known_as: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """The replica; ``vm_id`` is None until its machine is made."""

    host: str
    folder: str
    name: str
    vm_id: UUID | None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on the replica. ``manager_id`` identifies the state folder of the manager.

    It lasts so many seconds since the record was written last, by the clock of the target host.
    """

    manager: str
    manager_id: UUID
    session_id: UUID
    seconds: float


@dataclass(frozen=True, slots=True)
class Configured:
    """How the last session left the replica's configuration; ids that its host gives to adapters are left out."""

    name: str
    hardware: Hardware


@dataclass(frozen=True, slots=True)
class TrackingPoint:
    """The reference point on the source that the newest restore point equals."""

    reference_point_id: str
    rct_ids: dict[UUID, str]  # by disk id


class Content(Enum):
    """What the leaf of a disk holds, as far as sessions know."""

    EMPTY = "empty"  # the image is new, no cycle has written to it
    RESTORE_POINT = "restore_point"  # the newest restore point
    CHANGES = "changes"  # that, and some of what changed on the source since then
    UNKNOWN = "unknown"  # a first copy or a compare began


@dataclass(frozen=True, slots=True)
class ReplicaDisk:
    """A disk of the replica.

    ``leaf`` and ``data_write_guid`` are its fingerprint: another path or GUID on the host means that somebody touched
    it; a GUID of None means that nobody can vouch for it. ``source_chain`` is the frozen chain of the last cycle that
    ended in a restore point, leaf first. ``repairs`` is what a verification found bad in the newest restore point, a
    normal list: the next cycle sends it, whatever else it sends.
    """

    geometry: DiskGeometry
    slot: Slot
    base: str
    leaf: str
    data_write_guid: UUID | None
    content: Content
    source_chain: tuple[str, ...]
    repairs: tuple[Extent, ...] = ()

    @property
    def disk_id(self) -> UUID:
        return self.geometry.disk_id


@dataclass(frozen=True, slots=True)
class RetiredDisk:
    """A disk that the source has no more; its files stay while a restore point uses them."""

    disk_id: UUID
    files: tuple[str, ...]  # leaf first
    restore_points: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Cycle:
    """One transfer into the leaves; one or more cycles end in a restore point."""

    cycle_id: UUID
    session_id: UUID
    source_time: float  # when the source was frozen, seconds since 1970 by the source host's clock
    consistency: Consistency
    traffic: Traffic
    seconds: float  # of transfer
    since: float | None  # when the source was frozen for the cycle before; None: there was none
    changed: dict[UUID, int]  # by disk id: bytes that differed from the cycle before, where that was found out


@dataclass(frozen=True, slots=True)
class Point:
    """A restore point.

    ``filter_map`` lists, by disk, what was left out on purpose (nothing yet). ``pins`` says who needs the point: while
    there is one it is never merged.
    """

    point_id: UUID
    name: str
    source_time: float
    consistency: Consistency
    cycle_ids: tuple[UUID, ...]
    disk_ids: tuple[UUID, ...]
    filter_map: dict[UUID, tuple[Extent, ...]]
    verified: Verification | None = None
    pins: tuple[str, ...] = ()  # PIN_OF_USER, or who else needs it

    @property
    def report(self) -> PointReport:
        pinned = PIN_OF_USER in self.pins
        return PointReport(
            self.point_id, self.name, self.source_time, self.consistency.value, pinned=pinned, verified=self.verified
        )


@dataclass(frozen=True, slots=True)
class PendingDisk:
    """What a cycle does to one disk.

    ``data_write_guid`` is that of the leaf once its transfer has ended; ``changed`` has the bytes that differ from the
    cycle before, None until that is found out; ``repairs`` are those of the disk that its transfer covers.
    """

    disk_id: UUID
    scope: Scope
    reason: str
    source_chain: tuple[str, ...]
    data_write_guid: UUID | None
    changed: int | None
    repairs: tuple[Extent, ...] = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A cycle that has no restore point yet. ``step`` is what was about to be done."""

    session_id: UUID
    cycle_id: UUID
    step: Phase
    checkpoint_name: str
    checkpoint_id: str | None
    source_time: float | None
    consistency: Consistency | None
    disks: tuple[PendingDisk, ...]
    tracking: TrackingPoint | None  # after the conversion
    traffic: Traffic
    seconds: float  # of transfer

    @property
    def is_frozen(self) -> bool:
        """Tell whether the source may have the checkpoint of the cycle."""
        return self.step in (Phase.CHECKPOINT, Phase.TRANSFER, Phase.CONVERT)

    @property
    def is_begun(self) -> bool:
        """Tell whether leaves may hold something of the cycle."""
        return self.step is not Phase.CHECKPOINT

    @property
    def is_sent(self) -> bool:
        """Tell whether the leaves hold all of the cycle: no data are needed to finish it."""
        return self.step in (Phase.CONVERT, Phase.RESTORE_POINT)


@dataclass(frozen=True, slots=True)
class ErrorNote:
    """Why the last session failed."""

    code: str
    reason: str
    message: str
    hint: str
    at: float


@dataclass(frozen=True, slots=True)
class ReplicaRecord:
    """Everything that is known of a replica; see the module's documentation."""

    format: int
    epoch: int
    revision: int  # one more with each change, whatever the epoch
    replica_id: UUID
    job: str
    rpo_seconds: int | None  # of that job
    state: ReplicaState
    source: Source
    target: Target
    lease: Lease | None
    disks: tuple[ReplicaDisk, ...]
    tracking: TrackingPoint | None
    tree: tuple[UUID, ...]  # ids of all restore points on the host when the fingerprints were taken, sorted
    restore_points: tuple[Point, ...]  # oldest first
    cycles: tuple[Cycle, ...]
    pending: Pending | None
    removing: tuple[UUID, ...]  # restore points on their way out
    obsolete_reference_points: tuple[str, ...]  # to be destroyed on the source
    retired: tuple[RetiredDisk, ...]
    last_error: ErrorNote | None
    configured: Configured | None  # None while a session is about to change it

    @classmethod
    def parse(cls, text: str) -> ReplicaRecord:
        """Decode a record. Raises FormatError for anything that is not a whole, consistent record of this format.

        Whether it is as a session wrote it, ``is_edited`` tells.
        """
        value = _members(text)
        found = value.get("format") if isinstance(value, dict) else None
        if found != FORMAT:
            raise FormatError(f"replica record has format {str(found)[:64]}, this version reads {FORMAT}")
        record = decode(cls, value, where="record")
        record.check()
        return record

    def as_text(self) -> str:
        """Return the JSON text; equal records give equal texts. Raises FormatError when it would be too large."""
        members = {item.name: encode(getattr(self, item.name)) for item in fields(self)}
        text = _canonical({**members, DIGEST: _digest(members)})
        if len(text) > SIZE_MAX:
            raise FormatError(f"replica record would be {len(text)} characters, the limit is {SIZE_MAX}")
        return text

    def check(self) -> None:
        """Raise FormatError when the parts contradict each other."""
        _distinct([disk.disk_id for disk in self.disks], "disks")
        _distinct([disk.slot for disk in self.disks], "slots of disks")
        _distinct([point.point_id for point in self.restore_points], "restore points")
        cycle_ids = [cycle.cycle_id for cycle in self.cycles]
        _distinct(cycle_ids, "cycles")
        if not {item for point in self.restore_points for item in point.cycle_ids} <= set(cycle_ids):
            raise FormatError("replica record: a restore point names a cycle that is not listed")
        if self.epoch < 1 or self.revision < 1:
            raise FormatError("replica record: epoch or revision is below 1")
        if self.state is ReplicaState.NEW and (self.tracking is not None or self.restore_points):
            raise FormatError("replica record: state new does not go with a tracking point or restore points")

    @property
    def fence(self) -> Fence:
        """The right of the session that took this record's epoch."""
        return Fence(self.target.folder, self.epoch)

    @property
    def source_fence(self) -> SourceFence:
        """The same, at the source host."""
        return SourceFence(self.replica_id, self.epoch)

    @property
    def newest(self) -> Point | None:
        return self.restore_points[-1] if self.restore_points else None

    @property
    def last_session_id(self) -> UUID | None:
        """The session that works on the replica, or else the last one that sent anything."""
        if self.lease is not None:
            return self.lease.session_id
        if self.pending is not None:
            return self.pending.session_id
        return self.cycles[-1].session_id if self.cycles else None

    def disk(self, disk_id: UUID) -> ReplicaDisk | None:
        return next((disk for disk in self.disks if disk.disk_id == disk_id), None)

    @property
    def files(self) -> tuple[str, ...]:
        """Return the image files that are known to belong to the replica, besides what checkpoints add between."""
        active = [path for disk in self.disks for path in (disk.base, disk.leaf)]
        return tuple(dict.fromkeys([*active, *(path for disk in self.retired for path in disk.files)]))


def is_edited(text: str) -> bool:
    """Tell whether somebody changed a record by hand: its digest is not that of its members. Raises FormatError."""
    value = load(text, size_max=SIZE_MAX)
    return not isinstance(value, dict) or value.get(DIGEST) != _digest(_members(text))


def _members(text: str) -> object:
    value = load(text, size_max=SIZE_MAX)
    return {name: value[name] for name in value if name != DIGEST} if isinstance(value, dict) else value


def _digest(members: object) -> str:
    return hashlib.sha256(_canonical(members).encode()).hexdigest()


def _canonical(members: object) -> str:
    return json.dumps(members, indent=1, sort_keys=True)


def _distinct(values: list[object] | list[UUID] | list[Slot], what: str) -> None:
    if len(set(values)) != len(values):
        raise FormatError(f"replica record: {what} are not distinct")
