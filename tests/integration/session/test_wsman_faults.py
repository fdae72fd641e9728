# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the hosts are lost before or after they were done, turned away, slow, or find their shells gone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.hypervisor import PsrpHypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import (
    HostConnectionSettings,
    PsrpHost,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.integration.session.test_waiting import FastClock
from ansible_collections.opendr.hyperv.tests.lab.site import PASSWORD, USER, only_error
from ansible_collections.opendr.hyperv.tests.lab.wsman.faults import FaultKind, Faults, Rule
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer


class TracingFaults(Faults):
    """Counts the requests of each operation, too."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def take(self, operation: str) -> Rule | None:
        self.seen[operation] += 1
        return super().take(operation)


class WsmanSite(WebSite):
    """A site whose hosts are reached over WSMan and PSRP."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.faults = {name: TracingFaults() for name in self.fronts}
        self.servers, self._reached = {}, {}
        for name, front in self.fronts.items():
            files = self.authority.issue(name, role="host")
            server = WsmanServer(front, files=files, users={USER: PASSWORD}).start()
            server.faults = self.faults[name]
            self.servers[name] = server
            values = {
                "address": "localhost",
                "port": server.port,
                "user": USER,
                "auth": "basic",
                "ca_cert": str(files.ca),
            }
            settings = HostConnectionSettings.from_topology(name, values, password=PASSWORD)
            self._reached[name] = PsrpHypervisor(PsrpHost(settings, clock=FastClock()))

    def connect_host(self, name: str) -> PsrpHypervisor:
        return self._reached[name]

    def close(self) -> None:
        super().close()
        for host in self._reached.values():
            host.close()
        for server in self.servers.values():
            server.stop()

    def session(self):
        for faults in self.faults.values():
            faults.seen.clear()
        return self.run(self.job(restore_points=2), site=self.site(clock=FastClock()))


@contextmanager
def wsman_site(folder: Path) -> Iterator[WsmanSite]:
    with WsmanSite(folder) as site:
        for turn in range(2):
            site.guest_writes(turn + 1, 0, turn * MiB)
            assert site.session().outcome is Outcome.DONE
        yield site


Point = tuple[int, str, str, int]  # seed, host, operation, number of the request


def strike(site: WsmanSite, kind: FaultKind, point: Point) -> str:
    """Run a session with a fault, and one without when that failed; return how the first ended."""
    seed, host, operation, nth = point
    try:
        site.guest_writes(seed % 250 + 1, 0, seed % 20 * MiB)
        epoch, faults = site.record().epoch, site.faults[host]
        faults.add(operation, kind, skip=nth - 1, delay_seconds=0.3)
        report = site.session()
        assert faults.pending == 0, "the fault did not strike"
        how = "done"
        if report.outcome is not Outcome.DONE:  # nothing is tried twice before the replica was taken
            error = only_error(report)
            assert (error["code"], site.record().epoch) == ("transport_failed", epoch), error
            how = "refused"
            assert site.session().outcome is Outcome.DONE
        assert site.source_leftovers() == []
        assert len(site.machine("web")["reference_points"]) == 1
        site.prove(points=2)
    except Exception as error:
        raise AssertionError(f"OPENDR_SEED={seed}: {kind.value} {operation} {nth} of {host}") from error
    return how


def points_of(seen: dict[str, Counter[str]], *, each: int, first_seed: int) -> list[Point]:
    """Return ``each`` of the requests of every operation to every host, evenly spread."""
    places = [
        (host, operation, nth)
        for host, counts in sorted(seen.items())
        for operation, count in sorted(counts.items())
        for nth in sorted({1 + int((part + 0.5) * count / min(each, count)) for part in range(min(each, count))})
    ]
    only = os.environ.get("OPENDR_SEED")
    points = [(first_seed + number, *place) for number, place in enumerate(places)]
    return [point for point in points if only is None or point[0] == int(only)]


def walk(folder: Path, kinds: Sequence[FaultKind], *, each: int, first_seed: int) -> Counter[str]:
    """Strike with faults of each kind; with several, each at some of the places only."""
    outcomes: Counter[str] = Counter()
    with wsman_site(folder) as site:
        site.session()
        seen = {host: Counter(faults.seen) for host, faults in site.faults.items()}
        for point in points_of(seen, each=each, first_seed=first_seed):
            for kind in kinds[point[0] % 2 :: 2] if len(kinds) > 1 else kinds:
                outcomes[f"{kind.value} {strike(site, kind, point)}"] += 1
    print(f"WSMan, {outcomes.total()} points: {dict(outcomes)}")
    return outcomes


@pytest.mark.timeout(900)
def test_fault_at_requests_of_every_operation(tmp_path):
    outcomes = walk(tmp_path, list(FaultKind), each=1, first_seed=0)
    assert {f"{kind.value} done" for kind in FaultKind} <= outcomes.keys() or "OPENDR_SEED" in os.environ


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", FaultKind)
def test_fault_at_every_request(tmp_path, kind):
    walk(tmp_path, [kind], each=10**6, first_seed=1000)
