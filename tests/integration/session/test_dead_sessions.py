# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that died is found by the next one, which goes on, finishes or begins again; every point stays true."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import Cancelled
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import only_error

CHANGING = {
    "write_record",
    "create_checkpoint",
    "create_machine",
    "create_disk",
    "attach_disk",
    "set_nic",
    "update_machine",
    "open_target",
    "start_source",
    "status",
    "convert_checkpoint",
    "create_restore_point",
    "remove_reference_point",
    "remove_restore_point",
}


def killed(site, job, death):
    """Run a session that dies; tell whether it did before it was over."""
    try:
        site.run(job, site=death.site(site.site()))
    except Killed:
        pass
    return death.struck


def walk(site, job, *, after):
    """Return each point at which a session may die: every changing call, before or after it."""
    traced = Death()
    assert site.run(job, site=traced.site(site.site())).outcome is Outcome.DONE
    counts = traced.counts()
    assert counts["write_record"] >= 8
    return [
        (name, nth, after)
        for name, count in sorted(counts.items())
        if name in CHANGING
        for nth in range(1, (1 if name == "status" else count) + 1)
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", [True, pytest.param(False, marks=pytest.mark.soak)], ids=["after", "before"])
def test_later_session_may_die_at_every_changing_call(site, after):
    job = site.job(restore_points=2)
    site.run(job)
    site.run(job)
    site.guest_writes(1, 0, 1 * MiB)
    points = walk(site, job, after=after)
    assert len(points) >= 18
    for number, (name, nth, _after) in enumerate(points):
        site.guest_writes(number, 0, number % 20 * MiB)
        site.guest_writes(number, 1, number % 14 * MiB)
        assert killed(site, job, Death(name, nth=nth, after=after)), (name, nth, after)
        report = site.run(job)
        assert report.outcome is Outcome.DONE, (name, nth, after, report.as_dict())
        assert site.source_leftovers() == [], (name, nth, after)
        site.prove(points=2)
        assert len(site.machine("web")["reference_points"]) == 1, (name, nth, after)


FIRST = [
    ("write_record", 1, True),
    ("create_checkpoint", 1, True),
    ("create_machine", 1, True),
    ("create_disk", 1, True),
    ("attach_disk", 1, False),
    ("attach_disk", 2, True),
    ("open_target", 1, True),
    ("start_source", 2, True),
    ("convert_checkpoint", 1, True),
    ("create_restore_point", 1, True),
]


@pytest.mark.parametrize(("name", "nth", "after"), FIRST)
def test_first_session_may_die(site, name, nth, after):
    assert killed(site, site.job(), Death(name, nth=nth, after=after))
    site.guest_writes(9, 0, 2 * MiB)
    report = site.run()
    assert report.outcome is Outcome.DONE, report.as_dict()
    site.guest_writes(10, 1, 2 * MiB)
    assert site.run().outcome is Outcome.DONE
    record = site.record()
    site.prove(points=len(record.restore_points))
    assert len(record.restore_points) in (2, 3)
    assert site.source_leftovers() == []


def test_resumed_cycle_sends_nothing_that_is_durable(site):
    for step in range(6):
        site.guest_writes(20 + step, 0, step * 4 * MiB, 512 * KiB)
    death = Death("create_restore_point")  # the data are all there
    assert killed(site, site.job(), death)
    report = site.run()
    assert "finishing the restore point" in report.machines[0].warnings[0]
    assert report.machines[0].traffic.total < 1 * MiB
    site.prove(points=2)


def test_resumed_transfer_keeps_its_checkpoint_and_its_cycle(site):
    assert killed(site, site.job(), Death("start_source", nth=2, after=True))
    pending = site.record().pending
    site.guest_writes(9, 0, 2 * MiB)
    report = site.run()
    assert {disk.reason for disk in report.machines[0].disks} == {"resumed"}
    assert site.record().cycles[-1].cycle_id == pending.cycle_id
    site.prove(points=1)


def test_cancelled_session_leaves_nothing_on_the_source_and_goes_on_later(site):
    site.run()
    site.guest_writes(9, 0, 2 * MiB)

    class Impatient(type(site.clock)):
        def sleep(self, seconds):
            if "status" in death.trace:
                self.stop()
            super().sleep(seconds)

    death = Death()
    clock = Impatient()
    site.source.fault("Remove-HvrCheckpoint", "fail", error_id="Hvr.Busy")  # cleaning up waits, cancelled or not
    report = site.run(site=death.site(site.site(clock=clock)))
    assert report.outcome is Outcome.CANCELLED
    assert only_error(report)["code"] == Cancelled.code
    assert site.source_leftovers() == []
    assert site.record().lease is None
    assert site.run().outcome is Outcome.DONE
    site.prove(points=2)


def test_damaged_image_of_an_unfinished_first_copy_is_made_anew(site):
    assert killed(site, site.job(), Death("start_source", nth=2, after=True))
    record = site.record()
    images = [site.target.local_path(disk.base) for disk in record.disks]
    site.wait_until_free(images)
    for image in images:
        image.write_bytes(b"\xff" * MiB)
    report = site.run()
    assert report.outcome is Outcome.DONE, report.as_dict()
    assert "fresh one" in str(report.machines[0].warnings)
    assert {disk.scope for disk in report.machines[0].disks} == {"allocated"}
    site.prove(points=1)


def test_damaged_state_of_a_mover_costs_no_image(site):
    assert killed(site, site.job(), Death("start_source", nth=2, after=True))
    record = site.record()
    images = [site.target.local_path(disk.base) for disk in record.disks]
    site.wait_until_free(images)
    before = [image.stat().st_ino for image in images]
    state = site.folder / "mover-hv-b" / f"{record.replica_id}.epoch"
    state.write_text("?")
    report = site.run()
    assert (only_error(report)["code"], only_error(report)["reason"]) == ("state_conflict", "epoch_unreadable")
    assert [image.stat().st_ino for image in images] == before
    state.unlink()
    assert site.run().outcome is Outcome.DONE
    site.prove(points=1)
