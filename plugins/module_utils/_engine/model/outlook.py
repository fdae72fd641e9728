# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""How a replica stands, and what the next start of its job would do: from its record, and from who looks at it.

No host is asked but the one that keeps the record, so a restart may still find more: a checkpoint that is gone, or a
replica that somebody touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..transfers import Scope
from .lease import renewal_seconds
from .record import Content, Lease, PendingDisk, ReplicaDisk, ReplicaRecord
from .replica_state import MOVES, Move

RENEWALS_MISSED: Final = 2  # after which a session counts as silent


class Activity(Enum):
    """Whether a session works on a replica."""

    IDLE = "idle"
    RUNNING = "running"
    STALLED = "stalled"  # it holds the replica but does not renew its lease: it waits for a host, is frozen or cut off
    DEAD = "dead"  # it ended without giving the replica back


class Action(Enum):
    """What the next start does."""

    REPLICATE = "replicate"  # a new cycle
    RESUME = "resume"  # goes on with the cycle of a session that ended early
    FINISH = "finish"  # makes the restore point of a cycle whose data are all there, then replicates
    ATTACH = "attach"  # to the session that works on it
    WAIT = "wait"  # is refused: a session of another manager works on it
    REFUSE = "refuse"  # the state of the replica allows no replication


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a replica beside its record.

    ``age_seconds`` have passed since the record was written, by the clock of the host that keeps it. ``is_ours``:
    whether the lease is one of the manager that looks, which then knows whether the worker lives.
    """

    age_seconds: float
    is_ours: bool = False
    worker_lives: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """``scopes`` has what is sent of each disk of the record unless a host knows better; empty: nobody can tell yet."""

    action: Action
    text: str
    scopes: tuple[Scope, ...] = ()


def activity(record: ReplicaRecord, view: View) -> Activity:
    """Tell from the lease whether a session works on a replica."""
    lease = record.lease
    if lease is None:
        return Activity.IDLE
    if view.is_ours and not view.worker_lives:
        return Activity.DEAD
    if view.age_seconds < RENEWALS_MISSED * renewal_seconds(lease.seconds):
        return Activity.RUNNING
    has_ended = view.age_seconds >= lease.seconds
    return Activity.DEAD if has_ended and not view.is_ours else Activity.STALLED


def outlook(record: ReplicaRecord, view: View) -> Outlook:
    """Tell what the next start of the job would do with a replica."""
    if (record.state, Move.REPLICATE) not in MOVES:
        return Outlook(Action.REFUSE, f"is refused: a replica in state {record.state.value} is not replicated into")
    if record.lease is not None and activity(record, view) in (Activity.RUNNING, Activity.STALLED):
        return _held(record.lease, view)
    pending = record.pending
    if pending is None or not pending.is_begun:
        return Outlook(Action.REPLICATE, "replicates what the source has then", _scopes(record))
    session = f"session {pending.session_id}"
    if pending.is_sent:
        text = f"finishes the restore point of {session} without sending anything, then replicates"
        return Outlook(Action.FINISH, text)
    text = f"goes on with the cycle of {session} while the source has its checkpoint, else replicates anew"
    return Outlook(Action.RESUME, text, _scopes(record, pending.disks))


def _held(lease: Lease, view: View) -> Outlook:
    who = f"session {lease.session_id} of manager {lease.manager}"
    if view.is_ours:
        return Outlook(Action.ATTACH, f"attaches to {who}")
    return Outlook(Action.WAIT, f"is refused while {who} works on the replica")


def _scopes(record: ReplicaRecord, earlier: Iterable[PendingDisk] = ()) -> tuple[Scope, ...]:
    resumed = {disk.disk_id: disk.scope for disk in earlier}
    return tuple(resumed.get(disk.disk_id) or _scope_of(disk, record) for disk in record.disks)


def _scope_of(disk: ReplicaDisk, record: ReplicaRecord) -> Scope:
    """Return what a new cycle sends of a disk, as ``scopes.decide`` would if the hosts raised no doubt."""
    if disk.content is Content.EMPTY:
        return Scope.ALLOCATED
    is_vouched_for = disk.content is Content.CHANGES or disk.data_write_guid is not None
    is_tracked = record.tracking is not None and disk.disk_id in record.tracking.rct_ids
    return Scope.CHANGED if disk.content is not Content.UNKNOWN and is_vouched_for and is_tracked else Scope.COMPARE


@dataclass(frozen=True, slots=True)
class Lag:
    """Age of the newest restore point; None: there is none. ``allowed`` is the age that the job allows, if any."""

    seconds: float | None
    allowed: int | None

    @property
    def is_met(self) -> bool | None:
        """Whether the age allowed is kept; None when nobody asks."""
        if self.allowed is None:
            return None
        return self.seconds is not None and self.seconds <= self.allowed


def lag(newest_source_time: float | None, *, allowed: int | None, now: float, at_least: float = 0.0) -> Lag:
    """Return how far a replica is behind its source.

    ``newest_source_time`` is by the source host's clock, ``now`` by that of who looks. ``at_least`` comes from a third
    clock: a record is written when or after its newest restore point is made, so that is no younger than the record.
    """
    if newest_source_time is None:
        return Lag(None, allowed)
    return Lag(max(now - newest_source_time, at_least), allowed)
