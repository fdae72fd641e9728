# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a real host answers where its documentation is silent: restore points stay true."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches

OPEN = {field.name: field.metadata["values"] for field in dataclasses.fields(Switches)}
SINGLE = [(name, value) for name, values in OPEN.items() for value in values[1:]]
KINDEST = {name: values[-1] for name, values in OPEN.items()}


def replicate(site, switches):
    """Run the whole story under an answer: first copy, changes, a stop, retention, an application of a checkpoint."""
    for control in (site.source, site.target):
        control.switch(**switches)
    job = site.job(restore_points=2)
    for number in range(3):
        report = site.run(job)
        assert report.outcome is Outcome.DONE, report.as_dict()
        site.guest_writes(number + 3, 0, number * 5 * MiB)
        site.prove(points=min(2, number + 1))
    site.source.settle()
    checkpoint = site.source.call("Checkpoint-VM", vm_id=site.vm_id, snapshot_name="by hand")
    site.guest_writes(9, 1, 3 * MiB)
    assert site.run(job).outcome is Outcome.DONE
    site.source.settle()
    site.source.call("Stop-VM", vm_id=site.vm_id)
    site.source.call("Restore-VMSnapshot", vm_id=site.vm_id, checkpoint_id=checkpoint["checkpoint_id"])
    report = site.run(job)
    if switches.get("recovery_on_off") == "refused" or switches.get("off_consistency") == "refused":
        site.source.call("Start-VM", vm_id=site.vm_id)
        report = site.run(job)
    assert report.outcome is Outcome.DONE, report.as_dict()
    site.prove(points=2)
    assert site.source_leftovers() == []


def test_nastiest_answers(site):
    replicate(site, {})


def test_kindest_answers(site):
    replicate(site, KINDEST)


@pytest.mark.soak
@pytest.mark.parametrize(("name", "value"), SINGLE, ids=[f"{name}={value}" for name, value in SINGLE])
def test_each_answer(site, name, value):
    replicate(site, {name: value})
