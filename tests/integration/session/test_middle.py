# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody between manager, source mover and target mover: sessions go on or end with a clean error; no point is wrong.

Connections that break are made again within the session. A peer that loses, repeats or damages frames is found: the
session tries once more, or ends with ``peer_protocol`` or ``integrity_failed``.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.mover_client import MoverClient
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import Patience
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Mover
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.lab.middle import ByteMiddle, Fault, Faults, FrameMiddle, What
from ansible_collections.opendr.hyperv.tests.lab.site import MANAGER, QUICK, only_error

OPTIONS = {"restore_points": 2, "block_size": 256 * KiB, "compression": "none"}
LIES = {What.LOST, What.TWICE, What.DAMAGED}
CLEAN = {"peer_protocol", "integrity_failed", "transport_failed"}


class MiddleSite(WebSite):
    """A site with somebody in the middle of each connection to a mover."""

    timing = MappingProxyType({**QUICK, "heartbeat": 0.3, "flush": 0.0})

    def __init__(self, folder: Path, *, sees_frames: bool) -> None:
        super().__init__(folder)
        self.faults = Faults()
        self.middles = {
            name: FrameMiddle(name, mover.port, faults=self.faults, files=self.files)
            if sees_frames
            else ByteMiddle(name, mover.port, faults=self.faults)
            for name, mover in self.movers.items()
        }

    def close(self) -> None:
        super().close()
        for middle in self.middles.values():
            middle.close()

    def connect_mover(self, name: str) -> Mover:
        patience = Patience(connect=5.0, silence=10.0, heartbeat=0.3)
        return MoverClient(name, ("127.0.0.1", self.middles[name].port), files=self.files[MANAGER], patience=patience)

    def change(self, fill: int) -> None:
        """Let the guest write here and there."""
        for number, location in enumerate((0, 1, 0, 1)):
            self.guest_writes(fill % 250 + 1, location, (fill * 3 + number * 2) % 15 * MiB, 100 * KiB)


@contextmanager
def middle_site(folder: Path, *, sees_frames: bool) -> Iterator[MiddleSite]:
    with MiddleSite(folder, sees_frames=sees_frames) as site:
        for turn in range(2):
            site.change(turn)
            site.run(site.job(**OPTIONS))
        site.change(9)
        yield site


def strike(site: MiddleSite, fault: Fault) -> str:
    """Run a session with a fault, and one without; return how the first ended."""
    try:
        for part in (1.0, 0.6, 0.3):  # how often a manager asks depends on the load of this machine
            site.change(fault.seed)
            epoch = site.record().epoch
            site.faults.plan(replace(fault, nth=max(1, int(fault.nth * part))))
            report = site.run(site.job(**OPTIONS))
            struck = site.faults.struck
            site.faults.plan()
            if struck:
                break
        how = "done" if report.outcome is Outcome.DONE else str(only_error(report)["code"])
        assert struck, "the fault did not strike"
        assert how == "done" or how in CLEAN, only_error(report)
        if fault.what not in LIES and how != "done":  # only before the replica was taken is nothing tried twice
            assert (how, site.record().epoch) == ("transport_failed", epoch), only_error(report)
        assert site.source_leftovers() == []
        if how != "done":
            assert site.run(site.job(**OPTIONS)).outcome is Outcome.DONE
        site.prove(points=2)
    except Exception as error:
        raise AssertionError(f"OPENDR_SEED={fault.seed}: {fault}") from error
    return how


def chosen(faults: list[Fault]) -> list[Fault]:
    only = os.environ.get("OPENDR_SEED")
    return [fault for fault in faults if only is None or fault.seed == int(only)]


def frame_faults(trace: list[str], what: What, *, each: int, first_seed: int) -> list[Fault]:
    """Return a fault at ``each`` frames of every kind and direction, each with a seed of its own."""
    places = [
        (where, nth)
        for where, count in sorted(Counter(trace).items())
        for nth in sorted({1 + int((part + 0.5) * count / min(each, count)) for part in range(min(each, count))})
    ]
    return chosen([Fault(what, *place, seed=first_seed + number) for number, place in enumerate(places)])


def walk_frames(folder: Path, what: What, *, each: int, first_seed: int) -> Counter[str]:
    """Strike at frames of every kind in each direction."""
    outcomes: Counter[str] = Counter()
    with middle_site(folder, sees_frames=True) as site:
        site.faults.plan()
        site.run(site.job(**OPTIONS))
        for fault in frame_faults(site.faults.trace, what, each=each, first_seed=first_seed):
            outcomes[strike(site, fault)] += 1
    print(f"frames {what.value}, {outcomes.total()} points: {dict(outcomes)}")
    return outcomes


@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", What)
def test_fault_at_frames_of_every_kind(tmp_path, what):
    outcomes = walk_frames(tmp_path, what, each=1, first_seed=0)
    assert outcomes.total() >= 15 or "OPENDR_SEED" in os.environ


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", What)
def test_fault_at_every_frame(tmp_path, what):
    for turn in range(1, 4):
        walk_frames(tmp_path / str(turn), what, each=10**6, first_seed=turn * 1000)


def strike_bytes(folder: Path, seeds: range) -> Counter[str]:
    """Strike anywhere in the bytes of TLS records; whatever happens there is a fault of the network."""
    outcomes: Counter[str] = Counter()
    with middle_site(folder, sees_frames=False) as site:
        site.faults.plan()
        site.run(site.job(**OPTIONS))
        counts = sorted(Counter(site.faults.trace).items())
        for seed in seeds:
            chance = random.Random(seed)
            where, count = chance.choice(counts)
            fault = Fault(list(What)[seed % len(What)], where, nth=chance.randint(1, max(1, count // 2)), seed=seed)
            outcomes.update(strike(site, each) for each in chosen([fault]))
    print(f"bytes, {outcomes.total()} points: {dict(outcomes)}")
    return outcomes


@pytest.mark.timeout(900)
def test_fault_anywhere_in_the_bytes_of_a_connection(tmp_path):
    strike_bytes(tmp_path, range(18))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_faults_anywhere_in_the_bytes_of_a_connection_for_long(tmp_path):
    strike_bytes(tmp_path, range(1000, 1500))
