# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that jump by an hour, before and in the middle of a session.

Movers never ask for the time of day (tests/unit/mover/test_clocks.py), so nobody's clock is theirs to jump.
"""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.site import only_error

HOUR = 3600.0
JUMPS = [(HOUR, False), (-HOUR, True), (-HOUR, False), (HOUR, True)]  # seconds, and whether in the middle


class Clocks:
    """The clocks of the manager and of both hosts; ``jump`` is what they are wrong by."""

    def __init__(self, site):
        self._site = site
        self.ahead = {"manager": 0.0, "source": 0.0, "target": 0.0}
        outer = self

        class Wrong(type(site.clock)):
            def now(self):
                return super().now() + outer.ahead["manager"]

        self.manager = Wrong()

    def jump(self, who, seconds):
        self.ahead[who] += seconds
        if who != "manager":
            host = self._site.source if who == "source" else self._site.target
            host.call("lab.set_clock", offset=self.ahead[who])


class Jumping:
    """A mover during whose transfer a clock jumps."""

    def __init__(self, mover, jump):
        self._mover = mover
        self._jump = jump

    def __getattr__(self, name):
        return getattr(self._mover, name)

    def start_source(self, order):
        jump, self._jump = self._jump, lambda: None
        jump()
        return self._mover.start_source(order)


@pytest.mark.parametrize("who", ["manager", "source", "target"])
def test_clock_that_jumps_costs_nothing(site, who):
    clocks = Clocks(site)
    job = site.job(restore_points=3)
    newest = []
    for number, (seconds, begun) in enumerate(JUMPS):
        site.guest_writes(number + 1, number % 2, number * MiB)

        def jump(seconds=seconds):
            clocks.jump(who, seconds)

        def connect(name, jump=jump, begun=begun):
            mover = site.connect_mover(name)
            return Jumping(mover, jump) if begun and name == "hv-a" else mover

        if not begun:
            jump()
        report = site.run(job, site=site.site(clock=clocks.manager, connect_mover=connect))
        assert report.outcome is Outcome.DONE, (seconds, begun, site.journal.texts)
        assert report.machines[0].warnings == (), (seconds, begun)
        newest.append(report.machines[0].restore_point)
        site.prove(points=min(number + 1, 3))
        record = site.record()
        assert [point.point_id for point in record.restore_points] == newest[-3:], "in the order of the sessions"
        assert [point.cycle_ids[-1] for point in record.restore_points] == [c.cycle_id for c in record.cycles[-3:]]
    assert site.source_leftovers() == []


def test_other_manager_is_kept_away_whatever_its_own_clock_says(site):
    site.run()
    record = site.record()
    clocks = Clocks(site)
    found = []

    def meet(_order=None):
        """In the middle of the first manager's session another one comes, whose clock is an hour ahead, then behind."""
        for seconds in (HOUR, -2 * HOUR):
            clocks.jump("manager", seconds)
            found.append(site.run(site=site.site(state="other", clock=clocks.manager)))

    def connect(name):
        mover = site.connect_mover(name)
        return Jumping(mover, meet) if name == "hv-a" else mover

    assert site.run(site=site.site(connect_mover=connect)).outcome is Outcome.DONE
    assert [report.machines[0].error["reason"] for report in found] == ["replica_busy"] * 2
    assert site.record().epoch == record.epoch + 1
    site.prove(points=2)


def test_lease_that_seems_to_have_ended_is_taken_and_its_session_is_fenced(site):
    site.run()
    clocks = Clocks(site)
    found = []

    def meet():
        clocks.jump("target", HOUR)
        found.append(site.run(site=site.site(state="other")))

    def connect(name):
        mover = site.connect_mover(name)
        return Jumping(mover, meet) if name == "hv-a" else mover

    site.guest_writes(9, 0, 2 * MiB)
    assert only_error(site.run(site=site.site(connect_mover=connect)))["reason"] == "fenced"
    assert found[0].outcome is Outcome.DONE
    assert site.source_leftovers() == []
    site.prove(points=2)
