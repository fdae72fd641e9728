# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main line: a first copy, then changes, then retention."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.direct_host import DirectHost
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, REPLICAS, SOURCE, TARGET


def test_first_copy_sends_what_is_allocated_and_makes_a_restore_point(site):
    report = site.run()
    assert report.outcome is Outcome.DONE, site.journal.texts
    machine = report.machines[0]
    assert [(disk.scope, disk.reason) for disk in machine.disks] == [("allocated", "first_copy")] * 2
    assert machine.traffic.disk == 40 * MiB
    assert 0 < machine.traffic.read < 8 * MiB
    assert machine.consistency == "Application"
    assert site.source_leftovers() == []
    site.prove(points=1)


def test_second_session_sends_changes_only(site):
    site.run()
    site.guest_writes(7, 0, 10 * MiB)
    site.guest_writes(8, 1, 1 * MiB)
    report = site.run()
    machine = report.machines[0]
    assert [(disk.scope, disk.reason) for disk in machine.disks] == [("changed", "tracked")] * 2
    assert 128 * KiB <= machine.traffic.read <= 2 * MiB
    site.prove(points=2)


def test_record_has_the_age_that_the_job_allows_of_the_newest_point(site):
    for allowed in (3600, None):
        site.run(site.job(rpo_seconds=allowed))
        assert site.record().rpo_seconds == allowed


def test_retention_merges_the_oldest_points(site):
    job = site.job(restore_points=2)
    removed = []
    for number in range(4):
        site.guest_writes(10 + number, 0, number * MiB)
        removed += site.run(job).machines[0].removed_restore_points
    assert len(removed) == 2
    site.prove(points=2)


def test_session_merges_a_bounded_number_of_points(site):
    for _number in range(3):
        site.run()
    few = replace(site.site(), limits=replace(site.site().limits, merges=1))
    report = site.run(site.job(restore_points=1), site=few)
    assert report.outcome is Outcome.DONE
    assert len(report.machines[0].removed_restore_points) == 1
    site.prove(points=3)


def test_single_restore_point_is_kept_right_below_the_leaf(site):
    job = site.job(restore_points=1)
    for number in range(3):
        site.guest_writes(10 + number, 0, number * MiB)
        report = site.run(job)
        assert report.outcome is Outcome.DONE
        assert {disk.reason for disk in report.machines[0].disks} == {"tracked" if number else "first_copy"}
        site.prove(points=1)


def test_session_without_changes_makes_a_point_and_reads_nothing(site):
    site.run()
    report = site.run()
    assert report.machines[0].traffic.read == 0
    assert report.outcome is Outcome.DONE
    site.prove(points=2)


def test_leases_are_renewed_while_a_session_lives(site):
    class Slow(type(site.clock)):
        """Each pause takes 90 s, for the manager and for both hosts."""

        ahead = 0.0

        def monotonic(self):
            return super().monotonic() + self.ahead

        def sleep(self, seconds):
            self.ahead += 90 if seconds else 0
            for host in (site.source, site.target):
                host.call("lab.set_clock", offset=self.ahead)
            ages.extend(row["AgeSeconds"] for row in site.target.dispatch("Find-HvrReplicaRecord", Folder=REPLICAS))
            found = site.source.dispatch("Get-HvrCheckpoint", VmId=site.vm_id)
            leases.extend(row["LeaseSeconds"] for row in found)
            super().sleep(seconds)

    class Resting(type(site.connect_host(TARGET))):
        """A host that takes its time while the source is frozen."""

        def activity(self, vm_id):
            waits.append(vm_id)
            found = super().activity(vm_id)
            return replace(found, is_idle=found.is_idle and len(waits) > 20)

    ages: list[int] = []
    leases: list[int] = []
    waits: list[object] = []
    hosts = {SOURCE: site.connect_host(SOURCE), TARGET: Resting(DirectHost(TARGET, site.fronts[TARGET]))}
    limits = replace(site.site().limits, lease_seconds=450.0, checkpoint_seconds=450.0, settle_seconds=1e6)
    slow = site.site(clock=Slow(), limits=limits, connect_host=hosts.__getitem__)
    assert site.run(site=slow).outcome is Outcome.DONE, site.journal.texts
    assert len(leases) > 20
    assert max(ages) < 2 * 90 + 5
    assert min(leases) > 450 - 2 * 90 - 5
    assert site.record().lease is None
    site.prove(points=1)


@pytest.mark.parametrize(("generation", "controller"), [(1, "IDE"), (2, "SCSI")])
def test_fixed_disks_and_both_generations(site, generation, controller):
    fixed = {"size": 8 * MiB, "controller": controller, "fixed": True}
    dynamic = {"size": 8 * MiB, "location": 3}
    vm_id = site.source.create_machine(
        "other", folder=f"{FOLDER}\\other", generation=generation, disks=[fixed, dynamic]
    )
    site.source.call("Start-VM", vm_id=vm_id)
    job = site.job(vms=["other"])
    for number in range(2):
        site.source.write(vm_id, f"{controller} 0:0", offset=number * MiB, data=b"fixed..." * 512)
        site.source.write(vm_id, "SCSI 0:3", offset=number * MiB, data=b"dynamic." * 512)
        report = site.run(job)
        assert report.outcome is Outcome.DONE, site.journal.texts
        assert {disk.reason for disk in report.machines[0].disks} == {"tracked" if number else "first_copy"}
        site.prove("other", points=number + 1)
    replica = site.machine("other_replica", host=site.target)
    assert replica["generation"] == generation
    allocations = {str(disk.slot): disk.geometry.allocation for disk in site.record("other").disks}
    assert allocations == {f"{controller} 0:0": Allocation.FIXED, "SCSI 0:3": Allocation.DYNAMIC}
    base = next(disk.base for disk in site.record("other").disks if disk.geometry.allocation is Allocation.FIXED)
    assert site.target.local_path(base).stat().st_size > 8 * MiB


def test_certificate_that_ends_soon_is_told(site):
    class Later(type(site.clock)):
        def now(self):
            return super().now() + days * 86400

    days = 0
    assert site.run().machines[0].warnings == ()
    days = 70
    report = site.run(site=site.site(clock=Later()))
    assert report.outcome is Outcome.DONE, site.journal.texts
    told = [text.partition(" ends at ")[0] for text in report.machines[0].warnings]
    assert told == [f"the certificate of mover {name}" for name in site.movers]
