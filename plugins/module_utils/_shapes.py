# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Results of the info module: values of the engine as plain dictionaries. Sizes are bytes, times seconds since 1970."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from uuid import UUID

from ._engine.errors import FormatError
from ._engine.extents import total
from ._engine.machines import StoredRecord
from ._engine.model.outlook import Lag, Outlook, View, activity, lag, outlook
from ._engine.model.record import Lease, ReplicaRecord
from ._engine.model.retention import newest_source_time
from ._engine.reports import ReplicaEntry, SessionEntry


def session(entry: SessionEntry) -> dict[str, t.Any]:
    """A session of the history: its report, or the little that is known of one that has none."""
    known = {
        "session_id": str(entry.session_id),
        "job": entry.job,
        "manager": entry.manager,
        "state": entry.state,
        "started_at": entry.started_at,
        "ended_at": entry.ended_at,
        "machines": [],
        "error": None,
    }
    return {**known, **(entry.result or {})}


def replica(entry: ReplicaEntry, *, allowed: int | None, now: float) -> dict[str, t.Any]:
    """A replica as the catalog remembers it; ``allowed`` is the lag that its job allows."""
    return {
        "replica_id": str(entry.replica_id),
        "replica": entry.replica_name,
        "job": entry.job,
        "vm_id": str(entry.vm_id),
        "vm_name": entry.vm_name,
        "source_host": entry.source_host,
        "target_host": entry.target_host,
        "folder": entry.folder,
        "epoch": entry.epoch,
        "state": entry.state,
        "restore_point_count": entry.restore_point_count,
        "newest_source_time": entry.newest_source_time,
        **_lag(lag(entry.newest_source_time, allowed=allowed, now=now)),
        "last_error": entry.last_error,
        "updated_at": entry.updated_at,
    }


def record(stored: StoredRecord, *, view_of: Callable[..., View], now: float) -> dict[str, t.Any]:
    """A replica as its record has it. One that cannot be read is returned with its ``error``.

    ``view_of`` tells from a lease and the age of its record what is known of the session.
    """
    try:
        found = ReplicaRecord.parse(stored.text)
    except FormatError as error:
        return {"folder": stored.folder, "epoch": stored.epoch, "error": error.as_dict()}
    view = view_of(found.lease, age_seconds=stored.age_seconds)
    newest = newest_source_time(found.restore_points)
    return {
        "replica_id": str(found.replica_id),
        "replica": found.target.name,
        "job": found.job,
        "vm_id": str(found.source.vm_id),
        "vm_name": found.source.name,
        "source_host": found.source.host,
        "target_host": found.target.host,
        "folder": stored.folder,
        "epoch": stored.epoch,
        "state": found.state.value,
        "restore_point_count": len(found.restore_points),
        "newest_source_time": newest,
        "restore_points": [point.report.as_dict() for point in found.restore_points],
        **_lag(lag(newest, allowed=found.rpo_seconds, now=now, at_least=view.age_seconds)),
        "activity": activity(found, view).value,
        "lease": _lease(found.lease, view),
        "session_id": str(found.lease.session_id) if found.lease else None,
        "last_session_id": _text(found.last_session_id),
        "pending_step": found.pending.step.value if found.pending else None,
        "restart": _restart(found, outlook(found, view)),
        "last_error": _note(found),
        "error": None,
    }


def _lag(found: Lag) -> dict[str, t.Any]:
    seconds = None if found.seconds is None else round(found.seconds, 1)
    return {"lag_seconds": seconds, "rpo_seconds": found.allowed, "rpo_met": found.is_met}


def _lease(lease: Lease | None, view: View) -> dict[str, t.Any] | None:
    if lease is None:
        return None
    return {
        "manager": lease.manager,
        "session_id": str(lease.session_id),
        "renewed_seconds_ago": view.age_seconds,
        "seconds_left": max(0, round(lease.seconds - view.age_seconds)),
    }


def _restart(found: ReplicaRecord, what: Outlook) -> dict[str, t.Any]:
    disks = [
        {
            "slot": str(disk.slot),
            "disk_id": str(disk.disk_id),
            "content": disk.content.value,
            "scope": scope.value,
            "bytes_to_repair": total(disk.repairs),
        }
        for disk, scope in zip(found.disks, what.scopes, strict=False)  # there may be none
    ]
    return {"action": what.action.value, "text": what.text, "disks": disks}


def _note(found: ReplicaRecord) -> dict[str, t.Any] | None:
    note = found.last_error
    if note is None:
        return None
    return {"code": note.code, "reason": note.reason, "message": note.message, "hint": note.hint, "at": note.at}


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
