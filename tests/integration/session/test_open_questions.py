# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a real host answers where its documentation is silent: restore points stay true."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches

OPEN = {field.name: field.metadata["values"] for field in dataclasses.fields(Switches)}
SINGLE = [(name, value) for name, values in OPEN.items() for value in values[1:]]


def pairwise(questions):
    """Return few combinations in which any two answers to any two questions meet at least once."""
    answers = [[(name, value) for value in values] for name, values in questions.items()]
    open_pairs = {frozenset(pair) for two in itertools.combinations(answers, 2) for pair in itertools.product(*two)}
    rows = []
    while open_pairs:
        row = dict(min(open_pairs, key=lambda pair: sorted(map(str, pair))))
        for name, values in questions.items():
            if name not in row:
                known = list(row.items())
                met = [sum(frozenset({(name, value), other}) in open_pairs for other in known) for value in values]
                row[name] = values[met.index(max(met))]
        open_pairs -= {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
        rows.append(row)
    return rows


COMBINATIONS = pairwise(OPEN)


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


def test_any_two_answers_meet_in_a_few_combinations():
    met = {frozenset(pair) for row in COMBINATIONS for pair in itertools.combinations(row.items(), 2)}
    for (one, firsts), (other, seconds) in itertools.combinations(OPEN.items(), 2):
        for pair in itertools.product(firsts, seconds):
            assert frozenset({(one, pair[0]), (other, pair[1])}) in met
    assert len(COMBINATIONS) <= 20


def test_nastiest_answers(site):
    replicate(site, {})


@pytest.mark.parametrize("number", range(len(COMBINATIONS)))
def test_combination_of_answers(site, number):
    replicate(site, COMBINATIONS[number])


@pytest.mark.soak
@pytest.mark.parametrize(("name", "value"), SINGLE, ids=[f"{name}={value}" for name, value in SINGLE])
def test_each_answer(site, name, value):
    replicate(site, {name: value})
