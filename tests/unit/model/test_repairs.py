# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a verification."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import PendingDisk
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.repairs import (
    REPAIRS_MAX,
    note_verification,
    repairs_left,
    suspects,
    verdict_of,
    with_repairs,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import Verdict, VerifyMode
from ansible_collections.opendr.hyperv.tests.unit.model.samples import DISK, OTHER_DISK, point, record, replica_disk

BAD = (Extent(1 * MiB, 64 * KiB), Extent(3 * MiB, 64 * KiB))


def fresh(points=3):
    """A record without any verification."""
    made = record(points)
    unmarked = tuple(replace(each, verified=None) for each in made.restore_points)
    return replace(made, restore_points=unmarked, disks=(replica_disk(),))


def noted(before, *bad, mode=VerifyMode.FULL, disk_id=DISK):
    return note_verification(before, {disk_id: bad}, mode=mode, now=300.0)


def verdicts(record):
    return [verdict_of(point) for point in record.restore_points]


def test_a_point_that_equals_its_source_is_good_and_the_others_stay_unknown():
    after = noted(fresh(), mode=VerifyMode.SAMPLE)
    assert verdicts(after) == [None, None, Verdict.GOOD]
    assert after.newest.verified == replace(point(0).verified, at=300.0, mode=VerifyMode.SAMPLE)
    assert (after.disks[0].repairs, suspects(after)) == ((), ())


def test_a_bad_point_makes_older_ones_suspect_and_is_repaired_later():
    after = noted(fresh(), *BAD)
    assert verdicts(after) == [Verdict.SUSPECT, Verdict.SUSPECT, Verdict.BAD]
    assert after.disks[0].repairs == BAD
    assert suspects(after) == after.restore_points[:2]
    after.check()


def test_points_without_the_bad_disk_are_not_suspect():
    before = fresh(2)
    other = replace(before.restore_points[0], disk_ids=(OTHER_DISK,))
    after = noted(replace(before, restore_points=(other, before.restore_points[1])), *BAD)
    assert verdicts(after) == [None, Verdict.BAD]


def test_what_was_found_bad_stays_bad_and_adds_up():
    after = noted(noted(fresh(), BAD[0]), mode=VerifyMode.SAMPLE)
    assert (verdicts(after)[-1], after.disks[0].repairs) == (Verdict.BAD, BAD[:1])
    assert noted(after, BAD[1]).disks[0].repairs == BAD


def test_a_long_list_of_repairs_is_joined():
    bad = [Extent(place * 16 * KiB, 4 * KiB) for place in range(2 * REPAIRS_MAX)]
    repairs = noted(fresh(), *bad).disks[0].repairs
    assert len(repairs) <= REPAIRS_MAX
    assert all(any(r.offset <= extent.offset and extent.end <= r.end for r in repairs) for extent in bad)


def test_a_cycle_sends_changes_and_repairs():
    disk = replace(replica_disk(), repairs=BAD)
    changed = [Extent(0, MiB), Extent(3 * MiB, 4 * KiB)]
    assert with_repairs(changed, disk) == [Extent(0, MiB + 64 * KiB), Extent(3 * MiB, 64 * KiB)]
    assert with_repairs([], replica_disk()) == []


@pytest.mark.parametrize(
    ("sent", "left"),
    [(BAD, ()), (BAD[:1], BAD), ((), BAD), (None, BAD)],
    ids=["all", "an older list", "begun before", "not in the cycle"],
)
def test_repairs_stay_until_a_cycle_that_knew_them_is_committed(sent, left):
    disk = replace(replica_disk(), repairs=BAD)
    cycle = None if sent is None else PendingDisk(DISK, Scope.CHANGED, "tracked", (), None, None, sent)
    assert repairs_left(disk, cycle) == left
