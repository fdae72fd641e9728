# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that is asked to stop ends as it was asked to, and the next one goes on from there."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.stops import Stop, StopRequest, StopSign
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, disks, only_error


class Asker(Death):
    """Asks the session to stop, each time after a call of a port; nothing dies."""

    def __init__(self, site, **wishes):
        """``wishes`` are ways to stop by the function after whose first call they are uttered."""
        super().__init__()
        self._site = site
        self._wishes = wishes
        self.sign = StopSign()

    def call(self, name, real, arguments, named):
        result = super().call(name, real, arguments, named)
        how = self._wishes.pop(name, None)
        if how is not None:
            assert self.sign.ask(StopRequest(how, "the test", 0.0))
            if how is Stop.NOW:
                self._site.clock.stop("asked to stop at once by the test")
        return result

    def run(self, job=None, **limits):
        """Run a session with these limits."""
        site = self._site.site(stop=self.sign)
        return self._site.run(job, site=self.site(replace(site, limits=replace(site.limits, **limits))))


def sent(report):
    """Return the bytes on the wire by disk."""
    return {disk.slot: disk.traffic.sent for disk in report.machines[0].disks}


def test_after_disk_keeps_the_checkpoint_and_the_next_session_sends_nothing_twice(site):
    for disk in ("SCSI 0:0", "SCSI 0:1"):
        site.source.write(site.vm_id, disk, offset=8 * MiB, data=random.Random(disk).randbytes(2 * MiB))
    stopped = Asker(site, start_source=Stop.AFTER_DISK).run(disks=1)
    assert stopped.outcome is Outcome.CANCELLED
    assert "asked to stop after the disks under way by the test" in only_error(stopped)["message"]
    assert "the source keeps the checkpoint" in stopped.machines[0].warnings[-1]
    record = site.record()
    assert (record.lease, record.pending.step) == (None, Phase.TRANSFER)
    assert site.source_leftovers() == [record.pending.checkpoint_name]
    assert list(sent(stopped)) == ["SCSI 0:0"]

    site.guest_writes(10, 0, 20 * MiB)  # after the freeze: not part of this cycle
    resumed = site.run()
    assert resumed.outcome is Outcome.DONE, site.journal.texts
    assert site.record().cycles[-1].cycle_id == record.pending.cycle_id
    assert {disk.reason for disk in resumed.machines[0].disks} == {"resumed"}
    first, second = sent(stopped), sent(resumed)
    assert second["SCSI 0:0"] < 4 * KiB < 2 * MiB < first["SCSI 0:0"]
    assert second["SCSI 0:1"] > 2 * MiB
    assert site.source_leftovers() == []
    site.prove(points=1)


def test_checkpoint_that_is_kept_ends_with_its_lease_and_the_next_session_begins_anew(site):
    assert Asker(site, start_source=Stop.AFTER_DISK).run(disks=1, checkpoint_seconds=1.0).outcome is Outcome.CANCELLED
    site.source.wait_until(lambda: site.source_leftovers() == [], "the host to remove the checkpoint")
    report = site.run()
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert "resumed" not in {disk.reason for disk in report.machines[0].disks}
    site.prove(points=1)


def test_after_disk_completes_the_restore_point_of_disks_that_are_all_under_way(site):
    site.run(site.job(restore_points=1))
    report = Asker(site, start_source=Stop.AFTER_DISK).run(site.job(restore_points=1))
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert report.machines[0].removed_restore_points == ()  # retention is left to the next session
    site.prove(points=2)


@pytest.mark.parametrize("function", ["create_checkpoint", "checkpoint_disks"])
def test_after_disk_leaves_nothing_when_no_disk_was_begun(site, function):
    report = Asker(site, **{function: Stop.AFTER_DISK}).run()
    assert report.outcome is Outcome.CANCELLED
    assert site.source_leftovers() == []
    assert site.records() == []  # a replica of nothing
    assert site.run().outcome is Outcome.DONE


@pytest.mark.parametrize("how", [Stop.AFTER_MACHINE, Stop.AFTER_DISK])
def test_now_overrules_what_was_asked_before(site, how):
    report = Asker(site, start_source=how, status=Stop.NOW).run(disks=1)
    assert report.outcome is Outcome.CANCELLED
    assert "asked to stop at once" in only_error(report)["message"]
    assert (site.source_leftovers(), site.record().lease) == ([], None)


def test_after_machine_finishes_who_is_under_way_and_begins_no_other(site):
    site.source.create_machine("other", folder=f"{FOLDER}\\other", disks=disks(8 * MiB))
    job = site.job(vms=["web", "other"])
    report = Asker(site, create_checkpoint=Stop.AFTER_MACHINE).run(job, machines=1)
    web, other = report.machines
    assert (report.outcome, web.outcome, other.outcome) == (Outcome.CANCELLED, Outcome.DONE, Outcome.CANCELLED)
    assert "asked to stop after the machines under way by the test" in other.error["message"]
    assert len(site.records()) == 1
    site.prove(points=1)


def test_request_that_comes_too_late_changes_nothing(site):
    report = Asker(site, convert_checkpoint=Stop.AFTER_DISK).run()
    assert report.outcome is Outcome.DONE
    site.prove(points=1)
