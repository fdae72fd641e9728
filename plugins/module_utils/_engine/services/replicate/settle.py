# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""From a full leaf to a restore point: convert, checkpoint the replica, commit, tidy up, merge old points."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import UUID

from ...errors import EngineError, HypervisorError, StateError
from ...machines import VERSION_TRACKED, ReferencePoint, RestorePoint
from ...model.naming import restore_point_name
from ...model.record import Content, Cycle, Pending, Point, ReplicaDisk, TrackingPoint
from ...model.repairs import repairs_left
from ...model.replica_state import Move, after_move
from ...model.retention import begin_removal, end_removal, expired_points, forget_unused, unused_files
from ...progress import Phase
from .leaves import fingerprints, forget_lost_points
from .rest import is_merged, problem_of, settle
from .sent import discard, point_is_as_sent
from .work import Work


def convert(work: Work) -> None:
    """Turn the checkpoint into the new tracking point. The intent is recorded already (step ``convert``).

    A host that refuses takes nothing away: tracking goes on from the older point, only that the next list of changes
    is longer.
    """
    work.enter(Phase.CONVERT)
    checkpoint_id, tracking = work.pending.checkpoint_id or "", work.record.tracking
    fence = work.record.source_fence
    if work.config.machine.version_number < VERSION_TRACKED:
        work.source.remove_checkpoint(fence, work.vm_id, checkpoint_id=checkpoint_id)
    else:
        try:
            point = _converted(work, checkpoint_id)
            tracking = TrackingPoint(point.reference_point_id, dict(point.rct_ids))
        except HypervisorError as refusal:
            if refusal.error_id == "Hvr.CheckpointNotFound":
                raise
            work.reporter.warn(f"no new reference point, the next session sends more: {refusal.message}")
            work.source.remove_checkpoint(fence, work.vm_id, checkpoint_id=checkpoint_id)
    work.intend(replace(work.pending, step=Phase.RESTORE_POINT, tracking=tracking))


def _converted(work: Work, checkpoint_id: str) -> ReferencePoint:
    """Convert; once more after a refusal, as it may have had its effect: nobody else would know the point."""
    convert_checkpoint = partial(
        work.source.convert_checkpoint, work.record.source_fence, work.vm_id, checkpoint_id=checkpoint_id
    )
    try:
        return convert_checkpoint()
    except HypervisorError as refusal:
        if refusal.error_id == "Hvr.CheckpointNotFound":
            raise
        return convert_checkpoint()


def point_name(pending: Pending) -> str:
    """Return the natural key of a cycle's restore point."""
    return restore_point_name(source_time=pending.source_time or 0.0, cycle_id=pending.cycle_id)


def make_restore_point(work: Work) -> None:
    """Checkpoint the replica and commit the record.

    Raises StateError ``leaf_touched`` when the checkpoint does not hold what was sent.
    """
    work.enter(Phase.RESTORE_POINT)
    settle(work)
    made = _checkpoint(work, name=point_name(work.pending))
    settle(work)
    if not point_is_as_sent(work):
        discard(work, made)
        raise StateError(
            f"somebody changed replica {work.record.target.name} between transfer and restore point",
            hint="run the job again: it finds what was changed; older restore points are untouched",
            reason="leaf_touched",
        )
    commit(work, made)


def _checkpoint(work: Work, *, name: str) -> RestorePoint:
    """Raises HypervisorError ``merge_stalled`` when the host makes none above a merge that does not get on."""
    try:
        return work.target.create_restore_point(work.record.fence, work.replica_vm_id, name=name)
    except HypervisorError as refusal:
        problem = problem_of(work, work.target.activity(work.replica_vm_id)) if work.merges_stall else None
        if problem is None:
            raise
        raise problem from refusal


