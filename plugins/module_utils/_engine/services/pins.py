# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Pin a restore point, so that retention leaves it alone, or let go of it: one change of the record, under a lease."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from uuid import UUID

from ..errors import RequestError, StateError
from ..model.record import Lease, Point, ReplicaRecord
from ..model.retention import pin
from ..ports import Hypervisor, Locks
from .replicate.records import FoundRecords, RecordStore, find_records


@dataclass(frozen=True, slots=True)
class PinPlan:
    """A restore point with the record it is in, and whether it is to be pinned."""

    record: ReplicaRecord
    age_seconds: float
    point: Point
    pinned: bool

    @property
    def after(self) -> ReplicaRecord:
        return pin(self.record, self.point.point_id, pinned=self.pinned)

    @property
    def changed(self) -> bool:
        return self.after != self.record

    @property
    def point_after(self) -> Point:
        return next(point for point in self.after.restore_points if point.point_id == self.point.point_id)


def plan_pin(host: Hypervisor, folder: str, *, point_id: UUID, pinned: bool) -> PinPlan:
    """Find a restore point among the replicas in a folder. Raises RequestError, reason ``restore_point_unknown``."""
    found: FoundRecords = find_records(host, folder)
    for record in found.records:
        for point in record.restore_points:
            if point.point_id == point_id:
                return PinPlan(record, found.ages[record.target.folder], point, pinned)
    raise RequestError(
        f"option restore_point: {str(point_id)!r} is no restore point of a replica in {folder} on {host.name}",
        hint="choose one that hyperv_replica_info shows with host and path",
        reason="restore_point_unknown",
    )


def carry_out_pin(host: Hypervisor, locks: Locks, *, plan: PinPlan, lease: Lease) -> None:
    """Write the record. Raises StateError, reason ``replica_busy`` or ``vm_busy``: a session has the replica."""
    record = plan.record
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.hold(f"vm-{record.source.vm_id}"))
        except StateError as error:
            if error.reason != "locked":
                raise
            raise StateError(
                f"a session of this manager works on replica {record.target.name}",
                current="processing",
                hint="wait for its end, or stop it",
                reason="vm_busy",
            ) from error
        store = RecordStore(host, record, once=host, age_seconds=plan.age_seconds)
        store.take(lease)
        store.save(replace(pin(store.record, plan.point.point_id, pinned=plan.pinned), lease=None))
