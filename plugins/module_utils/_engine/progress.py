# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Where a running job session stands, and what it says while it runs. Shapes: docs/design/session.md.

Byte counts are of virtual disks, ``sent`` is on the wire; rates are bytes per second.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from .reports import Outcome
from .units import GiB, KiB, MiB, TiB


class Phase(Enum):
    """Steps of a machine task, in order. A verification has some of them, and two of its own."""

    INSPECT = "inspect"
    LEASE = "lease"
    CHECKPOINT = "checkpoint"
    PREPARE = "prepare"
    TRANSFER = "transfer"
    CONVERT = "convert"
    RESTORE_POINT = "restore_point"
    COMMIT = "commit"
    TIDY = "tidy"
    RETENTION = "retention"
    RELEASE = "release"
    STRUCTURE = "structure"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of something is done."""

    total: int = 0
    processed: int = 0
    sent: int = 0
    rate: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.total + other.total, self.processed + other.processed, self.sent + other.sent, self.rate + other.rate
        )

    @property
    def percent(self) -> int:
        """Rounded down, so that 100 means all of it; an order of nothing is 0 until its disk is done."""
        return min(100, self.processed * 100 // self.total) if self.total else 0

    @property
    def eta_seconds(self) -> int | None:
        left = self.total - self.processed
        return left // self.rate if self.rate > 0 and self.total else None

    def as_dict(self, *, percent: int) -> dict[str, object]:
        return {
            "percent": percent,
            "bytes_total": self.total,
            "bytes_processed": self.processed,
            "bytes_sent": self.sent,
            "rate": self.rate,
            "eta_seconds": self.eta_seconds,
        }


@dataclass(frozen=True, slots=True)
class DiskStatus:
    """One disk of a running machine task."""

    slot: str
    disk_id: UUID
    scope: str
    reason: str
    outcome: Outcome = Outcome.WAITING
    amount: Amount = Amount()
    waiting: str = ""  # what the transfer waits for, and since when; empty while it goes on

    @property
    def percent(self) -> int:
        return 100 if self.outcome is Outcome.DONE else self.amount.percent

    def as_dict(self) -> dict[str, object]:
        return {
            "slot": self.slot,
            "disk_id": str(self.disk_id),
            "scope": self.scope,
            "reason": self.reason,
            "state": self.outcome.value,
            **self.amount.as_dict(percent=self.percent),
            "waiting": self.waiting or None,
        }


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """One machine of a running session."""

    name: str
    outcome: Outcome = Outcome.WAITING
    phase: Phase | None = None
    vm_id: UUID | None = None
    replica: str | None = None
    disks: tuple[DiskStatus, ...] = ()
    error: dict[str, object] | None = None

    @property
    def amount(self) -> Amount:
        return sum((disk.amount for disk in self.disks), Amount())

    @property
    def percent(self) -> int:
        """100 when done, or when each disk is; by bytes until then."""
        if self.outcome is Outcome.DONE or (self.disks and all(disk.outcome is Outcome.DONE for disk in self.disks)):
            return 100
        return min(99, self.amount.percent)

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "vm_id": None if self.vm_id is None else str(self.vm_id),
            "replica": self.replica,
            "state": self.outcome.value,
            "phase": None if self.phase is None else self.phase.value,
            **self.amount.as_dict(percent=self.percent),
            "disks": [disk.as_dict() for disk in self.disks],
            "error": self.error,
        }


class EventKind(Enum):
    """What an event is about."""

    PHASE = "phase"
    PROGRESS = "progress"
    HEARTBEAT = "heartbeat"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    END = "end"


@dataclass(frozen=True, slots=True)
class Event:
    """Something to tell; ``text`` is one line ready to be shown."""

    kind: EventKind
    text: str
    machine: str | None = None
    disk: str | None = None
    phase: Phase | None = None
    percent: int | None = None
    error: dict[str, object] | None = field(default=None)

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind.value,
            "machine": self.machine,
            "disk": self.disk,
            "phase": None if self.phase is None else self.phase.value,
            "percent": self.percent,
            "text": self.text,
            **({} if self.error is None else {"error": self.error}),
        }


def overall_percent(machines: Iterable[MachineStatus]) -> int:
    """Return the mean over machines: bytes are not known before a machine's transfer begins."""
    percents = [machine.percent for machine in machines]
    return sum(percents) // len(percents) if percents else 0


def describe_amount(amount: Amount, *, percent: int) -> str:
    """Say an amount in one line: ``45 % of 10.0 GiB, 3.1 GiB sent, 118.0 MiB/s, 00:31 left``."""
    if not amount.total and percent == 100:
        return "nothing to send"
    parts = [f"{percent} % of {readable(amount.total)}", f"{readable(amount.sent)} sent"]
    if amount.rate:
        parts.append(f"{readable(amount.rate)}/s")
    if amount.eta_seconds is not None and percent < 100:
        parts.append(f"{clock_face(amount.eta_seconds)} left")
    return ", ".join(parts)


def readable(size: float) -> str:
    """Return bytes as people read them: ``3.1 GiB``."""
    for unit, name in ((TiB, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{int(size)} B"


def clock_face(seconds: int) -> str:
    """Return ``MM:SS``, with hours in front when there are any."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute:02}:{second:02}"
