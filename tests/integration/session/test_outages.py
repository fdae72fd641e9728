# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that cannot be reached for a while: what was asked of them is asked again, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET, only_error


class Line:
    """The way to a host: each call of ``loses(number, name)`` is lost, or its answer when ``after`` is given."""

    def __init__(self, host, *, loses, after=False):
        self._host = host
        self._loses = loses
        self._after = after
        self.calls = []
        self.lost = []

    def __getattr__(self, name):
        found = getattr(self._host, name)
        return (lambda *given, **named: self._carry(name, found, *given, **named)) if callable(found) else found

    def _carry(self, name, real, /, *given, **named):
        self.calls.append(name)
        if not self._loses(self.calls):
            return real(*given, **named)
        self.lost.append(name)
        if self._after:
            real(*given, **named)
        raise TransportError(f"{self._host.name}: connection lost in {name}")


def every_other_once_taken(calls):
    """Lose the first write of the record, then every other call."""
    taken_at = calls.index("write_record") if "write_record" in calls else len(calls)
    return len(calls) > taken_at and (len(calls) - taken_at) % 2 == 1


def run(site, lines, **limits):
    quick = replace(site.site().limits, reconnect_seconds=0.01, **limits)
    return site.run(site.job(restore_points=2), site=site.site(connect_host=lines.__getitem__, limits=quick))


@pytest.mark.parametrize("after", [False, True], ids=["request", "answer"])
def test_every_call_may_be_lost_once(site, after):
    lost = set()
    for number in range(4):
        lines = {name: Line(site.connect_host(name), loses=every_other_once_taken, after=after) for name in site.fronts}
        lines["hv-a"]._loses = lambda calls: len(calls) > 4 and len(calls) % 2 == 0  # after the first look
        report = run(site, lines)
        assert report.outcome is Outcome.DONE, site.journal.texts
        lost |= {name for line in lines.values() for name in line.lost}
        site.guest_writes(number + 3, 0, number * 2 * MiB)
        site.prove(points=min(2, number + 1))
        assert site.source_leftovers() == []
        assert len(site.machine("web")["reference_points"]) == 1
    assert lost >= {"write_record", "create_checkpoint", "convert_checkpoint", "create_restore_point", "activity"}, lost


def test_host_that_is_away_too_long_is_named_and_everything_goes_on_later(site):
    site.run()
    site.source.settle()  # it is the other host that this one is about
    site.target.settle()
    away = Line(site.connect_host(TARGET), loses=lambda calls: "leaves" in calls)
    lines = {name: site.connect_host(name) for name in site.fronts} | {TARGET: away}
    report = run(site, lines, busy_seconds=0.1)
    error = only_error(report)
    assert (error["code"], error["retryable"]) == ("transport_failed", True)
    warnings = report.machines[0].warnings
    assert "connection lost in leaves; trying again" in warnings[0]
    assert "the lease on the replica stays" in warnings[-1]
    assert len(warnings) == 2  # an outage is told once
    assert len(away.lost) > 3
    assert site.source_leftovers() == []
    assert site.run().outcome is Outcome.DONE
    site.prove(points=2)


def test_lease_that_cannot_be_renewed_ends_nothing(site):
    class Slow(type(site.clock)):
        ahead = 0.0

        def monotonic(self):
            return super().monotonic() + self.ahead

        def sleep(self, seconds):
            self.ahead += 90 if seconds else 0
            super().sleep(seconds)

    def loses_one(name):
        def loses(calls):
            records = site.records()
            pending = records[0].pending if records else None
            transferring = pending is not None and pending.step.value == "transfer"
            lost.extend([name] if transferring and calls[-1] == name and name not in lost else [])
            return lost[-1:] == [name] and calls[-1] == name

        return loses

    lost = []
    lines = {
        SOURCE: Line(site.connect_host(SOURCE), loses=loses_one("hold_source")),
        TARGET: Line(site.connect_host(TARGET), loses=loses_one("write_record")),
    }
    limits = replace(site.site().limits, settle_seconds=1e6)
    report = site.run(site=site.site(connect_host=lines.__getitem__, clock=Slow(), limits=limits))
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert sorted(lost) == ["hold_source", "write_record"]
    assert report.machines[0].warnings == ()  # they were renewals: any other loss would have been told
    site.prove(points=1)


@pytest.mark.parametrize("side", ["hv-a", "hv-b"])
def test_transfer_is_not_begun_again_when_its_manager_cannot_ask(site, side):
    line = Line(site.connect_mover(side), loses=lambda calls: 1 < calls.count("status") < 6 and calls[-1] == "status")
    movers = {name: site.connect_mover(name) for name in site.movers} | {side: line}
    report = site.run(site=site.site(connect_mover=movers.__getitem__))
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert line.lost == ["status"] * 4
    assert line.calls.count("start_source" if side == "hv-a" else "open_target") == 2  # once for each disk
    site.prove(points=1)
