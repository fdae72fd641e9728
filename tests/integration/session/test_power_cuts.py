# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The power of the target is cut at an operation on its volume: no restore point is wrong, the next session goes on.

Operations are enumerated from a traced session: every write, resize and flush of leaf, new image, journal, epoch and
record, every name that is made, replaced or removed, every flush of a folder. Most managers die with the target, each
fourth lives on and goes on by itself.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import open_for_reading
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.bat import ENTRY_SIZE, State
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome, SessionReport
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Killed
from ansible_collections.opendr.hyperv.tests.lab.power import Power
from ansible_collections.opendr.hyperv.tests.lab.site import QUICK, TARGET

OPTIONS = {"restore_points": 2, "block_size": 256 * KiB, "compression": "none"}


class PoweredSite(WebSite):
    """A site whose target may lose its power; each unit is made durable at once."""

    timing = MappingProxyType({**QUICK, "flush": 0.0})

    def __init__(self, folder: Path) -> None:
        self.power = Power([folder / TARGET / "volumes", folder / f"mover-{TARGET}"])
        self._seed = 0
        self.reboots = 0
        super().__init__(folder)

    def change(self, fill: int) -> None:
        """Let the guest write here and there."""
        for number, location in enumerate((0, 1) * 4):
            self.guest_writes(fill % 250 + 1, location, (fill * 3 + number * 2) % 15 * MiB, 100 * KiB)

    def session(self, *, cut_at: tuple[str, int] = ("", 0), seed: int = 0, dies: bool = False) -> None:
        """Run a session during which the power is cut; the manager dies with it, or goes on."""
        self._seed = seed
        self.power.arm(*cut_at)
        ports = self.site(
            connect_host=lambda name: Powered(self.connect_host(name), self, dies=dies, is_target=name == TARGET),
            connect_mover=lambda name: Powered(self.connect_mover(name), self, dies=dies, is_target=name == TARGET),
        )
        ports = replace(ports, limits=replace(ports.limits, reconnect_seconds=0.05))
        try:
            report = self.run(self.job(**OPTIONS), site=ports)
            assert report.outcome is Outcome.DONE, report.machines[0].error
        except Killed:
            self.reboot()

    def reboot(self) -> None:
        """The target comes back, without what was not durable."""
        self.stop_mover(TARGET)
        self.power.restore(self._seed)
        self.restart_host(TARGET)
        self.reboots += 1
        self.start_mover(TARGET, serves=[TARGET])


class Powered:
    """A port of a manager that finds the target without power: it dies too, or sees it come back after a moment."""

    def __init__(self, port, site, *, dies, is_target):
        self._port = port
        self._site = site
        self._dies = dies
        self._is_target = is_target

    def __getattr__(self, name):
        found = getattr(self._port, name)
        if not callable(found) or name == "close":
            return found
        return lambda *given, **named: self._call(found, *given, **named)

    def _call(self, real, /, *given, **named):
        try:
            result = real(*given, **named)
        except Exception as error:
            self._look(error)
            raise
        self._look(None)
        return result

    def _look(self, error):
        """A call in whose time the power failed has no answer."""
        if not self._site.power.is_off:
            return
        if self._dies:
            raise Killed from error
        self._site.reboot()
        if self._is_target:
            raise TransportError("the power of hv-b has failed") from error


@contextmanager
def powered(folder: Path) -> Iterator[PoweredSite]:
    site = PoweredSite(folder)
    with site.power.installed(), site:
        yield site


def seeds_of(trace: list[str], *, each: int, spread: int) -> list[tuple[int, str, int]]:
    """Return seed, kind and number of operations: ``each`` of every kind, evenly spread, with first and last."""
    points = []
    for kind, count in sorted(Counter(trace).items()):
        chosen = {round(1 + part * (count - 1) / max(1, each - 1)) for part in range(min(each, count))}
        points += [(kind, nth) for nth in sorted(chosen)]
    found = [(spread * 1000 + number, kind, nth) for number, (kind, nth) in enumerate(points)]
    only = os.environ.get("OPENDR_SEED")
    return [point for point in found if only is None or point[0] == int(only)]


def how_it_went_on(report: SessionReport) -> set[str]:
    """Return what the session after the cut decided for each disk."""
    (machine,) = report.machines
    if any("fresh one" in warning for warning in machine.warnings):
        return {"fresh leaf"}
    return {
        "went on" if disk.reason == "resumed" and disk.traffic.read < disk.traffic.total else disk.reason
        for disk in machine.disks
    }


