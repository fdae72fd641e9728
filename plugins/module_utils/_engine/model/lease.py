# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Who may work on a replica: the lease in its record.

A lease is taken with the next epoch, renewed while its session lives, and ends by itself: some time after the record
was written last, by the clock of the target host alone. A manager knows more of its own sessions: it holds a file lock
on the machine, so an earlier session of the same state folder is dead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..errors import StateError
from .record import Lease, ReplicaRecord

RENEWALS: Final = 5  # within the time of a lease, as some may fail
RENEWAL_SECONDS_MAX: Final = 60.0


def renewal_seconds(lease_seconds: float) -> float:
    """Return how often a lease of that length is renewed."""
    return min(RENEWAL_SECONDS_MAX, lease_seconds / RENEWALS)


def take_lease(record: ReplicaRecord, lease: Lease, *, age_seconds: float) -> ReplicaRecord:
    """Return the record with the next epoch and this lease; ``age_seconds`` have passed since it was written.

    Raises:
        StateError: reason ``replica_busy``, a session of another manager has it.
    """
    held = record.lease
    if held is not None and held.manager_id != lease.manager_id and age_seconds < held.seconds:
        raise busy(record.target.name, held, seconds=held.seconds - age_seconds)
    return replace(record, epoch=record.epoch + 1, lease=lease)


def busy(replica: str, held: Lease | None, *, seconds: float = 0.0) -> StateError:
    """Build the error for a replica that another session works on, for ``seconds`` more at least."""
    who = f"session {held.session_id} of manager {held.manager}" if held else "another session"
    until = f" for {seconds:.0f} seconds or longer" if seconds else ""
    return StateError(
        f"replica {replica} is in use by {who}{until}",
        current="processing",
        hint="wait for that session to end, or stop it; a dead session's lease ends by itself",
        reason="replica_busy",
    )
