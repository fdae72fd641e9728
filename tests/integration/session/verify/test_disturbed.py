# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifications that are killed, cancelled, or have somebody working on machine or replica meanwhile."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import Verdict
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.integration.session.test_leases import let_leases_end
from ansible_collections.opendr.hyperv.tests.integration.session.verify.verifying import (
    PIECE,
    PLACES,
    checked,
    files,
    first,
    remove_by_hand,
    verdicts,
    verify,
)
from ansible_collections.opendr.hyperv.tests.lab.rot import rot
from ansible_collections.opendr.hyperv.tests.lab.site import only_error


def test_guest_that_writes_meanwhile_disturbs_nothing(site):
    class Writing(type(site.clock)):
        count = 0

        def sleep(self, seconds):
            self.count += 1
            site.guest_writes(self.count, self.count % 2, self.count % 10 * MiB)
            super().sleep(seconds)

    clock = Writing()
    rot(files(site)["base"], PLACES["base"])
    report = verify(site, ports=site.site(clock=clock))
    assert clock.count > 3
    assert first(report.machines[0].disks).bad == (Extent(PLACES["base"], PIECE),)
    assert [len(disk.bad) for disk in report.machines[0].disks].count(0) == 1
    site.run()
    site.prove(points=2, newest=1)


KILLS = [
    ("write_record", 1, True),
    ("create_checkpoint", 1, True),
    ("start_source", 2, True),
    ("write_record", 2, True),
    ("remove_checkpoint", 1, False),
    ("remove_checkpoint", 1, True),
]


@pytest.mark.parametrize(("function", "nth", "after"), KILLS)
def test_killed_verification_leaves_nothing_that_the_next_session_does_not_clean(site, function, nth, after):
    death = Death(function, nth=nth, after=after)
    with pytest.raises(Killed):
        verify(site, ports=death.site(site.site()))
    assert site.run().outcome is Outcome.DONE
    assert site.source_leftovers() == []
    site.prove(points=2)


def test_verification_that_was_killed_is_run_again(site):
    with pytest.raises(Killed):
        verify(site, ports=Death("start_source", nth=2, after=True).site(site.site()))
    assert len(site.source_leftovers()) == 1
    assert checked(verify(site)).verdict is Verdict.GOOD
    assert site.source_leftovers() == []


def test_cycle_of_a_dead_session_is_left_alone_and_goes_on(site):
    site.guest_writes(9, 0, 2 * MiB)
    with pytest.raises(Killed):
        site.run(site=Death("start_source", nth=2, after=True).site(site.site()))
    before = site.record().pending
    assert checked(verify(site)).verdict is Verdict.GOOD
    assert site.record().pending == before
    assert {disk.reason for disk in site.run().machines[0].disks} == {"resumed"}
    site.prove(points=2)


def test_cycle_that_began_before_a_bad_verification_is_no_repair(site):
    site.guest_writes(9, 0, 2 * MiB)
    with pytest.raises(Killed):
        site.run(site=Death("create_restore_point").site(site.site()))
    rot(files(site)["base"], PLACES["base"])
    assert only_error(verify(site))["reason"] == "restore_point_bad"
    site.run()
    assert first(site.record().disks).repairs == ()
    site.prove(points=3, newest=1)


class Between:
    """A clock that lets something happen once, while a verification compares."""

    def __init__(self, site, happens):
        between = self

        class Clock(type(site.clock)):
            def sleep(self, seconds):
                told = site.journal
                if not between.has_happened and told.statuses and told.statuses[-1].phase is Phase.VERIFY:
                    between.has_happened = True
                    between.result = happens()
                    site.journal = told
                super().sleep(seconds)

        self.has_happened = False
        self.result = None
        self.clock = Clock()


@pytest.mark.parametrize(("state", "reason"), [("state", "vm_busy"), ("other", "replica_busy")])
def test_replication_is_refused_while_a_verification_runs(site, state, reason):
    between = Between(site, lambda: site.run(site=site.site(state=state)))
    assert checked(verify(site, ports=site.site(clock=between.clock))).verdict is Verdict.GOOD
    assert only_error(between.result)["reason"] == reason
    assert site.run().outcome is Outcome.DONE
    site.prove(points=2)


def test_cancelled_verification_leaves_nothing(site):
    def stop():
        between.clock.stop()

    between = Between(site, stop)
    report = verify(site, ports=site.site(clock=between.clock))
    assert report.outcome is Outcome.CANCELLED
    assert (site.source_leftovers(), site.record().lease, verdicts(site)) == ([], None, [None])


def test_files_that_somebody_merges_meanwhile_are_not_called_bad(layered):
    site = layered
    between = Between(site, lambda: remove_by_hand(site, 0))
    assert only_error(verify(site, ports=site.site(clock=between.clock)))["reason"] == "leaf_touched"
    assert verdicts(site) == [None] * 3


def test_source_that_is_not_frozen_any_more_says_nothing(site):
    between = Between(site, lambda: let_leases_end(site))
    assert only_error(verify(site, ports=site.site(clock=between.clock)))["reason"] == "checkpoint_lost"
    assert verdicts(site) == [None]
