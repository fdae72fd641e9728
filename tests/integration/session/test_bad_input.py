# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work is refused with a stable code that names option, value and way out; nothing is left behind."""

from __future__ import annotations

import random
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import StoppableClock
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import HypervisorError, TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Slot
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Lease
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, REPLICAS, disks, only_error

TARGET_PATH = f"option target_path: {REPLICAS!r}"


def refused(site, job=None, *, names, **changes):
    """Run a session that must fail; return its error after making sure that nothing is left behind.

    ``names`` is what its message names: option and value, or the host.
    """
    points = {record.replica_id: record.restore_points for record in site.records()}
    report = site.run(job, site=site.site(**changes))
    error = only_error(report)
    assert names in str(error["message"]), error
    assert error["hint"], error
    assert site.source_leftovers() == []
    assert {record.replica_id: record.restore_points for record in site.records() if record.restore_points} == points
    assert [record.lease for record in site.records() if record.lease] == []
    return error


def recovers(site):
    """The next good session succeeds."""
    assert site.run().outcome is Outcome.DONE, site.journal.texts
    site.prove(points=len(site.record().restore_points))


def test_unknown_machine(site):
    error = refused(site, site.job(vms=["nobody"]), names="option vms: 'nobody'")
    assert (error["code"], error["reason"]) == ("request_invalid", "vm_not_found")
    assert site.records() == []


def test_name_of_two_machines(site):
    other = site.source.create_machine("web", folder=f"{FOLDER}\\other", disks=disks(8 * MiB))
    error = refused(site, names="option vms: 'web'")
    assert error["reason"] == "vm_ambiguous"
    assert other in str(error["hint"])


def test_folder_outside_of_the_allowed_ones(site):
    site.target.call("lab.set_replica_roots", roots=["D:\\Elsewhere"])
    error = refused(site, names=TARGET_PATH)
    assert (error["code"], error["reason"]) == ("request_invalid", "path_not_allowed")
    site.target.call("lab.set_replica_roots", roots=["D:\\"])
    recovers(site)


def test_folder_that_no_mover_serves(site):
    error = refused(site, site.job(target_proxies=["hv-a"]), names="option target_proxies: no mover of hv-a")
    assert (error["code"], error["reason"]) == ("request_invalid", "path_not_served")
    recovers(site)


def test_folder_on_a_drive_that_the_host_does_not_have(site):
    error = refused(site, site.job(target_path="Z:\\Replicas"), names="option target_path: 'Z:\\\\Replicas'")
    assert (error["code"], error["reason"]) == ("request_invalid", "drive_not_found")
    recovers(site)


def test_target_volume_that_is_full_before_the_session(site):
    site.target.call("lab.fill_volume", letter="D", free=MiB)
    error = refused(site, names=f"{TARGET_PATH}: volume D:\\ of hv-b has")
    assert (error["code"], error["reason"]) == ("state_conflict", "volume_full")
    site.target.call("lab.fill_volume", letter="D", free=1 << 40)
    recovers(site)


def test_source_volume_without_room_for_a_checkpoint(site):
    site.run()
    site.source.call("lab.fill_volume", letter="C", free=MiB)
    error = refused(site, names="option vms: 'web': volume C:\\ of hv-a has")
    assert (error["code"], error["reason"]) == ("state_conflict", "source_volume_full")
    site.source.call("lab.fill_volume", letter="C", free=1 << 40)
    recovers(site)


class Filling(StoppableClock):
    """Each wait during the transfer lasts a minute, in which a volume fills up."""

    def __init__(self, site, control, letter):
        super().__init__()
        self._site = site
        self._fill = partial(control.call, "lab.fill_volume", letter=letter)
        self._passed = 0

    def monotonic(self):
        return super().monotonic() + 60 * self._passed

    def sleep(self, seconds):
        if seconds and any(record.pending and record.pending.is_begun for record in self._site.records()):
            self._fill(free=MiB)
            self._passed += 1
        super().sleep(seconds)

    def make_room(self):
        self._fill(free=1 << 40)


FILLING = [
    ("source", "C", "option vms: 'web': volume C:\\ of hv-a has", "source_volume_full"),
    ("target", "D", f"{TARGET_PATH}: volume D:\\ of hv-b has", "volume_full"),
]