def commit(work: Work, made: RestorePoint) -> None:
    """Write the record: from here on the restore point exists."""
    work.enter(Phase.COMMIT)
    forget_lost_points(work)
    record, pending = work.record, work.pending
    if pending.consistency is None or pending.source_time is None:
        raise StateError("the cycle has no checkpoint", reason="record_invalid")
    sent = {disk.disk_id: disk for disk in pending.disks}
    cycle = Cycle(
        cycle_id=pending.cycle_id,
        session_id=pending.session_id,
        source_time=pending.source_time,
        consistency=pending.consistency,
        traffic=pending.traffic,
        seconds=pending.seconds,
        since=record.newest.source_time if record.newest is not None else None,
        changed={disk.disk_id: disk.changed for disk in pending.disks if disk.changed is not None},
    )
    point = Point(
        point_id=made.restore_point_id,
        name=made.name,
        source_time=pending.source_time,
        consistency=pending.consistency,
        cycle_ids=(cycle.cycle_id,),
        disk_ids=tuple(sent),
        filter_map={},
    )

    def settled(disk: ReplicaDisk) -> ReplicaDisk:
        cycle = sent.get(disk.disk_id)
        return replace(
            disk,
            content=Content.RESTORE_POINT,
            source_chain=cycle.source_chain if cycle is not None else disk.source_chain,
            repairs=repairs_left(disk, cycle),
        )

    old, new = record.tracking, pending.tracking
    obsolete = [old.reference_point_id] if old is not None and old != new else []
    work.store.save(
        replace(
            record,
            state=after_move(record.state, Move.REPLICATE, replica=record.target.name),
            disks=tuple(settled(disk) for disk in fingerprints(work, of=sent)),
            tracking=new,
            tree=tuple(sorted({*record.tree, point.point_id})),
            restore_points=(*record.restore_points, point),
            cycles=(*record.cycles, cycle),
            pending=None,
            obsolete_reference_points=tuple(dict.fromkeys([*record.obsolete_reference_points, *obsolete])),
            last_error=None,
        )
    )
    work.new_point = point.point_id
    work.index_replica()


def tidy(work: Work) -> None:
    """Destroy own reference points that nobody needs any more. A failure is left to the next session."""
    work.enter(Phase.TIDY)
    try:
        for reference_point_id in work.record.obsolete_reference_points:
            work.source.remove_reference_point(
                work.record.source_fence, work.vm_id, reference_point_id=reference_point_id
            )
    except EngineError as error:
        work.left_over("removing an old reference point from the source", error=error)
        return
    work.store.save(replace(work.record, obsolete_reference_points=()))


def retain(work: Work) -> None:
    """Merge restore points beyond the number to keep, oldest first; what a session does of it is bounded.

    A failure is left to the next session.
    """
    if not _due(work) and not unused_files(work.record):
        return
    work.enter(Phase.RETENTION)
    try:
        _merge_due(work)
        for path in unused_files(work.record):
            work.target.remove_file(work.record.fence, path)
        work.store.save(forget_unused(work.record))
    except EngineError as error:
        work.left_over("merging old restore points", error=error)
    left = len(_due(work))
    if left:
        work.reporter.note(f"{left} old restore points are left for the next session to merge")


def _due(work: Work) -> tuple[UUID, ...]:
    """Return the restore points to be merged away: those that were begun, then the oldest beyond the number to keep."""
    return (*work.record.removing, *expired_points(work.record.restore_points, keep=work.job.restore_points))


def _merge_due(work: Work) -> None:
    limits = work.site.limits
    deadline = work.site.clock.monotonic() + limits.retention_seconds
    for point_id in _due(work)[: limits.merges]:
        now = work.site.clock.monotonic()
        if now >= deadline or not is_merged(work, seconds=0):
            return
        if not _merge(work, point_id, seconds=min(limits.settle_seconds, deadline - now)):
            return


def _merge(work: Work, point_id: UUID, *, seconds: float) -> bool:
    """Merge one restore point away, False when that takes longer; the next session goes on where the record says."""
    trusted = [disk.disk_id for disk in work.record.disks if disk.data_write_guid is not None]
    work.store.save(begin_removal(work.record, [point_id]))
    work.target.remove_restore_point(work.record.fence, work.replica_vm_id, restore_point_id=point_id)
    if not is_merged(work, seconds=seconds):
        return False
    work.store.save(end_removal(replace(work.record, disks=fingerprints(work, of=trusted)), point_id))
    work.removed.append(point_id)
    return True
