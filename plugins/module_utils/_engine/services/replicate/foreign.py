# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Foreign hands on a replica: what they did is found, named, and dealt with as the job says (``on_touched``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ...errors import FormatError, HypervisorError, StateError
from ...jobs import JobSpec, OnTouched
from ...machines import Leaf
from ...model.foreign import Sight, Sign, Trace, accepted, doubted_disks, traces_of
from ...model.record import Content, ReplicaDisk, ReplicaRecord
from ...model.retention import forget_points, lost_points
from ...progress import Phase, readable
from ...transfers import TargetOrder, Ticket
from .leaves import LeafUnclean, chain_of, fresh_leaves, inspect
from .reporting import Reporter
from .rest import problem_of
from .target import require_at_rest
from .work import Work


def examine(work: Work) -> None:
    """Look at the whole replica before anything is frozen or written, and at the content of each leaf.

    Raises:
        StateError: reason ``replica_touched`` when the job says so; what is running, missing or damaged.
    """
    work.enter(Phase.PREPARE)
    try:
        _examine(work)
    except LeafUnclean as problem:
        renew(work, problem)
        try:
            _examine(work)
        except LeafUnclean as again:  # a fresh leaf is no better: the damage is below it
            raise again.error from again


def _examine(work: Work) -> None:
    _take_as_found(work, with_contents=True)
    for disk in work.record.disks:
        if disk.content in (Content.CHANGES, Content.UNKNOWN) and disk.data_write_guid is not None:
            _require_explained(work, disk)


def untouched_disks(work: Work) -> frozenset[UUID]:
    """Return the disks whose leaf is the one that the record knows; to be asked right before they are written.

    A mover looks at the content once it has locked the leaf. Raises as ``examine`` does, and LeafUnclean.
    """
    _take_as_found(work, with_contents=False)
    return frozenset(
        disk.disk_id
        for disk in work.record.disks
        if disk.disk_id not in work.touched
        and (disk.data_write_guid is not None or disk.content is not Content.RESTORE_POINT)
    )


def _take_as_found(work: Work, *, with_contents: bool) -> None:
    """Judge what was done since our last session, and let the record follow. Raises LeafUnclean."""
    require_at_rest(work)
    sight = _look(work, with_contents=with_contents)
    traces = traces_of(work.record, sight)
    _judge(work, traces)
    doubted = doubted_disks(work.record, traces)
    if doubted and work.merges_stall:  # where the leaf goes is not known before the merges are done
        problem = problem_of(work, work.target.activity(work.replica_vm_id))
        if problem is not None:
            raise problem
    work.touched |= doubted
    lost = lost_points(work.record, on_host=sight.tree)
    work.store.save(forget_points(accepted(work.record, sight, doubted=doubted), lost))


def judge(traces: Sequence[Trace], *, record: ReplicaRecord, job: JobSpec, reporter: Reporter) -> None:
    """Follow the job's policy: warn of what was done, or end here with nothing written.

    Raises:
        StateError: reason ``replica_touched``.
    """
    if traces and job.on_touched is OnTouched.FAIL:
        raise StateError(
            f"somebody touched replica {record.target.name} on {job.target_host}: "
            + "; ".join(trace.text for trace in traces),
            hint="keep what is needed of it, then run the job once with on_touched: compare, which overwrites it",
            reason="replica_touched",
        )
    for text in (f"somebody touched the replica: {trace.text}" for trace in traces):
        if text not in reporter.warnings:  # it is looked at twice, before it is put right
            reporter.warn(text)


def _judge(work: Work, traces: Sequence[Trace]) -> None:
    judge(traces, record=work.record, job=work.job, reporter=work.reporter)


def distrusted(record: ReplicaRecord, *, job: JobSpec, reporter: Reporter) -> ReplicaRecord:
    """Return a record that somebody edited, as far as it can be trusted: no leaf is what it says.

    Raises StateError ``replica_touched``.
    """
    judge([Trace(Sign.RECORD_EDITED, "its record replica.json was edited")], record=record, job=job, reporter=reporter)
    disks = tuple(replace(disk, content=Content.UNKNOWN, data_write_guid=None) for disk in record.disks)
    return replace(record, disks=disks)


