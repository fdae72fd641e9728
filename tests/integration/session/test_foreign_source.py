# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other products and people work on the source: named, left alone, and never a wrong restore point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.site import only_error


@pytest.fixture
def replicated(site):
    """Replicate once, and let the guest write after that."""
    site.run()
    site.source.settle()
    site.guest_writes(7, 0, 1 * MiB)
    return site


def impatient(site, **limits):
    made = site.site()
    return replace(made, limits=replace(made.limits, busy_seconds=0.3, **limits))


def foreign_checkpoint(site):
    """Let another backup product freeze the machine."""
    return site.source.call("CreateSnapshot", vm_id=site.vm_id, consistency="Crash")


def convert(site, checkpoint):
    given = {"vm_id": site.vm_id, "checkpoint_id": checkpoint["checkpoint_id"]}
    return site.source.call("ConvertToReferencePoint", **given)


def reasons(report):
    assert report.outcome is Outcome.DONE, report.as_dict()
    return {disk.slot: disk.reason for disk in report.machines[0].disks}


def test_machine_that_another_product_backs_up_is_waited_for_and_then_named(replicated):
    site = replicated
    theirs = foreign_checkpoint(site)
    error = only_error(site.run(site=impatient(site)))
    assert (error["code"], error["reason"]) == ("state_conflict", "vm_held")
    assert theirs["name"] in str(error["message"])
    assert site.source_leftovers() == [theirs["name"]], "theirs is left alone"
    convert(site, theirs)
    site.source.settle()
    assert set(reasons(site.run()).values()) == {"tracked"}
    site.prove(points=2)


def test_foreign_reference_point_is_left_alone(replicated):
    site = replicated
    theirs = convert(site, foreign_checkpoint(site))
    site.source.settle()
    assert set(reasons(site.run()).values()) == {"tracked"}
    left = [point["reference_point_id"] for point in site.machine("web")["reference_points"]]
    assert theirs["reference_point_id"] in left
    site.prove(points=2)


@pytest.mark.parametrize(("by_product", "says"), [(True, "Bareos"), (False, "somebody removed it")])
def test_reference_point_that_is_gone_is_missed_with_the_likely_cause(replicated, by_product, says):
    site = replicated
    if by_product:
        convert(site, foreign_checkpoint(site))
        site.source.settle()
    ours = site.record().tracking.reference_point_id
    site.source.call("DestroyReferencePoint", vm_id=site.vm_id, reference_point_id=ours)
    report = site.run()
    assert set(reasons(report).values()) == {"tracking_point_gone"}
    assert says in report.machines[0].warnings[0]
    site.prove(points=2)


def test_lost_tracking_is_told_in_the_words_of_the_host(replicated):
    site = replicated
    site.source.call("lab.lose_tracking", vm_id=site.vm_id)
    report = site.run()
    assert set(reasons(report).values()) == {"tracking_lost"}
    assert "changes of disk SCSI 0:0 are not known" in "".join(report.machines[0].warnings)
    site.prove(points=2)


def test_user_checkpoint_that_was_removed_is_compared(site):
    made = site.source.call("Checkpoint-VM", vm_id=site.vm_id, snapshot_name="by hand")
    site.guest_writes(6, 0, 4 * MiB)
    site.run()
    site.source.settle()
    site.source.call("Remove-VMSnapshot", vm_id=site.vm_id, checkpoint_id=made["checkpoint_id"])
    site.source.settle()
    site.guest_writes(7, 0, 1 * MiB)
    assert set(reasons(site.run()).values()) == {"source_chain_changed"}
    site.prove(points=2)


def test_merging_that_is_held_back_is_named_and_the_chain_may_only_grow_so_far(replicated):
    site = replicated
    job = site.job(restore_points=1)
    site.source.call("lab.hold_back_merging", vm_id=site.vm_id)
    for files in (1, 2):
        report = site.run(job, site=impatient(site, chain_files=3))
        assert set(reasons(report).values()) == {"tracked"}
        warnings = [text for text in report.machines[0].warnings if "held back by another program" in text]
        assert len(warnings) == 1
        assert f"({files} files, 3 at most)" in warnings[0]
        site.guest_writes(8, 0, files * MiB)
    error = only_error(site.run(job, site=impatient(site, chain_files=3)))
    assert error["reason"] == "chain_too_long"
    assert site.source_leftovers() == []
    site.source.call("lab.hold_back_merging", vm_id=site.vm_id, held=False)
    site.source.settle()
    report = site.run(job)
    assert set(reasons(report).values()) == {"source_chain_changed"}, "its files have merged"
    assert "held back" not in str(report.machines[0].warnings)
    site.prove(points=1)
