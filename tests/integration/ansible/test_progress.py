# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acceptance: a transfer of three minutes shows its progress as it goes, to ansible-runner as to AWX."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import JOB_MODULE
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import make_job, slow_control
from ansible_collections.opendr.hyperv.tests.lab.site import ProcessSite

SIZE = 18 * MiB
RATE = 100 * KiB  # bytes per second: SIZE takes a little more than three minutes
MINUTES_3 = 180.0


@pytest.mark.timeout(480)
def test_three_minutes_of_transfer_show_progress_all_the_time(site: ProcessSite, tmp_path: Path) -> None:
    job = make_job(site, tmp_path / "state", size=SIZE)
    with slow_control(site, tmp_path, rate=RATE) as slow:
        outcome = slow.control.run([{JOB_MODULE: job.options}])
    assert outcome.result["session"]["state"] == "done"
    assert outcome.result["session"]["machines"][0]["bottleneck"] == "network"

    progress = [at for at, line in outcome.lines if " % of " in line]
    assert len(progress) >= 10
    assert progress[-1] - progress[0] >= MINUTES_3 * 0.8
    # Spread, not batched: of ten equal parts of the time nearly each has its line, and no silence lasts a minute.
    span = progress[-1] - progress[0]
    assert len({min(9, int((at - progress[0]) / span * 10)) for at in progress}) >= 8
    assert max(later - earlier for earlier, later in pairwise(progress)) < 60
    # Every percent that is shown is higher than the one before.
    percents = [int(line.split(" % of ")[0].rsplit(maxsplit=1)[-1]) for _at, line in outcome.lines if " % of " in line]
    assert percents == sorted(set(percents))