@pytest.mark.parametrize(("side", "letter", "names", "reason"), FILLING, ids=["source", "target"])
def test_volume_that_fills_up_while_the_machine_is_frozen(site, side, letter, names, reason):
    clock = Filling(site, getattr(site, side), letter)
    site.source.fault("Remove-HvrCheckpoint", "fail", error_id="Hvr.Busy", count=3)  # it is removed all the same
    error = refused(site, names=names, clock=clock)
    assert (error["code"], error["reason"]) == ("state_conflict", reason)
    clock.make_room()
    recovers(site)


@pytest.mark.parametrize("kind", ["PassThrough", "VhdSet", "Shared", "Vhd"])
def test_disk_that_cannot_be_replicated(site, kind):
    disk = {"size": 8 * MiB, "location": 3, "kind": kind, "path": f"C:\\VMs\\web\\{kind}.vhds"}
    site.source.call("lab.add_disk", vm_id=site.vm_id, disk=disk)
    error = refused(site, names="option vms: 'web': ")
    assert (error["code"], error["reason"]) == ("request_invalid", "disk_unsupported")
    assert str(Slot("SCSI", 0, 3)) in str(error["message"])
    assert kind in str(error["message"])
    site.source.call("Remove-VMHardDiskDrive", vm_id=site.vm_id, controller="SCSI", number=0, location=3)
    recovers(site)


def test_two_disks_of_one_id(site):
    drive = site.machine("web")["settings"]["drives"][0]
    disk = {"size": 24 * MiB, "location": 3, "disk_id": drive["disk_id"]}
    site.source.call("lab.add_disk", vm_id=site.vm_id, disk=disk)
    error = refused(site, names="option vms: 'web': ")
    assert error["reason"] == "disk_ids_equal"
    assert "SCSI 0:0 and SCSI 0:3" in str(error["message"])


def test_machine_with_checkpoints_disabled(site):
    site.source.call("Set-VM -CheckpointType", vm_id=site.vm_id, checkpoint_type="Disabled")
    error = refused(site, names="option vms: 'web': ")
    assert (error["code"], error["reason"]) == ("request_invalid", "checkpoints_disabled")
    site.source.call("Set-VM -CheckpointType", vm_id=site.vm_id, checkpoint_type="Production")
    recovers(site)


def test_configuration_version_that_is_too_old(site):
    site.source.create_machine("old", folder=f"{FOLDER}\\old", disks=disks(8 * MiB), version="5.0")
    error = refused(site, site.job(vms=["old"]), names="option vms: 'old': ")
    assert (error["code"], error["reason"]) == ("request_invalid", "version_too_old")
    assert "5.0" in str(error["message"])


def test_guest_that_cannot_be_made_consistent(site):
    site.source.call("lab.fail_vss", count=-1)
    error = refused(site, site.job(consistency="application"), names="option consistency: 'application'")
    assert error["reason"] == "checkpoint_failed"
    report = site.run()
    assert report.machines[0].consistency == "Crash"
    assert "crash-consistent instead" in report.machines[0].warnings[0]
    site.source.call("lab.fail_vss", count=1)
    assert site.run().machines[0].consistency == "Application"
    site.prove(points=2)


def test_disabled_job(site):
    report = site.run(site.job(enabled=False))
    assert only_error(report)["reason"] == "job_disabled"
    assert report.outcome is Outcome.FAILED


@pytest.mark.parametrize("side", ["hv-a", "hv-b"])
def test_host_that_is_not_reached(site, side):
    def connect(name):
        if name == side:
            raise TransportError(f"host {name} cannot be reached", hint="check ansible_host", reason="unreachable")
        return site.connect_host(name)

    error = refused(site, names=side, connect_host=connect)
    assert (error["code"], error["reason"]) == ("transport_failed", "unreachable")
    recovers(site)


@contextmanager
def under_way(site, ports):
    """A session that hangs while it makes its checkpoint; afterwards it succeeds."""
    site.source.fault("New-HvrCheckpoint", "hang")
    reports = []
    thread = threading.Thread(target=lambda: reports.append(site.run(site=ports)))
    thread.start()
    try:
        site.target.wait_until(lambda: any(record.pending for record in site.records()), "the checkpoint")
        yield
    finally:
        site.source.call("faults.clear")
        thread.join()
    assert [report.outcome for report in reports] == [Outcome.DONE]


def test_two_jobs_on_one_machine_at_once(site):
    with under_way(site, site.site()):
        error = only_error(site.run(site.job(name="second")))
    assert (error["code"], error["reason"]) == ("state_conflict", "vm_busy")
    assert "machine web is being replicated by another job" in str(error["message"])
    assert site.source_leftovers() == []
    recovers(site)


