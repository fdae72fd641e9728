# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Results of the info module: values of the engine as plain dictionaries. Sizes are bytes, times seconds since 1970."""

from __future__ import annotations

import typing as t

from ._engine.errors import FormatError
from ._engine.machines import StoredRecord
from ._engine.model.record import ReplicaRecord
from ._engine.reports import PointReport, ReplicaEntry, SessionEntry


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


def replica(entry: ReplicaEntry) -> dict[str, t.Any]:
    """A replica as the catalog remembers it."""
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
        "last_error": entry.last_error,
        "updated_at": entry.updated_at,
    }


def record(stored: StoredRecord) -> dict[str, t.Any]:
    """A replica as its record has it. One that cannot be read is returned with its ``error``."""
    try:
        found = ReplicaRecord.parse(stored.text)
    except FormatError as error:
        return {"folder": stored.folder, "epoch": stored.epoch, "error": error.as_dict()}
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
        "newest_source_time": found.newest.source_time if found.newest else None,
        "restore_points": [
            PointReport(point.point_id, point.name, point.source_time, point.consistency.value).as_dict()
            for point in found.restore_points
        ],
        "session_id": str(found.lease.session_id) if found.lease else None,
        "last_error": _note(found),
        "error": None,
    }


def _note(found: ReplicaRecord) -> dict[str, t.Any] | None:
    note = found.last_error
    if note is None:
        return None
    return {"code": note.code, "reason": note.reason, "message": note.message, "hint": note.hint, "at": note.at}
