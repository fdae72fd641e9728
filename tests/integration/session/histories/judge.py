# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is every restore point what the source was? libvhdi reads it, plain byte strings are the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Point, ReplicaRecord
from ansible_collections.opendr.hyperv.tests.integration.session.histories.truth import Truth
from ansible_collections.opendr.hyperv.tests.lab import oracles
from ansible_collections.opendr.hyperv.tests.lab.site import SmallSite


class Judge:
    """Knows every restore point that was ever seen in a record; none may change or go without a reason."""

    def __init__(self, site: SmallSite, truth: Truth) -> None:
        self._site = site
        self._truth = truth
        self._seen: dict[UUID, list[UUID]] = {}  # replica to its points, oldest first
        self._may_go: set[UUID] = set()
        self._pinned: set[UUID] = set()
        self.proven = 0

    def excuse(self, point_id: UUID) -> None:
        """Somebody removes a point by hand."""
        self._may_go.add(point_id)

    def note_pins(self, record: ReplicaRecord) -> None:
        """Somebody pinned or released points."""
        self._pinned -= {point.point_id for point in record.restore_points}
        self._pinned |= {point.point_id for point in record.restore_points if point.pins}

    def look(self, record: ReplicaRecord, *, keep: int, random: Random) -> None:
        """Prove the points that are new and one old one; ``keep`` is the least that retention leaves."""
        known = self._seen.setdefault(record.replica_id, [])
        present = {each.point_id: each for each in record.restore_points if each.point_id not in self._may_go}
        lost = (self._pinned & set(known)) - present.keys() - self._may_go
        assert not lost, f"pinned points are gone: {lost}"
        gone = [point_id for point_id in known if point_id not in present and point_id not in self._may_go]
        left = sum(not point.pins for point in present.values()) + len(self._may_go)
        assert not gone or left >= keep, f"{len(gone)} points are gone, {len(present)} are left"
        free = [point_id for point_id in known if point_id not in self._pinned | self._may_go]
        assert gone == free[: len(gone)], "points have gone that were not the oldest"
        old = [point_id for point_id in known if point_id in present]
        new = [point_id for point_id in present if point_id not in known]
        known[:] = list(present)
        if new or old:
            self._prove(record, [present[each] for each in [*new, *([random.choice(old)] if old else [])]])

    def prove_all(self, record: ReplicaRecord) -> None:
        """Prove every point, and that the lab's own shadows agree with the byte strings."""
        self._prove(record, record.restore_points)
        for point in record.restore_points:
            ids = self._ids(record, point)
            shadows = {disk_id: path.read_bytes() for disk_id, path in self._site.shadows(ids).items()}
            assert shadows == self._truth.moment(ids), f"the lab's shadow of {point.name} is not what the guest wrote"

    def _prove(self, record: ReplicaRecord, points: Sequence[Point]) -> None:
        with self._site.still_target():
            self._prove_each(record, points)

    def _prove_each(self, record: ReplicaRecord, points: Sequence[Point]) -> None:
        machines = self._site.target.call("lab.machines")
        replica = next(each for each in machines if UUID(each["vm_id"]) == record.target.vm_id)
        for point in points:
            truth = self._truth.moment(self._ids(record, point))
            chains = self._site.chains(replica, str(point.point_id))
            assert chains.keys() == truth.keys(), f"{point.name} has other disks than the source had"
            for disk_id, chain in chains.items():
                difference = _difference(chain, truth[disk_id])
                assert difference is None, f"{point.name}: disk {disk_id} differs at {difference}"
            self.proven += 1

    @staticmethod
    def _ids(record: ReplicaRecord, point: Point) -> str:
        cycle = next(cycle for cycle in record.cycles if cycle.cycle_id == point.cycle_ids[-1])
        return f"{record.replica_id} {cycle.session_id}"


def _difference(chain: list[Path], truth: bytes) -> int | None:
    found = b"".join(oracles.contents(chain))
    if found == truth:
        return None
    return next((at for at, pair in enumerate(zip(found, truth, strict=False)) if pair[0] != pair[1]), len(truth))
