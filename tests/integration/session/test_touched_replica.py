# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody works on the replica between sessions: it is noticed, and never written over blindly."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import only_error


@pytest.fixture
def replica(site):
    """Replicate once; return the replica's machine."""
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    return site.machine("web_replica", host=site.target)


def reasons(report):
    assert report.outcome is Outcome.DONE, report.as_dict()
    return {disk.slot: disk.reason for disk in report.machines[0].disks}


def test_leaf_that_somebody_edited_is_compared(site, replica):
    site.target.call("lab.edit_offline", vm_id=replica["vm_id"], slot="SCSI 0:0", offset=9 * MiB, data=b"x" * 4096)
    assert reasons(site.run()) == {"SCSI 0:0": "leaf_touched", "SCSI 0:1": "tracked"}
    site.prove(points=2)


def test_replica_that_runs_is_refused_and_compared_after_it_was_turned_off(site, replica):
    site.target.call("Start-VM", vm_id=replica["vm_id"])
    error = only_error(site.run())
    assert (error["code"], error["reason"]) == ("state_conflict", "replica_running")
    assert site.source_leftovers() == []
    site.target.write(replica["vm_id"], "SCSI 0:0", offset=5 * MiB, data=b"y" * 4096)
    site.target.call("Stop-VM", vm_id=replica["vm_id"])
    assert reasons(site.run())["SCSI 0:0"] == "leaf_touched"
    site.prove(points=2)


def test_damaged_leaf_is_replaced_by_a_fresh_one(site, replica):
    leaf = site.target.local_path(replica["settings"]["drives"][0]["path"])
    with leaf.open("r+b") as file:
        file.seek(3 * MiB)
        file.write(b"\xff" * MiB)
    report = site.run()
    assert report.outcome is Outcome.DONE, report.as_dict()
    touched, renewed, *_others = report.machines[0].warnings
    assert "a file was damaged or removed" in touched
    assert "fresh one" in renewed
    site.prove(points=2)


def test_record_that_was_restored_from_a_copy_catches_up(site):
    site.run()
    record = site.target.local_path(site.record().target.folder) / "replica.json"
    copy = record.read_bytes()
    for number in range(3):
        site.guest_writes(number + 7, 0, number * MiB)
        site.run()
    record.write_bytes(copy)
    report = site.run()
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert {disk.scope for disk in report.machines[0].disks} == {"compare"}
    assert site.record().epoch == 5
    site.prove(points=2)


def test_record_that_cannot_be_read_is_never_replaced(site, replica):
    path = site.target.local_path(site.record().target.folder) / "replica.json"
    path.write_text('{"format": 99, "epoch": 3}')
    error = only_error(site.run())
    assert error["reason"] == "record_invalid"
    assert path.read_text() == '{"format": 99, "epoch": 3}'
    assert site.source_leftovers() == []


def remove_by_hand(site, replica, index):
    """Remove a restore point on the target; return it as the record knows it."""
    point = site.record().restore_points[index]
    site.target.call("Remove-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=str(point.point_id).upper())
    site.target.settle()
    return point


@pytest.mark.parametrize("index", [0, -1], ids=["oldest", "newest"])
def test_point_removed_by_hand_is_forgotten_and_does_not_count(site, replica, index):
    job = site.job(restore_points=2)
    site.run(job)
    gone = remove_by_hand(site, replica, index)
    site.guest_writes(8, 1, 2 * MiB)
    report = site.run(job)
    assert set(reasons(report).values()) == {"leaf_touched"}
    assert f"restore point {gone.name} was removed" in report.machines[0].warnings[0]
    assert report.machines[0].removed_restore_points == ()
    assert gone.point_id not in {point.point_id for point in site.record().restore_points}
    assert len(site.record().cycles) == 2
    site.prove(points=2)


def test_all_points_removed_by_hand_are_forgotten(site, replica):
    remove_by_hand(site, replica, 0)
    assert set(reasons(site.run()).values()) == {"leaf_touched"}
    site.prove(points=1)


def test_point_removed_by_hand_before_the_next_one_is_made(site, replica):
    late = Death("create_restore_point", instead=lambda: remove_by_hand(site, replica, 0))
    assert only_error(site.run(site=late.site(site.site())))["reason"] == "leaf_touched"  # it was merged with the leaf
    assert site.run().outcome is Outcome.DONE
    site.prove(points=1)


def edit(site, replica):
    site.target.call("lab.edit_offline", vm_id=replica["vm_id"], slot="SCSI 0:0", offset=9 * MiB, data=b"x" * 4096)


def apply_oldest(site, replica):
    oldest = str(site.record().restore_points[0].point_id).upper()
    site.target.call("Restore-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=oldest)


def detach(site, replica):
    slot = {"controller": "SCSI", "number": 0, "location": 1}
    site.target.call("Remove-VMHardDiskDrive", vm_id=replica["vm_id"], **slot)


@pytest.mark.parametrize("act", [edit, apply_oldest, detach])
@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "dies"])
def test_replica_that_is_changed_between_transfer_and_restore_point(site, replica, act, dies):
    late = Death("create_restore_point", instead=lambda: act(site, replica))
    ports = late.site(site.site())
    if dies:
        with pytest.raises(Killed):
            site.run(site=Death("create_restore_point", after=True).site(ports))
    else:
        assert only_error(site.run(site=ports))["reason"] == "leaf_touched"
    site.target.settle()
    site.prove(points=1)
    assert site.source_leftovers() == []
    assert site.run().outcome is Outcome.DONE
    site.prove(points=2)


def test_new_leaf_that_is_edited_before_its_fingerprint_is_compared(site, replica):
    early = Death("create_restore_point", after=True, instead=lambda: edit(site, replica))
    assert site.run(site=early.site(site.site())).outcome is Outcome.DONE
    assert reasons(site.run()) == {"SCSI 0:0": "leaf_touched", "SCSI 0:1": "tracked"}
    site.prove(points=3)


def test_leaf_that_is_edited_while_old_points_are_merged_is_compared(site, replica):
    job = site.job(restore_points=1)
    early = Death("remove_restore_point", after=True, instead=lambda: edit(site, replica))
    assert site.run(job, site=early.site(site.site())).outcome is Outcome.DONE
    assert reasons(site.run(job))["SCSI 0:0"] == "leaf_touched"
    site.prove(points=1)


def test_leaf_that_is_edited_after_a_session_died_is_compared(site, replica):
    with pytest.raises(Killed):
        site.run(site=Death("create_restore_point").site(site.site()))
    edit(site, replica)
    assert reasons(site.run())["SCSI 0:0"] == "leaf_touched"
    site.prove(points=2)


def test_leaf_in_another_place_is_compared(site, replica):
    detach(site, replica)
    old = replica["settings"]["drives"][1]["path"]
    new = old.replace("web-", "moved-")
    site.target.local_path(old).rename(site.target.local_path(new))
    slot = {"controller": "SCSI", "number": 0, "location": 1}
    site.target.call("Add-VMHardDiskDrive", vm_id=replica["vm_id"], path=new, **slot)
    assert reasons(site.run()) == {"SCSI 0:0": "tracked", "SCSI 0:1": "leaf_touched"}
    site.prove(points=2)
