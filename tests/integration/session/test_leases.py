# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints whose session is silent: the source host removes them, and nothing wrong is ever made of them."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SOURCE, disks, only_error

HOUR = 3600.0


def let_leases_end(site, vm="web"):
    """Let the source host be silent for five hours, and come to its scheduled task."""
    site.source.call("lab.set_clock", offset=5 * HOUR)
    site.source.wait_until(lambda: site.source_leftovers(vm) == [], "the host to remove the checkpoint")
    site.source.settle()


@pytest.mark.parametrize("version", ["9.0", "7.1"])
def test_checkpoint_that_goes_in_the_middle_ends_the_session(site, version):
    vm_id = site.source.create_machine("old", folder=f"{FOLDER}\\old", version=version, disks=disks(16 * MiB))
    site.source.call("Start-VM", vm_id=vm_id)
    job = site.job(vms=["old"])
    assert site.run(job).outcome is Outcome.DONE
    site.source.write(vm_id, "SCSI 0:0", offset=3 * MiB, data=b"before.." * 512)

    class Watched(type(site.connect_mover(SOURCE))):
        def start_source(self, order):
            let_leases_end(site, "old")
            site.source.write(vm_id, "SCSI 0:0", offset=3 * MiB, data=b"after..." * 512)
            return super().start_source(order)

    def connect(name):
        mover = site.connect_mover(name)
        mover.__class__ = Watched if name == SOURCE else type(mover)
        return mover

    error = only_error(site.run(job, site=site.site(connect_mover=connect)))
    assert (error["code"], error["reason"]) == ("state_conflict", "checkpoint_lost")
    assert "is not on hv-a any more" in str(error["message"])
    assert len(site.record("old").restore_points) == 1
    assert site.run(job).outcome is Outcome.DONE
    site.prove("old", points=2)


def test_checkpoint_of_a_dead_session_goes_and_the_next_one_begins_anew(site):
    site.run()
    site.guest_writes(9, 0, 2 * MiB)
    with pytest.raises(Killed):
        site.run(site=Death("status", nth=1).site(site.site()))
    assert len(site.source_leftovers()) == 1
    let_leases_end(site)
    assert site.run().outcome is Outcome.DONE
    site.prove(points=2)


def test_session_that_comes_before_the_host_has_its_checkpoint_kept(site):
    with pytest.raises(Killed):
        site.run(site=Death("status", nth=1).site(site.site()))
    stop_scheduled_tasks(site)
    site.source.call("lab.set_clock", offset=5 * HOUR)
    report = site.run()
    assert {disk.reason for disk in report.machines[0].disks} == {"resumed"}
    site.prove(points=1)


def test_checkpoint_of_another_replica_may_go_when_its_lease_has_ended(site):
    stop_scheduled_tasks(site)
    other = uuid.uuid4()
    name = str(CheckpointName(other, uuid.uuid4()))
    fence = {"ReplicaId": other, "Epoch": 1, "VmId": site.vm_id}
    site.source.dispatch("New-HvrCheckpoint", **fence, Name=name, Consistency="Crash")
    site.source.dispatch("Set-HvrCheckpointLease", **fence, Seconds=600)
    error = only_error(site.run())
    assert error["reason"] == "source_busy"
    assert " seconds" in str(error["hint"])
    assert site.source_leftovers() == [name]
    site.source.call("lab.set_clock", offset=601)
    report = site.run()
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert f"replica {other}: its lease ended" in report.machines[0].warnings[0]
    site.prove(points=1)


def stop_scheduled_tasks(site):
    site.fronts[SOURCE]._host.upkeep.scheduled_tasks.clear()
