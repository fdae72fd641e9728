# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Who may work on a replica: the lease in its record.

A lease is taken with the next epoch, renewed while its session lives, and ends by itself. A manager knows more of its
own sessions: it holds a file lock on the machine, so an earlier session of the same state folder is dead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from ..errors import StateError
from .naming import readable_time
from .record import Lease, ReplicaRecord

LEASE_SECONDS: Final = 300.0
RENEW_SECONDS: Final = 60.0


def take_lease(record: ReplicaRecord, lease: Lease, *, now: float) -> ReplicaRecord:
    """Return the record with the next epoch and this lease.

    Raises:
        StateError: reason ``replica_busy``, a session of another manager has it.
    """
    held = record.lease
    if held is not None and held.manager_id != lease.manager_id and held.until > now:
        raise busy(record.target.name, held)
    return replace(record, epoch=record.epoch + 1, lease=lease)


def renew_lease(record: ReplicaRecord, *, now: float) -> ReplicaRecord:
    """Return the record with a lease that ends later."""
    return replace(record, lease=replace(record.lease, until=now + LEASE_SECONDS)) if record.lease else record


def new_lease(*, manager: str, manager_id: UUID, session_id: UUID, now: float) -> Lease:
    """Return a lease from now on."""
    return Lease(manager, manager_id, session_id, now + LEASE_SECONDS)


def busy(replica: str, held: Lease | None) -> StateError:
    """Build the error for a replica that another session works on."""
    who = f"session {held.session_id} of manager {held.manager}" if held else "another session"
    until = f" until {readable_time(held.until)} or later" if held else ""
    return StateError(
        f"replica {replica} is in use by {who}{until}",
        current="processing",
        hint="wait for that session to end, or stop it; a dead session's lease ends by itself",
        reason="replica_busy",
    )
