# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The leaves of a replica: what is their fingerprint, how to get clean ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from ...errors import EngineError, HypervisorError, StateError
from ...machines import HostPath, Leaf
from ...model.naming import journal_of
from ...model.record import Content, Point, ReplicaDisk
from ...model.retention import forget_points, lost_points
from ...transfers import LeafState
from .rest import settle
from .work import Work


class LeafUnclean(Exception):
    """A signal between steps: a leaf's structure is damaged, only a fresh one can be written to."""

    def __init__(self, error: EngineError, disk_id: UUID | None = None) -> None:
        """``disk_id`` is None when it is not known which leaf it is."""
        super().__init__(str(error))
        self.error = error
        self.disk_id = disk_id


def chain_of(work: Work, leaf: str) -> tuple[HostPath, ...]:
    """Return the chain of a replica's leaf, leaf first."""
    return tuple(work.on_target(path) for path in work.target.chain(leaf))


def inspect(work: Work, disk: ReplicaDisk) -> LeafState:
    """Check a leaf's chain through the target mover."""
    return work.target_movers.inspect(chain_of(work, disk.leaf))


def is_known_tree(work: Work) -> bool:
    """Tell whether the restore points are those of the record, but for some that were being removed."""
    now, known = set(current_tree(work)), set(work.record.tree)
    return now <= known and known - now <= set(work.record.removing)


def current_tree(work: Work) -> tuple[UUID, ...]:
    """Return the ids of all restore points on the host, sorted."""
    return tuple(sorted(point.restore_point_id for point in work.target.restore_points(work.replica_vm_id)))


def forget_lost_points(work: Work) -> None:
    """Let the record list only restore points that the host has: nobody can start from the others."""
    lost = lost_points(work.record, on_host=current_tree(work))
    for point in lost:
        work.reporter.warn(f"restore point {point.name} is not on {work.job.target_host} any more: somebody removed it")
    work.store.save(forget_points(work.record, lost))


def fingerprints(work: Work, *, of: Iterable[UUID]) -> tuple[ReplicaDisk, ...]:
    """Return all disks of the record; those named get the path and DataWriteGuid that they have now.

    A leaf that somebody wrote to in this moment gets no DataWriteGuid: it is not the restore point below it.
    """
    wanted = set(of)
    found = {leaf.disk_id: leaf for leaf in work.target.leaves(work.replica_vm_id)}
    return tuple(
        _fingerprint(work, disk, leaf=found.get(disk.disk_id)) if disk.disk_id in wanted else disk
        for disk in work.record.disks
    )


def _fingerprint(work: Work, disk: ReplicaDisk, *, leaf: Leaf | None) -> ReplicaDisk:
    if leaf is None:
        raise StateError(
            f"replica {work.record.target.name} has lost its disk {disk.slot}",
            hint="attach it again, or let the next session do it",
            reason="replica_damaged",
        )
    moved = replace(disk, leaf=leaf.path)
    state = inspect(work, moved)
    return replace(moved, data_write_guid=state.data_write_guid if state.is_empty else None)


def fresh_leaves(work: Work, problem: LeafUnclean) -> None:
    """Throw damaged leaves away: apply the newest restore point, or make the images anew when there is none.

    Nothing is lost: a leaf holds only what no restore point has yet, and the source has it still.
    """
    there = current_tree(work)
    newest = next((point for point in reversed(work.record.restore_points) if point.point_id in there), None)
    work.reporter.warn(f"a leaf is damaged and is replaced by a fresh one: {problem.error.message}")
    kept = set(newest.disk_ids) if newest is not None else set()
    if newest is not None:
        doubtful = tuple(replace(disk, content=Content.UNKNOWN) for disk in work.record.disks)
        work.store.save(replace(work.record, disks=doubtful, configured=None))  # which it brings back as well
        _apply(work, newest)
    for disk in work.record.disks:
        if disk.disk_id not in kept:
            remake(work, disk)
    disks = fingerprints(work, of=kept)
    disks = tuple(replace(disk, content=Content.RESTORE_POINT) if disk.disk_id in kept else disk for disk in disks)
    work.store.save(replace(work.record, disks=disks))


def _apply(work: Work, point: Point) -> None:
    """Raises StateError ``replica_damaged`` when the files below the restore point are no better."""
    try:
        work.target.apply_restore_point(work.record.fence, work.replica_vm_id, restore_point_id=point.point_id)
    except HypervisorError as refusal:
        if refusal.error_id != "Hvr.ChainBroken":
            raise
        name = work.record.target.name
        raise StateError(
            f"replica {name} is damaged, and so is its restore point {point.name}: {refusal.message}",
            hint=f"bring the missing file back, or remove machine {name} and folder {work.record.target.folder} on "
            f"{work.job.target_host} to replicate anew",
            reason="replica_damaged",
        ) from refusal
    settle(work)


def remake(work: Work, disk: ReplicaDisk) -> None:
    """Let go of an image that no restore point has, so that the next step makes it anew."""
    empty = replace(disk, leaf=disk.base, data_write_guid=None, content=Content.EMPTY)
    disks = tuple(empty if item.disk_id == disk.disk_id else item for item in work.record.disks)
    work.store.save(replace(work.record, disks=disks))
    work.target.detach_disk(work.record.fence, work.replica_vm_id, slot=disk.slot)
    for path in (disk.base, journal_of(disk.base)):
        work.target.remove_file(work.record.fence, path)