def renew(work: Work, problem: LeafUnclean) -> None:
    """Exchange damaged leaves for fresh ones. Damage that no dead session explains is a foreign hand's."""
    damaged = [disk for disk in work.record.disks if problem.disk_id in (None, disk.disk_id)]
    if all(disk.content is Content.RESTORE_POINT for disk in damaged):
        _judge(work, [Trace(Sign.LEAF_DAMAGED, f"a file was damaged or removed: {problem.error.message}")])
    work.enter(Phase.PREPARE)
    fresh_leaves(work, problem)


def _require_explained(work: Work, disk: ReplicaDisk) -> None:
    """Ask the mover whether its journal explains what a dead session left in a leaf, before anything is written."""
    chain = chain_of(work, disk.leaf)
    mover = work.target_movers.serving(chain).name
    ticket = Ticket(
        secret=work.site.new_secret(),
        source_mover=mover,
        target_mover=mover,
        replica_id=work.record.replica_id,
        disk_id=disk.disk_id,
        cycle_id="",
        epoch=work.record.epoch,
        lifetime_seconds=work.site.limits.ticket_seconds,
    )
    try:
        work.target_movers.open_and_close(TargetOrder(ticket, chain, disk.data_write_guid))
    except FormatError as error:
        raise LeafUnclean(error, disk.disk_id) from error
    except StateError as error:
        if error.reason != "leaf_touched":
            raise
        unexplained(work, disk.disk_id, found=UUID(error.current))


def unexplained(work: Work, disk_id: UUID, *, found: UUID) -> None:
    """Deal with a leaf that holds what no journal explains: it was written to since the record was."""
    disk = _known(work, disk_id)
    text = f"nobody knows who wrote to disk {disk.slot} last: the mover's journal is gone or tells of other content"
    _judge(work, [Trace(Sign.LEAF_UNEXPLAINED, text, disk_id)])
    work.touched.add(disk_id)
    taken = replace(disk, data_write_guid=found, content=Content.UNKNOWN)
    disks = tuple(taken if each.disk_id == disk_id else each for each in work.record.disks)
    work.store.save(replace(work.record, disks=disks))


def tell_differences(work: Work) -> None:
    """Say how much of what somebody touched was not as on the source."""
    for report in work.disk_reports:
        if report.disk_id in work.touched:
            traffic = report.traffic
            differed = readable(traffic.read - traffic.same - traffic.zero)
            work.reporter.warn(
                f"disk {report.slot}: of {readable(traffic.read)} compared, {differed} with content differed (what "
                "changed on the source is part of it) and was overwritten"
            )


def _look(work: Work, *, with_contents: bool) -> Sight:
    """Raises LeafUnclean."""
    leaves = _leaves(work)
    contents = {}
    for disk in work.record.disks if with_contents else ():
        if disk.content is Content.RESTORE_POINT:
            contents[disk.disk_id] = _content(work, disk, leaf=leaves.get(disk.disk_id))
    return Sight(
        config=work.target.configuration(work.replica_vm_id),
        points=work.target.restore_points(work.replica_vm_id),
        leaves=leaves,
        contents=contents,
    )


def _leaves(work: Work) -> dict[UUID, Leaf]:
    try:
        return {leaf.disk_id: leaf for leaf in work.target.leaves(work.replica_vm_id)}
    except HypervisorError as error:
        if error.error_id != "Hvr.ChainBroken":
            raise
        raise LeafUnclean(error) from error


def _content(work: Work, disk: ReplicaDisk, *, leaf: Leaf | None) -> UUID:
    try:
        return inspect(work, disk if leaf is None else replace(disk, leaf=leaf.path)).data_write_guid
    except (FormatError, HypervisorError) as error:
        if isinstance(error, HypervisorError) and error.error_id not in ("Hvr.ChainBroken", "Hvr.FileNotFound"):
            raise
        raise LeafUnclean(error, disk.disk_id) from error


def _known(work: Work, disk_id: UUID) -> ReplicaDisk:
    disk = work.record.disk(disk_id)
    if disk is None:
        raise StateError(f"disk {disk_id} is not in the record", reason="record_invalid")
    return disk
