# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old restore points are merged in bounded steps; a merge that does not get on is named and stops nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import EventKind
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import only_error

QUICK = {"settle_seconds": 1.0, "busy_seconds": 0.3}


def with_limits(site, **limits):
    made = site.site()
    return replace(made, limits=replace(made.limits, **limits))


def run(site, *, keep, **limits):
    """Replicate something new; return the report of the machine."""
    site.guest_writes(len(site.records()) + 3, 0, 2 * MiB)
    report = site.run(site.job(restore_points=keep), site=with_limits(site, **limits))
    assert report.outcome is Outcome.DONE, report.as_dict()
    return report.machines[0]


def notes(site):
    return [event.text for event in site.journal.events if event.kind is EventKind.NOTE]


def with_points(site, count):
    for _session in range(count):
        run(site, keep=28)


def pin(site, index):
    """Pin a restore point, as a user does."""
    record = site.record()
    points = list(record.restore_points)
    points[index] = replace(points[index], pins=("user",))
    pinned = replace(record, restore_points=tuple(points), revision=record.revision + 1)
    expected = {"ExpectedEpoch": record.epoch, "ExpectedRevision": record.revision}
    folder = record.target.folder
    site.target.dispatch("Set-HvrReplicaRecord", Folder=folder, Record=pinned.as_text(), **expected)
    return points[index].point_id


def test_session_merges_so_many_points_and_says_how_many_are_left(site):
    with_points(site, 5)
    report = run(site, keep=1, merges=2)
    assert len(report.removed_restore_points) == 2
    assert notes(site) == ["web: 3 old restore points are left for the next session to merge"]
    assert report.warnings == ()
    site.prove(points=4)
    run(site, keep=1, merges=3)
    assert site.record().removing == ()
    site.prove(points=2)


def test_session_without_time_left_merges_nothing_and_points_stay_usable(site):
    with_points(site, 3)
    report = run(site, keep=1, retention_seconds=0.0)
    assert report.removed_restore_points == ()
    assert notes(site) == ["web: 3 old restore points are left for the next session to merge"]
    site.prove(points=4)


def test_pinned_point_is_never_merged_and_does_not_count(site):
    with_points(site, 3)
    pinned = pin(site, 0)
    run(site, keep=2)
    left = [point.point_id for point in site.record().restore_points]
    assert left[0] == pinned
    assert len(left) == 3
    site.prove(points=3)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_session_killed_between_merges_is_taken_up_there(site, after):
    with_points(site, 3)
    death = Death("remove_restore_point", nth=2, after=after)
    with pytest.raises(Killed):
        site.run(site.job(restore_points=1), site=death.site(site.site()))
    assert len(site.record().removing) == 1
    report = run(site, keep=1)
    assert report.warnings == ()
    assert {disk.reason for disk in report.disks} == {"tracked"}
    site.prove(points=1)


def held_base(site):
    """Hold the base of a disk of the replica, as a virus scanner does."""
    path = site.record().disks[0].base
    site.target.call("lab.hold_file", path=path)
    return path


def test_merge_of_a_file_that_is_held_is_a_warning_and_goes_on_later(site):
    with_points(site, 2)
    path = held_base(site)
    report = run(site, keep=1, **QUICK)
    (warning,) = report.warnings
    assert "does not get on" in warning
    assert "0x80070020" in warning
    assert len(site.record().removing) == 1
    site.target.call("lab.release_file", path=path)
    report = run(site, keep=1)
    assert report.warnings == ()
    site.prove(points=1)


@pytest.mark.parametrize("answer", ["allowed", "refused"])
def test_merge_that_stalls_does_not_keep_the_next_session_longer_than_its_deadline(site, answer):
    site.target.switch(checkpoint_while_merging=answer)
    with_points(site, 2)
    path = held_base(site)
    run(site, keep=1, **QUICK)
    site.guest_writes(9, 0, 7 * MiB)
    report = site.run(site.job(restore_points=1), site=with_limits(site, **QUICK))
    assert report.ended_at - report.started_at < 60
    if answer == "refused":
        assert only_error(report)["reason"] == "merge_stalled"
        assert "virus scanner" in str(only_error(report)["hint"])
    else:
        assert report.outcome is Outcome.DONE, report.as_dict()
        assert "does not get on" in report.machines[0].warnings[0]
        assert "virus scanner" in report.machines[0].warnings[0]
        site.prove(points=3)  # and one on its way out
    site.target.call("lab.release_file", path=path)
    run(site, keep=1)
    site.prove(points=1)


def test_merging_that_is_held_back_at_the_target_is_named_and_waited_for_by_nobody(site):
    with_points(site, 2)
    vm_id = str(site.record().target.vm_id)
    site.target.call("lab.hold_back_merging", vm_id=vm_id)
    report = run(site, keep=1)
    assert "held back by another program" in report.warnings[0]
    assert "ModifyDiskMergeSettings" in report.warnings[0]
    assert report.removed_restore_points == ()
    site.prove(points=3)
    site.target.call("lab.hold_back_merging", vm_id=vm_id, held=False)
    assert run(site, keep=1).warnings == ()
    site.prove(points=1)


def test_merge_without_room_is_named(site):
    with_points(site, 2)
    site.target.call("lab.fill_volume", letter="D", free=64 * 1024)
    record = site.record()
    error = only_error(site.run(site.job(restore_points=1), site=with_limits(site, **QUICK)))
    assert error["reason"] == "volume_full"
    assert site.record().restore_points == record.restore_points


def test_chain_that_is_too_long_at_the_target_gets_no_more_checkpoints(site):
    with_points(site, 2)
    error = only_error(site.run(site=with_limits(site, chain_files=3)))
    assert error["reason"] == "chain_too_long"
    assert site.source_leftovers() == []
    site.prove(points=2)
