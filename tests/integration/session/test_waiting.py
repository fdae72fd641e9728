# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A transfer whose mover is away: tried every 15 seconds for 30 minutes, and shown as waiting meanwhile."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.session_files import SessionFiles
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import StoppableClock
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Limits
from ansible_collections.opendr.hyperv.tests.integration.session.test_outages import Line
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET, only_error

MINUTE = 60.0


class FastClock(StoppableClock):
    """Whoever waits moves it; hardly any real time passes."""

    def __init__(self):
        super().__init__()
        self.ahead = 0.0

    def now(self):
        return super().now() + self.ahead

    def monotonic(self):
        return super().monotonic() + self.ahead

    def sleep(self, seconds):
        self.ahead += seconds
        super().sleep(min(seconds, 0.001))


def run_without_mover(site, side, *, minutes):
    """Run a session whose mover is gone for the manager after its order; return the report and when it tried."""
    clock, tries = FastClock(), []
    movers = {name: site.connect_mover(name) for name in site.movers}

    def away(calls):
        if "status" not in calls or calls[-1] == "close":
            return False
        tries.append(clock.ahead)
        return clock.ahead - tries[0] < minutes * MINUTE

    movers[side] = Line(movers[side], loses=away)
    limits = replace(Limits(), disks=1, poll_seconds=5.0)
    report = site.run(site=site.site(connect_mover=movers.__getitem__, clock=clock, limits=limits))
    return report, tries


@pytest.mark.parametrize("side", [SOURCE, TARGET])
def test_mover_that_comes_back_after_29_minutes_is_waited_for(site, side):
    report, tries = run_without_mover(site, side, minutes=29)
    assert report.outcome is Outcome.DONE, site.journal.texts
    lost = [time for time in tries if time - tries[0] < 29 * MINUTE]
    steps = {round(after - before) for before, after in itertools.pairwise(lost)}
    assert steps == {15}
    assert len(lost) == 29 * 4
    site.prove(points=1)


def test_mover_that_stays_away_ends_the_session_after_30_minutes(site):
    report, tries = run_without_mover(site, TARGET, minutes=99)
    error = only_error(report)
    assert (error["code"], error["retryable"]) == ("transport_failed", True)
    assert 30 * MINUTE <= tries[-1] - tries[0] < 31 * MINUTE
    assert site.source_leftovers() == []
    assert site.run().outcome is Outcome.DONE
    site.prove(points=1)


def test_waiting_transfer_has_no_rate_and_says_what_it_waits_for(site, tmp_path):
    _report, _tries = run_without_mover(site, TARGET, minutes=5)
    disks = [status.disks[0] for status in site.journal.statuses if status.disks]
    waiting = [disk for disk in disks if disk.waiting]
    assert {disk.amount.rate for disk in waiting} == {0}
    assert all(disk.waiting.startswith("waiting for mover hv-b since 20") for disk in waiting)
    assert disks[-1].waiting == ""
    heard = heartbeat(
        tmp_path, next(status for status in site.journal.statuses if status.disks and status.disks[0].waiting)
    )
    assert f", {waiting[0].waiting}" in heard
    assert "left" not in heard
    assert "/s" not in heard


def heartbeat(tmp_path, machine):
    """Return what a reader hears after a minute in which nothing else was said."""
    assert machine.phase is Phase.TRANSFER
    folder, clock = StateFolder(str(tmp_path / "heartbeat")), FastClock()
    folder.make()
    session_id = machine.vm_id
    (tmp_path / "heartbeat" / "sessions" / str(session_id)).mkdir(parents=True)
    files = SessionFiles(folder, session_id=session_id, job="web", manager="mgr", machines=["web"], clock=clock)
    files.publish(machine)
    clock.ahead += MINUTE
    files.tick()
    files.close()
    return (tmp_path / "heartbeat" / "sessions" / str(session_id) / "events.jsonl").read_text()
