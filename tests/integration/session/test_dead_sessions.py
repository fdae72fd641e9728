# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next session makes of one that died, or was cancelled. Each place to die at: ``walk/``."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import Cancelled
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import only_error


def killed(site, job, death):
    """Run a session that dies; tell whether it did before it was over."""
    try:
        site.run(job, between=death.site)
    except Killed:
        pass
    return death.struck


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


def test_restore_point_of_a_dead_session_is_found_by_its_name_and_old_tracking_goes(site):
    site.run()
    site.guest_writes(9, 0, 2 * MiB)
    assert killed(site, site.job(), Death("create_restore_point", after=True))
    assert site.run().outcome is Outcome.DONE
    site.prove(points=3)
    assert len(site.machine("web_replica", host=site.target)["checkpoints"]) == 3
    assert len(site.machine("web")["reference_points"]) == 1
