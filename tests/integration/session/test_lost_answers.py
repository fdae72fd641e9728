# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A write of the record that had its effect and is told to have failed: nobody takes it for that of another session."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.site import only_error


def fails_at(site, job, number):
    """Run a session whose write of that number fails after it had its effect; tell whether it has so many."""
    site.target.fault("Set-HvrReplicaRecord", "fail", when="after", nth=number)
    site.guest_writes(number, 0, number % 20 * MiB)
    report = site.run(job)
    if site.target.call("faults.planned"):
        site.target.call("faults.clear")
        return False
    warnings = report.machines[0].warnings
    if report.outcome is Outcome.DONE:
        assert "is left to the next session" in warnings[-1]
    else:
        assert only_error(report)["reason"] == "failed", report
    assert [text for text in warnings if "lease" in text] == []
    assert site.source_leftovers() == []
    if number > 1:  # else nobody knows that the replica was taken
        record = site.record()
        assert record.lease is None
        assert (record.last_error is None) == (report.outcome is Outcome.DONE)
    return True


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)])
def test_session_gives_back_what_it_has_although_it_was_told_otherwise(site, step):
    job = site.job(restore_points=2)
    site.run(job)
    site.run(job)
    numbers = itertools.takewhile(lambda number: fails_at(site, job, number), itertools.count(1, step))
    walked = 0
    for _number in numbers:
        walked += 1
        assert site.run(job).outcome is Outcome.DONE, site.journal.texts
        site.prove(points=2)
    assert walked >= 9 // step