def test_two_managers_on_one_machine_at_once(site):
    second = site.site(state="other")
    with under_way(site, site.site()):
        error = only_error(site.run(site=second))
    assert (error["code"], error["reason"]) == ("state_conflict", "replica_busy")
    assert "manager mgr-state" in str(error["message"])
    assert site.source_leftovers() == []
    assert site.run(site=second).outcome is Outcome.DONE
    site.prove(points=2)


def test_lease_of_another_manager_holds_until_it_ends(site):
    site.run()
    first, second = site.site(), site.site(state="other")
    record = site.record()
    _take(site, Lease("mgr-1", first.manager_id, uuid.uuid4(), 300.0))
    error = only_error(site.run(site=second))
    assert (error["code"], error["reason"]) == ("state_conflict", "replica_busy")
    assert "manager mgr-1" in str(error["message"])
    site.target.call("lab.set_clock", offset=301)
    assert site.run(site=second).outcome is Outcome.DONE
    assert site.record().epoch == record.epoch + 2


def _take(site, lease):
    """Let another session hold the replica."""
    record = site.record()
    held = replace(record, epoch=record.epoch + 1, revision=record.revision + 1, lease=lease)
    expected = {"ExpectedEpoch": record.epoch, "ExpectedRevision": record.revision}
    site.target.dispatch("Set-HvrReplicaRecord", Folder=record.target.folder, **expected, Record=held.as_text())


@pytest.mark.leaves("checkpoint")  # of the other replica
def test_session_into_another_replica_has_the_machine_frozen(site):
    other = uuid.uuid4()
    site.source.dispatch(
        "New-HvrCheckpoint",
        ReplicaId=other,
        Epoch=1,
        VmId=site.vm_id,
        Name=str(CheckpointName(other, uuid.uuid4())),
        Consistency="Crash",
    )
    error = only_error(site.run())
    assert (error["code"], error["reason"]) == ("state_conflict", "source_busy")
    assert len(site.source_leftovers()) == 1


def test_session_that_was_fenced_changes_nothing(site):
    site.run()
    record = site.record()

    class Takeover(type(site.clock)):
        def sleep(self, seconds):
            if site.record().pending is not None and site.record().epoch == record.epoch + 1:
                _take(site, Lease("x", record.replica_id, uuid.uuid4(), 0.0))
            super().sleep(seconds)

    report = site.run(site=site.site(clock=Takeover()))
    assert only_error(report)["reason"] == "fenced"
    assert site.record().restore_points == record.restore_points
    assert len(site.source_leftovers()) == 1, "it is its successor's"
    assert site.run().outcome is Outcome.DONE
    site.prove(points=2)


def test_session_that_fails_when_another_has_its_replica_leaves_everything_to_it(site):
    def take_and_fail():
        _take(site, Lease("x", uuid.uuid4(), uuid.uuid4(), 0.0))
        raise HypervisorError("no", error_id="Hvr.WrongState")

    ports = Death("checkpoint_disks", instead=take_and_fail).site(site.site())
    assert only_error(site.run(site=ports))["reason"] == "fenced"
    assert len(site.source_leftovers()) == 1
    assert site.run().outcome is Outcome.DONE
    assert site.source_leftovers() == []


@pytest.mark.root
def test_target_volume_that_fills_up_in_the_middle(site):
    site.target.call("lab.mount_volume", letter="D", size=96 * MiB)
    try:
        site.run()
        site.target.call("lab.fill_volume", letter="D", free=12 * MiB)
        chaos = random.Random(1)
        for offset in range(0, 20 * MiB, 4 * MiB):
            site.source.write(site.vm_id, "SCSI 0:0", offset=offset, data=chaos.randbytes(4 * MiB))
        site.source.call("lab.lose_tracking", vm_id=site.vm_id)  # a comparison: nobody can tell what it will write
        report = site.run()
        error = only_error(report)
        assert (error["code"], error["reason"]) == ("state_conflict", "volume_full")
        assert f"{TARGET_PATH}: the volume of hv-b:{REPLICAS}" in str(error["message"])
        assert str(site.folder) not in str(error)  # not in the mover's words
        assert report.machines[0].traffic.read > 4 * MiB  # what was done counts, although it failed
        assert "the lease on the replica stays" in report.machines[0].warnings[-1]  # no room for the record either
        assert site.source_leftovers() == []
        site.prove(points=1)
        site.target.call("lab.fill_volume", letter="D", free=1 << 40)
        recovers(site)
        assert len(site.record().restore_points) == 2
    finally:
        site.close()
        site.target.call("lab.unmount_volumes")
