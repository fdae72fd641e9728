# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is durable at the target is not sent again, whatever broke: the bytes on the way between the movers prove it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.integration.session.test_middle import MiddleSite
from ansible_collections.opendr.hyperv.tests.lab.middle import Cut
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET

UNIT = 256 * KiB
DATA = 14 * MiB  # that has changed and does not compress
UNITS, DURABLE = "hv-a>hv-b UNIT", "hv-b>hv-a DURABLE"
MOST = DATA // UNIT * 3 // 4  # units that have passed, and are durable, when something is restarted
IN_FLIGHT = 24 * UNIT  # at most in pipelines and sockets then
OTHER = 2 * MiB  # what a first copy sends besides
FRAMES = 64 * KiB  # of starts and headers
OPTIONS = {"restore_points": 2, "block_size": UNIT, "compression": "none"}


class Breaking:
    """Does something once when so many units have passed, or cuts the connection each time that they have."""

    def __init__(self, site, *, after, act=None):
        self._site = site
        self._after = after
        self._act = act
        self._lock = threading.Lock()
        self._seen = 0
        self.cuts = 0
        site.faults.watch = self

    def __call__(self, where):
        if where != UNITS:
            return
        with self._lock:
            self._seen += 1
            if self._seen <= self._after:
                return
            self._wait_until_durable()
            if self._act is None:
                self._seen = 0
                self.cuts += 1
                raise Cut
            act, self._after = self._act, 10**9
        act()

    def _wait_until_durable(self):
        """Let the target have said of each unit before that it is on the disk."""
        faults, deadline = self._site.faults, time.monotonic() + 20
        while faults.trace.count(DURABLE) < faults.trace.count(UNITS) and time.monotonic() < deadline:
            time.sleep(0.01)


@pytest.fixture(params=["first copy", "changes"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MiddleSite]:
    """A site with random bytes to send, of a new replica or of one that exists."""
    with MiddleSite(tmp_path, sees_frames=True) as made:
        if request.param == "changes":
            made.run(made.job(**OPTIONS))
        chance = random.Random(7)
        for offset in range(8 * MiB, 8 * MiB + DATA, MiB):
            made.source.write(made.vm_id, "SCSI 0:0", offset=offset, data=chance.randbytes(MiB))
        made.faults.plan()
        made.faults.sent.clear()
        yield made


def sent(site):
    """Return the bytes of units that were sent."""
    return site.faults.sent[UNITS]


def prove(site):
    assert DATA <= sent(site) <= DATA + OTHER + IN_FLIGHT + FRAMES
    site.prove(points=len(site.record().restore_points))


@pytest.mark.parametrize("units", [3, 10])
def test_connection_that_breaks_again_and_again(site, units):
    breaking = Breaking(site, after=units)
    report = site.run(site.job(**OPTIONS))
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert breaking.cuts >= DATA // UNIT // units - 2
    assert DATA <= sent(site) <= DATA + OTHER + FRAMES, breaking.cuts
    site.prove(points=len(site.record().restore_points))


@pytest.mark.parametrize("name", [SOURCE, TARGET])
@pytest.mark.parametrize("what", ["mover", "host"])
def test_mover_or_host_that_is_restarted(site, name, what):
    def restart():
        if what == "host":
            site.restart_host(name)
        else:
            site.restart_mover(name)
            raise Cut  # or more would pass to a mover that is gone

    Breaking(site, after=MOST, act=restart)
    report = site.run(site.job(**OPTIONS))
    assert report.outcome is Outcome.DONE, site.journal.texts
    prove(site)


@pytest.mark.parametrize("catalog", ["kept", "lost"])
def test_worker_that_is_killed(site, catalog):
    death = Death()

    def die():
        death.struck = True

    Breaking(site, after=MOST, act=die)
    with pytest.raises(Killed):
        site.run(site.job(**OPTIONS), site=death.site(site.site()))
    if catalog == "lost":
        site.catalog.close()
        for file in site.state_dir.glob("catalog.sqlite*"):
            file.unlink()
        site.catalog = site.open_catalog()
    site.guest_writes(9, 0, 0)
    report = site.run(site.job(**OPTIONS))
    assert {disk.reason for disk in report.machines[0].disks} == {"resumed"}
    prove(site)
