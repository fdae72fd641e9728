# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main line: a first copy, then changes, then retention."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB


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


def test_retention_merges_the_oldest_points(site):
    job = site.job(restore_points=2)
    removed = []
    for number in range(4):
        site.guest_writes(10 + number, 0, number * MiB)
        removed += site.run(job).machines[0].removed_restore_points
    assert len(removed) == 2
    site.prove(points=2)


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


def test_lease_is_renewed_while_a_session_lives(site):
    class Slow(type(site.clock)):
        ahead = 0.0

        def now(self):
            return super().now() + self.ahead

        def sleep(self, seconds):
            self.ahead += 30 if seconds else 0
            leases.append(site.records()[0].lease.until if site.records() else 0.0)
            super().sleep(seconds)

    leases: list[float] = []
    assert site.run(site=site.site(clock=Slow())).outcome is Outcome.DONE
    assert leases[-1] > leases[3] + 60
    assert site.record().lease is None
    site.prove(points=1)
