# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which restore points go, and which files with them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import RetiredDisk
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.retention import (
    begin_removal,
    end_removal,
    expired_points,
    forget_points,
    forget_unused,
    lost_points,
    pin,
    unused_files,
)
from ansible_collections.opendr.hyperv.tests.unit.model.samples import CYCLES, OTHER_DISK, POINTS, record


@pytest.mark.parametrize(("keep", "gone"), [(1, 2), (2, 1), (3, 0), (28, 0)])
def test_oldest_points_go_first(keep, gone):
    assert expired_points(record(3).restore_points, keep=keep) == POINTS[:gone]


def test_newest_point_is_never_expired():
    assert expired_points(record(1).restore_points, keep=0) == ()


def test_removal_takes_point_and_cycle_from_the_usable_ones():
    after = begin_removal(replace(record(3), removing=()), [POINTS[0]])
    assert [point.point_id for point in after.restore_points] == list(POINTS[1:3])
    assert [cycle.cycle_id for cycle in after.cycles] == list(CYCLES[1:3])
    assert after.removing == (POINTS[0],)
    after.check()


def test_points_that_are_not_on_the_host_are_forgotten_with_their_cycles():
    before = record(3)
    lost = lost_points(before, on_host=POINTS[1:2])
    assert [point.point_id for point in lost] == [POINTS[0], POINTS[2]]
    after = forget_points(before, lost)
    assert [point.point_id for point in after.restore_points] == [POINTS[1]]
    assert [cycle.cycle_id for cycle in after.cycles] == [CYCLES[1]]
    assert (after.tree, after.removing) == (before.tree, before.removing)
    after.check()


def test_files_of_a_retired_disk_stay_while_a_point_needs_them():
    needed = RetiredDisk(OTHER_DISK, ("a.avhdx", "a.vhdx"), (POINTS[0],))
    assert unused_files(replace(record(2), retired=(needed,))) == ()
    after = begin_removal(replace(record(2), retired=(needed,), removing=()), [POINTS[0]])
    assert unused_files(after) == ()
    assert unused_files(replace(after, removing=())) == ()  # it is still on the host
    gone = replace(after, removing=(), tree=POINTS[1:2])
    assert unused_files(gone) == ("a.avhdx", "a.avhdx.opendr-journal", "a.vhdx", "a.vhdx.opendr-journal")
    assert forget_unused(gone).retired == ()
    assert forget_unused(after).retired == (needed,)


def test_pinned_points_stay_and_do_not_count():
    first, *others = record(3).restore_points
    points = (replace(first, pins=("user",)), *others)
    assert expired_points(points, keep=1) == POINTS[1:2]
    assert expired_points(points, keep=2) == ()


def test_pin_of_the_user_comes_and_goes_beside_those_of_others():
    before = record(2)
    newest = replace(before.restore_points[1], pins=("clone",))
    before = replace(before, restore_points=(before.restore_points[0], newest))
    pinned = pin(before, POINTS[1], pinned=True)
    assert [point.pins for point in pinned.restore_points] == [(), ("clone", "user")]
    assert pin(pinned, POINTS[1], pinned=True) == pinned
    assert pin(pinned, POINTS[1], pinned=False) == before


def test_tracking_point_goes_with_the_newest_restore_point():
    before = replace(record(2), obsolete_reference_points=())
    oldest, newest = before.restore_points
    assert forget_points(before, [oldest]).tracking == before.tracking
    after = forget_points(before, [newest])
    assert (after.tracking, after.obsolete_reference_points) == (None, (before.tracking.reference_point_id,))


def test_point_that_is_merged_away_is_not_expected_any_more():
    after = end_removal(replace(record(2), removing=POINTS[:1]), POINTS[0])
    assert (after.removing, after.tree) == ((), POINTS[1:2])


def test_every_cycle_of_a_point_stays_with_it():
    before = replace(record(3), removing=())
    first, second, third = before.restore_points
    points = (first, replace(second, cycle_ids=(*first.cycle_ids, *second.cycle_ids)), third)
    after = begin_removal(replace(before, restore_points=points), [first.point_id])
    assert [cycle.cycle_id for cycle in after.cycles] == list(CYCLES[:3])
