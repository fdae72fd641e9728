# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Which restore points go, and what goes with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from .naming import journal_of
from .record import PIN_OF_USER, Point, ReplicaRecord


def expired_points(points: Sequence[Point], *, keep: int) -> tuple[UUID, ...]:
    """Return the oldest points beyond the newest ``keep``; oldest first, as merging wants it.

    Pinned points stay and do not count: whoever pins one wants it beside the ``keep`` newest.
    """
    unpinned = [point.point_id for point in points if not point.pins]
    return tuple(unpinned[: max(0, len(unpinned) - max(1, keep))])


def pin(record: ReplicaRecord, point_id: UUID, *, pinned: bool) -> ReplicaRecord:
    """Pin a restore point by the user's hand, or take that pin away; those of others stay."""

    def repin(point: Point) -> Point:
        others = tuple(who for who in point.pins if who != PIN_OF_USER)
        return replace(point, pins=(*others, PIN_OF_USER) if pinned else others)

    points = [repin(point) if point.point_id == point_id else point for point in record.restore_points]
    return replace(record, restore_points=tuple(points))


def begin_removal(record: ReplicaRecord, doomed: Sequence[UUID]) -> ReplicaRecord:
    """Move restore points from the list of usable ones to ``removing``: from here on nobody may start from them."""
    return replace(_without(record, doomed), removing=tuple(dict.fromkeys([*record.removing, *doomed])))


def end_removal(record: ReplicaRecord, gone: UUID) -> ReplicaRecord:
    """Forget a restore point that is merged away; its files may be unused from here on."""
    removing = tuple(point_id for point_id in record.removing if point_id != gone)
    return replace(record, removing=removing, tree=tuple(point_id for point_id in record.tree if point_id != gone))


def lost_points(record: ReplicaRecord, *, on_host: Collection[UUID]) -> tuple[Point, ...]:
    """Return the restore points that somebody removed from the host."""
    return tuple(point for point in record.restore_points if point.point_id not in on_host)


def forget_points(record: ReplicaRecord, lost: Sequence[Point]) -> ReplicaRecord:
    """Drop restore points that are gone. ``tree`` stays: it is what shows that somebody touched the replica.

    The tracking point is that of the newest one: what changed since then is not enough for an older one.
    """
    left = _without(record, [point.point_id for point in lost])
    if record.tracking is None or record.newest not in lost:
        return left
    obsolete = dict.fromkeys([*record.obsolete_reference_points, record.tracking.reference_point_id])
    return replace(left, tracking=None, obsolete_reference_points=tuple(obsolete))


def _without(record: ReplicaRecord, doomed: Sequence[UUID]) -> ReplicaRecord:
    left = tuple(point for point in record.restore_points if point.point_id not in doomed)
    used = {cycle_id for point in left for cycle_id in point.cycle_ids}
    cycles = tuple(cycle for cycle in record.cycles if cycle.cycle_id in used)
    return replace(record, restore_points=left, cycles=cycles)


def unused_files(record: ReplicaRecord) -> tuple[str, ...]:
    """Return files of retired disks that no checkpoint uses any more, leaf first, each with the mover's journal."""
    living = _living(record)
    unused = [path for disk in record.retired if not living & set(disk.restore_points) for path in disk.files]
    return tuple(name for path in unused for name in (path, journal_of(path)))


def forget_unused(record: ReplicaRecord) -> ReplicaRecord:
    """Drop retired disks whose files ``unused_files`` listed."""
    living = _living(record)
    return replace(record, retired=tuple(disk for disk in record.retired if living & set(disk.restore_points)))


def _living(record: ReplicaRecord) -> set[UUID]:
    """Return the ids of all checkpoints of the replica; ``tree`` has also those that somebody made by hand."""
    return {point.point_id for point in record.restore_points} | set(record.removing) | set(record.tree)


def newest_source_time(points: Sequence[Point]) -> float | None:
    """Return the moment that the newest restore point shows."""
    return points[-1].source_time if points else None
