# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two managers with two catalogs, three starters each (slices of one AWX job), on the same machines at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import open_catalog, sqlite_url
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.catalog.conftest import new_database, postgresql
from ansible_collections.opendr.hyperv.tests.integration.session.manager import Manager, Status, is_over
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, ProcessSite, disks

MACHINES = ("web", "db")
STARTERS = 3
BUSY = {"replica_busy", "vm_busy"}

__all__ = ["new_database", "postgresql"]  # fixtures


@dataclass(frozen=True)
class Turn:
    """A session of a round: who ran it, how it ended."""

    manager: Manager
    session_id: str
    result: Status

    def machine(self, name: str) -> Status | None:
        return next((each for each in self.result["machines"] if each["name"] == name), None)

    def held(self, name: str) -> tuple[float, float]:
        """Return when the session had surely taken a machine's replica, and when it had not given it back yet."""
        events = [event for event in self.manager.events(self.session_id) if event["machine"] == name]
        begin, end = (
            next(event["time"] for event in events if (event["kind"], event["phase"]) == ("phase", phase))
            for phase in ("checkpoint", "release")
        )
        return begin, end


class Race:
    """The site, its managers, and their jobs: one of both machines on each, another one of ``db`` on the first."""

    def __init__(self, site: ProcessSite, urls: tuple[str, str]) -> None:
        self.site = site
        self.urls = urls
        self.managers = [
            Manager(site, state=name, catalog_url=url) for name, url in zip(("first", "second"), urls, strict=True)
        ]
        self.pair = site.job(name="pair", vms=list(MACHINES), restore_points=3)
        self.single = site.job(name="single", vms=["db"], restore_points=3)
        self.vm_ids = {}
        for name in MACHINES:
            self.vm_ids[name] = site.source.create_machine(name, folder=f"{FOLDER}\\{name}", disks=disks(8 * MiB))
            site.source.call("Start-VM", vm_id=self.vm_ids[name])

    def round(self) -> list[Turn]:
        """Start everything at once; nobody gets beyond his first look before all have been started."""
        for vm_id in self.vm_ids.values():
            self.site.source.write(vm_id, "SCSI 0:0", offset=MiB, data=os.urandom(64 * 1024))
        self.site.target.fault("Find-HvrReplicaRecord", "hang", count=1000)
        first, second = self.managers
        starts = [(manager, self.pair) for manager in (first, second) for _starter in range(STARTERS)]
        with ThreadPoolExecutor(len(starts) + 1) as pool:
            answers = [pool.submit(manager.start, job) for manager, job in [*starts, (first, self.single)]]
            told = [answer.result() for answer in answers]
        self.site.target.call("faults.clear")
        for manager, mine in ((first, told[:STARTERS]), (second, told[STARTERS:-1])):
            assert sorted(answer["attached"] for answer in mine) == [False, True, True], manager.state_dir
            assert len({answer["session_id"] for answer in mine}) == 1
        sessions = [(first, told[0]), (second, told[STARTERS]), (first, told[-1])]
        return [self._end(manager, str(answer["session_id"])) for manager, answer in sessions]

    def _end(self, manager: Manager, session_id: str) -> Turn:
        return Turn(manager, session_id, manager.wait(session_id, is_over)["result"])


@pytest.fixture
def race(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Race]:
    with ProcessSite(tmp_path) as site:
        yield Race(site, (sqlite_url(str(tmp_path / "first.sqlite")), new_database()))


def check_round(race: Race, turns: list[Turn], *, name: str, before: int) -> int:
    """Assert what is true of one machine after a round; return how many sessions replicated it."""
    done: list[tuple[Turn, Status]] = []
    refused: list[tuple[Turn, Status]] = []
    for turn in turns:
        machine = turn.machine(name)
        if machine is not None:
            (done if machine["error"] is None else refused).append((turn, machine))
    assert done, "each round ends with a restore point"
    for _turn, machine in refused:
        assert machine["error"]["reason"] in BUSY, machine
        assert "manager" in machine["error"]["message"], "it says who has it"
    spans = sorted(turn.held(name) for turn, _machine in done)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans)), "never two sessions in one replica"
    record = race.site.record(name)
    ids = [str(cycle.session_id) for cycle in record.cycles]
    made = [turn.session_id for turn, _machine in done]
    assert sorted(ids[-len(made) :]) == sorted(made), "none is lost"
    assert len(record.restore_points) == min(3, before + len(made))
    assert record.lease is None
    race.site.prove(name, points=len(record.restore_points))
    return len(made)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("new_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.soak)])
def test_managers_never_work_on_one_replica_at_once_and_lose_none(race, rounds):
    made = dict.fromkeys(MACHINES, 0)
    sessions: list[Turn] = []
    for _round in range(rounds):
        turns = race.round()
        sessions += turns
        for name in MACHINES:
            made[name] += check_round(race, turns, name=name, before=made[name])
        assert race.site.source_leftovers("web") == race.site.source_leftovers("db") == []
    assert len(race.site.records()) == len(MACHINES)
    for manager, url in zip(race.managers, race.urls, strict=True):
        catalog = open_catalog(url)
        known = {str(entry.session_id) for entry in catalog.sessions(limit=1000)}
        catalog.close()
        assert known == {turn.session_id for turn in sessions if turn.manager is manager}