def cut_and_go_on(site: PoweredSite, point: tuple[int, str, int]) -> set[str]:
    """Cut at a point, run again, prove every restore point; return what was decided."""
    seed, kind, nth = point
    said = f"OPENDR_SEED={seed}: {kind} number {nth}"
    dies = seed % 4 != 0
    try:
        before = site.reboots
        for fewer in range(4):  # the traced session may have had some more of them
            site.session(cut_at=(kind, max(1, nth - fewer)), seed=seed, dies=dies)
            if site.reboots > before:
                break
            site.change(seed)
        assert site.reboots == before + 1, "the power was not cut"
        site.change(seed + 7)
        report = site.run(site.job(**OPTIONS))
        assert report.outcome is Outcome.DONE, report.as_dict()
        site.prove(points=len(site.record().restore_points))
        assert site.source_leftovers() == []
    except Exception as error:
        raise AssertionError(said) from error
    return how_it_went_on(report) if dies else {"the manager lived on"}


def walk_first(folder: Path, *, each: int, spread: int) -> Counter[str]:
    """Cut in first sessions, each of a new replica."""
    with powered(folder / "traced") as site:
        site.session()
        points = seeds_of(site.power.trace, each=each, spread=spread)
    outcomes: Counter[str] = Counter()
    for point in points:
        with powered(folder / str(point[0])) as site:
            outcomes.update(cut_and_go_on(site, point))
    return outcomes


def walk_later(folder: Path, *, each: int, spread: int, compare: bool) -> Counter[str]:
    """Cut in later sessions of one replica, which send changes or compare."""
    outcomes: Counter[str] = Counter()
    with powered(folder) as site:
        for turn in range(3):
            site.change(turn)
            site.session()
            if compare:
                site.source.fault("Get-HvrChangedRange", "fail", error_id="Hvr.TrackingLost", count=10**6)
        for point in seeds_of(site.power.trace, each=each, spread=spread):
            site.change(point[0])
            outcomes.update(cut_and_go_on(site, point))
    return outcomes


WALKS: Mapping[str, Callable[..., Counter[str]]] = {
    "first copy": walk_first,
    "changes": partial(walk_later, compare=False),
    "compare": partial(walk_later, compare=True),
}


def walk(folder: Path, name: str, *, each: int, spread: int) -> Counter[str]:
    outcomes = WALKS[name](folder, each=each, spread=spread)
    print(f"power cuts, {name}, {outcomes.total()} points and disks: {dict(outcomes)}")
    return outcomes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WALKS)
def test_power_cut_at_operations_of_every_kind(tmp_path, name):
    outcomes = walk(tmp_path, name, each=2 if name == "first copy" else 3, spread=0)
    assert {"the manager lived on", "went on", "resumed"} <= outcomes.keys() or "OPENDR_SEED" in os.environ


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", WALKS)
def test_power_cut_at_every_operation(tmp_path, name):
    for spread in range(1, 9):
        walk(tmp_path / str(spread), name, each=10**6, spread=spread)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PoweredSite]:
    """A site with two restore points, and changes since."""
    with powered(tmp_path) as made:
        for turn in range(2):
            made.change(turn)
            made.session()
        made.change(9)
        yield made


def leaves(site: PoweredSite) -> list[Path]:
    return [site.target.local_path(disk.leaf) for disk in site.record().disks]


def test_leaf_that_lost_what_it_had_flushed_is_written_from_the_start(site):
    before = {leaf: leaf.read_bytes() for leaf in leaves(site)}
    site.session(cut_at=("flush leaf", 9), seed=1, dies=True)
    for leaf, content in before.items():
        leaf.write_bytes(content)  # as a snapshot of the volume brings it back, while the journal was elsewhere
    report = site.run(site.job(**OPTIONS))
    assert how_it_went_on(report) == {"resumed"}
    site.prove(points=2)


def odd_state(leaf: Path) -> None:
    """Give a sector bitmap a state that only payload blocks have: it can be read, but nobody here wrote it so."""
    with open_for_reading(str(leaf)) as opened:
        image = Image.open(opened)
    with leaf.open("r+b") as file:
        file.seek(image.regions.bat.offset + image.bat.layout.bitmap_index(0) * ENTRY_SIZE)
        file.write(bytes([State.ZERO]))


def no_headers(leaf: Path) -> None:
    with leaf.open("r+b") as file:
        file.seek(64 * KiB)
        file.write(bytes(128 * KiB))


@pytest.mark.parametrize("damage", [odd_state, no_headers])
def test_leaf_that_the_checker_refuses_after_a_cut_is_replaced_by_a_fresh_one(site, damage):
    site.session(cut_at=("flush leaf", 14), seed=1, dies=True)
    for leaf in leaves(site):
        damage(leaf)
    report = site.run(site.job(**OPTIONS))
    assert report.outcome is Outcome.DONE, report.as_dict()
    assert how_it_went_on(report) == {"fresh leaf"}
    site.prove(points=2)
