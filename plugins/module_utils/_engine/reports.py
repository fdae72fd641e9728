# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a job session did: the result that users see, status files carry and the catalog keeps.

The shape of ``as_dict`` is documented in docs/design/session.md. Times are seconds since 1970, sizes bytes of virtual
disks except ``sent``, which counts bytes on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from .extents import Extent
from .verification import Verdict, Verification, VerifyMode


class Outcome(Enum):
    """How a session or a machine task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in (Outcome.DONE, Outcome.FAILED, Outcome.CANCELLED)


class Kind(Enum):
    """What a session does."""

    REPLICATE = "replicate"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of one disk or of several together."""

    disk: int = 0  # virtual size
    total: int = 0  # what the order covered
    read: int = 0
    sent: int = 0  # on the wire
    zero: int = 0
    same: int = 0  # compared and found at the target already

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.disk + other.disk,
            self.total + other.total,
            self.read + other.read,
            self.sent + other.sent,
            self.zero + other.zero,
            self.same + other.same,
        )

    @property
    def ratio(self) -> float | None:
        """Read for each byte sent; None when nothing was sent."""
        return round(self.read / self.sent, 2) if self.sent else None

    def rate(self, seconds: float) -> int:
        """Read bytes per second of transfer."""
        return int(self.read / seconds) if seconds > 0 else 0

    def as_dict(self) -> dict[str, object]:
        return {
            "bytes_disk": self.disk,
            "bytes_total": self.total,
            "bytes_read": self.read,
            "bytes_sent": self.sent,
            "bytes_zero": self.zero,
            "bytes_same": self.same,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True)
class DiskReport:
    """One disk transfer. ``scope`` and ``reason`` are words of docs/design/session.md."""

    slot: str
    disk_id: UUID
    scope: str
    reason: str
    traffic: Traffic
    seconds: float
    bottleneck: str
    bad_bytes: int = 0  # of a verification
    bad: tuple[Extent, ...] = ()  # a short list: neighbours may be joined

    def as_dict(self) -> dict[str, object]:
        return {
            "slot": self.slot,
            "disk_id": str(self.disk_id),
            "scope": self.scope,
            "reason": self.reason,
            **self.traffic.as_dict(),
            "bytes_bad": self.bad_bytes,
            "bad_extents": [{"offset": extent.offset, "length": extent.length} for extent in self.bad],
            "duration_seconds": round(self.seconds, 3),
            "rate": self.traffic.rate(self.seconds),
            "bottleneck": self.bottleneck,
        }


@dataclass(frozen=True, slots=True)
class PointReport:
    """A restore point that the replica has now; ``source_time`` is the moment it shows."""

    point_id: UUID
    name: str
    source_time: float
    consistency: str
    pinned: bool = False  # by a user
    verified: Verification | None = None

    def as_dict(self) -> dict[str, object]:
        return {
            "id": str(self.point_id),
            "name": self.name,
            "source_time": self.source_time,
            "consistency": self.consistency,
            "pinned": self.pinned,
            "verified": None if self.verified is None else self.verified.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a verification found out about the newest restore point."""

    point_id: UUID
    mode: VerifyMode
    sample_percent: int | None  # None: everything
    seed: int | None  # chooses the sample: the same again reads the same
    verdict: Verdict
    suspects: tuple[UUID, ...]  # older restore points that stand on the files of one that is bad

    def as_dict(self) -> dict[str, object]:
        return {
            "restore_point": str(self.point_id),
            "mode": self.mode.value,
            "sample_percent": self.sample_percent,
            "sample_seed": self.seed,
            "verdict": self.verdict.value,
            "suspect_restore_points": [str(point_id) for point_id in self.suspects],
        }


@dataclass(frozen=True, slots=True)
class MachineReport:
    """One machine of a job session."""

    name: str
    outcome: Outcome
    vm_id: UUID | None = None
    replica: str | None = None
    replica_id: UUID | None = None
    seconds: float = 0.0
    transfer_seconds: float = 0.0
    bottleneck: str = ""
    restore_point: UUID | None = None  # the new one
    restore_points: tuple[PointReport, ...] = ()  # all that the replica has, oldest first
    removed_restore_points: tuple[UUID, ...] = ()
    disks: tuple[DiskReport, ...] = ()
    verification: VerificationReport | None = None
    forecast: dict[str, object] | None = None  # ``Forecast.as_dict``, the last that was made
    warnings: tuple[str, ...] = ()
    error: dict[str, object] | None = None

    @property
    def traffic(self) -> Traffic:
        return sum((disk.traffic for disk in self.disks), Traffic())

    @property
    def consistency(self) -> str | None:
        """What the new restore point really is."""
        return next((point.consistency for point in self.restore_points if point.point_id == self.restore_point), None)

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "vm_id": _text(self.vm_id),
            "replica": self.replica,
            "replica_id": _text(self.replica_id),
            "state": self.outcome.value,
            "duration_seconds": round(self.seconds, 3),
            "transfer_seconds": round(self.transfer_seconds, 3),
            "consistency": self.consistency,
            "restore_point": _text(self.restore_point),
            "restore_points": [point.as_dict() for point in self.restore_points],
            "removed_restore_points": [str(point_id) for point_id in self.removed_restore_points],
            **self.traffic.as_dict(),
            "rate": self.traffic.rate(self.transfer_seconds),
            "bottleneck": self.bottleneck,
            "disks": [disk.as_dict() for disk in self.disks],
            "verification": None if self.verification is None else self.verification.as_dict(),
            "forecast": self.forecast,
            "warnings": list(self.warnings),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class SessionReport:
    """One job session."""

    session_id: UUID
    job: str
    started_at: float
    ended_at: float
    machines: tuple[MachineReport, ...] = ()
    error: dict[str, object] | None = field(default=None)  # what kept the whole session from running
    kind: Kind = Kind.REPLICATE

    @property
    def outcome(self) -> Outcome:
        """Failed when anything failed, cancelled when anything was cancelled, else done."""
        outcomes = {machine.outcome for machine in self.machines}
        if self.error is not None and self.error.get("code") != "cancelled":
            return Outcome.FAILED
        if Outcome.FAILED in outcomes:
            return Outcome.FAILED
        if Outcome.CANCELLED in outcomes or self.error is not None:
            return Outcome.CANCELLED
        return Outcome.DONE

    @property
    def traffic(self) -> Traffic:
        return sum((machine.traffic for machine in self.machines), Traffic())

    def as_dict(self) -> dict[str, object]:
        return {
            "session_id": str(self.session_id),
            "job": self.job,
            "kind": self.kind.value,
            "state": self.outcome.value,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration_seconds": round(self.ended_at - self.started_at, 3),
            "machines": [machine.as_dict() for machine in self.machines],
            **self.traffic.as_dict(),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class SessionEntry:
    """A session as the catalog remembers it; ``result`` is ``SessionReport.as_dict()`` once it has ended."""

    session_id: UUID
    job: str
    manager: str
    state: str
    started_at: float
    ended_at: float | None
    result: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class ReplicaEntry:
    """A replica as the catalog remembers it: a copy of what its record said last."""

    replica_id: UUID
    job: str
    vm_id: UUID
    vm_name: str
    source_host: str
    target_host: str
    folder: str
    replica_name: str
    epoch: int
    state: str
    restore_point_count: int
    newest_source_time: float | None
    last_error: dict[str, object] | None
    updated_at: float


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
