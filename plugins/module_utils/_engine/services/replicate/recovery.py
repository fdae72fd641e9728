# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a dead session left behind: its cycle is finished, taken up again, or dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from ...errors import HypervisorError
from ...machines import Checkpoint
from ...model.naming import readable_time
from ...model.record import PendingDisk
from ...progress import Phase
from .sent import discard, leaves_are_as_sent, point_is_as_sent
from .settle import commit, convert, make_restore_point, point_name
from .source import clear_checkpoints, find_checkpoint
from .target import require_at_rest
from .work import Work


@dataclass(frozen=True, slots=True)
class Leftover:
    """A checkpoint of a dead session that can be used, and what was being done with it."""

    checkpoint: Checkpoint
    disks: Mapping[UUID, PendingDisk] = field(default_factory=dict)


def recover(work: Work) -> Leftover | None:
    """Deal with the cycle that the record says is under way, and with checkpoints that nobody needs."""
    pending = work.record.pending
    if pending is None:
        clear_checkpoints(work)
        return None
    if pending.is_sent and _finish(work):
        clear_checkpoints(work)
        return None
    found = find_checkpoint(work, pending.checkpoint_name)
    clear_checkpoints(work, keep=pending.checkpoint_name)
    _forget_conversion(work)
    if found is None:
        return None
    work.reporter.warn(
        f"session {pending.session_id} did not finish: its cycle of {readable_time(found.created_at)} goes on"
    )
    return Leftover(found, {disk.disk_id: disk for disk in pending.disks} if pending.is_begun else {})


def _finish(work: Work) -> bool:
    """Finish a cycle whose data are in the leaves; False when they are not as they were left."""
    pending, name = work.pending, point_name(work.pending)
    require_at_rest(work)
    made = next((point for point in work.target.restore_points(work.replica_vm_id) if point.name == name), None)
    if made is None and not leaves_are_as_sent(work):
        return False
    if made is not None and not point_is_as_sent(work):
        discard(work, made)
        return False
    work.reporter.warn(f"finishing the restore point of session {pending.session_id}, which ended before it was done")
    if pending.step is Phase.CONVERT:
        try:
            convert(work)
        except HypervisorError as refusal:
            if refusal.error_id != "Hvr.CheckpointNotFound":
                raise
            return False
    if made is None:
        make_restore_point(work)
    else:
        commit(work, made)
    return True


def _forget_conversion(work: Work) -> None:
    """A reference point of a cycle that is not finished helps nobody: changes are counted from the older one."""
    pending = work.record.pending
    if pending is None or pending.tracking is None or pending.tracking == work.record.tracking:
        return
    obsolete = [*work.record.obsolete_reference_points, pending.tracking.reference_point_id]
    work.store.save(
        replace(
            work.record,
            pending=replace(pending, tracking=None, step=Phase.TRANSFER),
            obsolete_reference_points=tuple(dict.fromkeys(obsolete)),
        )
    )
