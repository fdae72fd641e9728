# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes killed at random times: worker, movers, hosts, up to three of them in one session; then it runs again.

A series of kills has one seed, which a failure names. ``OPENDR_SEED=n`` repeats that series: the same guests, victims
and times, as well as a machine keeps time.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import read_status
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.forked_site import ForkedSite
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SOURCE, TARGET, disks

SERIES = 20  # kills, the first ones of a first copy
SIZES = (24 * MiB, 16 * MiB)
END_SECONDS = 60.0
VICTIMS = ("worker", "source mover", "target mover", "source host", "target host")
SEEDS = [int(os.environ["OPENDR_SEED"])] if "OPENDR_SEED" in os.environ else range(10)
NEW_SEEDS = SEEDS if "OPENDR_SEED" in os.environ else [random.SystemRandom().randrange(10**9) for _index in range(50)]


class Series:
    """One site, and what is done to it."""

    def __init__(self, site: ForkedSite, seed: int) -> None:
        self.site = site
        self.random = random.Random(seed)
        self.vm_id = site.source.create_machine("web", folder=f"{FOLDER}\\web", disks=disks(*SIZES))
        site.source.call("Start-VM", vm_id=self.vm_id)
        self.job = site.job(restore_points=2)
        self.killed: Counter[str] = Counter()
        self._session_seconds = 1.0

    def guest_writes(self) -> None:
        for location, size in enumerate(SIZES):
            length = self.random.choice([4 * KiB, 64 * KiB, 512 * KiB])
            offset = self.random.randrange((size - length) // 512) * 512
            data = self.random.randbytes(length)
            self.site.source.write(self.vm_id, f"SCSI 0:{location}", offset=offset, data=data)

    def disturbed_session(self) -> dict:
        """Run a session while processes are killed; return its last status."""
        session_id = self.site.begin(self.job)
        begun = time.monotonic()
        moments = sorted(
            self.random.uniform(0, self._session_seconds) for _index in range(self.random.choice((1, 1, 2, 3)))
        )
        for moment in moments:
            time.sleep(max(0.0, begun + moment - time.monotonic()))
            self.kill(self.random.choice(VICTIMS))
        return self.end(session_id)

    def kill(self, victim: str) -> None:
        self.killed[victim] += 1
        if victim == "worker":
            self.site.worker.kill()
            return
        side, part = victim.split(" ")
        name = SOURCE if side == "source" else TARGET
        if part == "host":
            self.site.restart_host(name)
        else:
            self.site.movers[name].kill()
            self.site.movers[name].start()

    def session(self) -> dict:
        """Run a session that nobody disturbs."""
        begun = time.monotonic()
        status = self.end(self.site.begin(self.job))
        self._session_seconds = time.monotonic() - begun
        return status

    def end(self, session_id: str) -> dict:
        assert self.site.worker.wait(END_SECONDS) is not None, "the worker does not end"
        return read_status(str(self.site.state_dir), session_id) or {}

    def prove(self) -> None:
        record = self.site.record()
        self.site.prove(points=len(record.restore_points))
        assert (record.pending, record.lease) == (None, None)
        assert self.site.source_leftovers() == []
        assert len(self.site.machine("web")["reference_points"]) == 1


def kill_and_go_on(series: Series) -> None:
    series.guest_writes()
    status = series.disturbed_session()
    series.guest_writes()
    if status.get("state") == "failed":  # by itself it may end only when nothing was begun yet
        [error] = [machine["error"] for machine in status["machines"]]
        assert error["retryable"], status
    status = series.session()
    assert status["state"] == "done", status
    series.prove()


def run_series(folder, seed, figures):
    with ForkedSite(folder) as site:
        series = Series(site, seed)
        for number in range(SERIES):
            try:
                kill_and_go_on(series)
            except Exception as error:
                raise AssertionError(f"kill {number} of OPENDR_SEED={seed}, after {dict(series.killed)}") from error
        figures(f"{SERIES} sessions, killed {dict(sorted(series.killed.items()))}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_random_times(tmp_path, seed, figures):
    run_series(tmp_path, seed, figures)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("number", range(len(NEW_SEEDS)))
def test_kills_at_more_random_times(tmp_path, number, figures):
    run_series(tmp_path, NEW_SEEDS[number], figures)
