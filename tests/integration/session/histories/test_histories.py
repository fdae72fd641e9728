# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories: hypothesis chooses who does what when; every restore point that was ever reported stays true.

A failure names its seed. ``OPENDR_HISTORY_SEED=<seed>`` replays that block of histories and nothing else, and looks
for a shorter one that fails.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from dataclasses import fields
from pathlib import Path
from random import SystemRandom
from typing import Final

import hypothesis
import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from ansible_collections.opendr.hyperv.tests.integration.session.histories.acts import ACTS, SIZES
from ansible_collections.opendr.hyperv.tests.integration.session.histories.stage import FAULTS, Event
from ansible_collections.opendr.hyperv.tests.integration.session.histories.world import Order, World
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches

STEPS: Final = 5  # of a history
BLOCK: Final = 25  # histories of one seed
BLOCKS: Final = 11  # hypothesis plays some more than it was asked to
SOAK_BLOCKS: Final = 400
LANES: Final = 2
GIVEN: Final = os.environ.get("OPENDR_HISTORY_SEED")
CALLS: Final = 70  # about as many as a session makes

answers = st.fixed_dictionaries(
    {each.name: st.sampled_from(each.metadata["values"]) for each in fields(Switches) if "values" in each.metadata}
    | {"merge_delay_ms": st.sampled_from([0, 0, 0, 0, 300])}
)
seeds = st.integers(0, 2**16)
events = st.builds(
    Event,
    number=st.integers(1, CALLS),
    after=st.booleans(),
    what=st.one_of(st.just("guest_writes"), st.sampled_from(FAULTS), st.sampled_from(sorted(ACTS))),
    seed=seeds,
)
orders = st.builds(
    Order,
    job=st.sampled_from([0, 0, 0, 1]),
    manager=st.sampled_from([0, 0, 0, 1]),
    keep=st.integers(1, 3),
    verifies=st.sampled_from([False, False, False, False, True]),
    on_touched=st.sampled_from(["compare", "compare", "fail"]),
    events=st.lists(events, max_size=3),
)


class History(RuleBasedStateMachine):
    """Each is a world of its own."""

    figures: Counter[str]
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self.is_broken = False

    @initialize(
        switches=answers,
        sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=2),
        version=st.sampled_from(["", "", "", "7.1"]),
    )
    def begin(self, switches, sizes, version):
        self.temporary = tempfile.TemporaryDirectory(dir=self.folder)
        self.world = World(Path(self.temporary.name), switches=switches, sizes=sizes, version=version)

    @rule(order=orders)
    def session(self, order):
        self.play(lambda: self.world.replicate(order))

    @rule(order=orders)
    def another_session(self, order):
        self.play(lambda: self.world.replicate(order))

    @rule(seed=seeds)
    def guest_writes(self, seed):
        self.play(lambda: self.world.act("guest_writes", seed))

    @rule(name=st.sampled_from(sorted(ACTS)), seed=seeds)
    def somebody(self, name, seed):
        self.play(lambda: self.world.act(name, seed))

    def play(self, step):
        try:
            step()
        except BaseException as error:
            self.is_broken = True
            error.add_note("\n".join(self.world.log))
            raise

    def teardown(self):
        if self.world is None:
            return
        try:
            if not self.is_broken:
                self.play(self.world.end)
                self.count()
        finally:
            self.world.close()
            self.temporary.cleanup()

    def count(self):
        self.figures["histories"] += 1
        self.figures["sessions"] += sum(self.world.sessions.values())
        self.figures["restore points proven"] += self.world.judge.proven
        self.figures.update({f"sessions {name}": number for name, number in self.world.sessions.items()})
        self.figures.update({f"failure {name}": number for name, number in self.world.failures.items()})
        self.figures.update({f"fault {name}": number for name, number in self.world.faults.items()})


def run_block(seed, *, folder, figures):
    """Play a block of histories, the same ones for the same seed."""
    machine = type("History", (History,), {"figures": figures, "folder": folder})
    settings = hypothesis.settings(
        max_examples=BLOCK,
        stateful_step_count=STEPS,
        derandomize=False,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.generate, *([Phase.shrink] if GIVEN else [])],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    began = time.process_time()
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
    except BaseException as error:
        error.add_note(f"OPENDR_HISTORY_SEED={seed} replays this")
        raise
    figures["seconds of CPU"] += round(time.process_time() - began)


def told(counts):
    """Return the figures in one line."""
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [int(GIVEN)] if GIVEN else range(BLOCKS))
def test_every_restore_point_stays_true(tmp_path, figures, seed):
    counts: Counter[str] = Counter()
    run_block(seed, folder=tmp_path, figures=counts)
    figures(told(counts))
    assert counts["histories"] >= BLOCK
    assert counts["restore points proven"] >= BLOCK


@pytest.mark.soak
@pytest.mark.parametrize("lane", range(LANES))
def test_every_restore_point_stays_true_for_long(tmp_path, figures, lane):
    """New seeds each time. OPENDR_HISTORY_SECONDS ends it earlier, and the figures say after how many histories."""
    counts: Counter[str] = Counter()
    first = SystemRandom().randrange(1 << 31)
    ends_at = time.monotonic() + float(os.environ.get("OPENDR_HISTORY_SECONDS", "inf"))
    for seed in range(first, first + SOAK_BLOCKS // LANES):
        if time.monotonic() >= ends_at:
            break
        run_block(seed, folder=tmp_path, figures=counts)
    figures(f"lane {lane}, seeds from {first}, wrong 0: {told(counts)}")
    assert counts["histories"] >= BLOCK
