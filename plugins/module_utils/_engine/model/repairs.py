# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What follows from a verification: marks at restore points, and ranges that the next cycle sends again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from ..extents import Extent, coarsen, normalize
from ..verification import Verdict, Verification, VerifyMode
from .record import PendingDisk, Point, ReplicaDisk, ReplicaRecord

REPAIRS_MAX = 1024  # extents of a disk that a record keeps


def with_repairs(changed: Sequence[Extent], disk: ReplicaDisk) -> list[Extent]:
    """Return what a cycle sends of a disk: what has changed, and what is bad."""
    return normalize([*changed, *disk.repairs], size=disk.geometry.virtual_size)


def repairs_left(disk: ReplicaDisk, sent: PendingDisk | None) -> tuple[Extent, ...]:
    """Return what is still to be repaired once a cycle is committed; it may have begun before the verification."""
    return () if sent is not None and sent.repairs == disk.repairs else disk.repairs


def note_verification(
    record: ReplicaRecord, bad: Mapping[UUID, Sequence[Extent]], *, mode: VerifyMode, now: float
) -> ReplicaRecord:
    """Mark the newest restore point, and remember what is bad by disk.

    Older restore points with such a disk stand on the same files, so they are suspect. One that was found bad before
    stays so: only a session repairs, and it makes a new one.
    """
    rotten = {disk_id for disk_id, extents in bad.items() if extents}

    def mark(point: Point) -> Point:
        verdict = verdict_of(point)
        if point is record.newest:
            verdict = Verdict.BAD if rotten or verdict is Verdict.BAD else Verdict.GOOD
        elif rotten & set(point.disk_ids) and verdict is not Verdict.BAD:
            verdict = Verdict.SUSPECT
        else:
            return point
        return replace(point, verified=Verification(now, mode, verdict))

    def repaired(disk: ReplicaDisk) -> ReplicaDisk:
        size = disk.geometry.virtual_size
        repairs = normalize([*disk.repairs, *bad.get(disk.disk_id, ())], size=size)
        return replace(disk, repairs=tuple(coarsen(repairs, count_max=REPAIRS_MAX, size=size)))

    return replace(
        record,
        restore_points=tuple(mark(point) for point in record.restore_points),
        disks=tuple(repaired(disk) for disk in record.disks),
    )


def verdict_of(point: Point) -> Verdict | None:
    """Return what is known of a restore point; None: nothing."""
    return point.verified.verdict if point.verified is not None else None


def suspects(record: ReplicaRecord) -> tuple[Point, ...]:
    """Return the restore points that nobody should rely on without looking at them."""
    return tuple(point for point in record.restore_points if verdict_of(point) is Verdict.SUSPECT)
