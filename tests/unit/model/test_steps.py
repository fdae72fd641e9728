# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of steps: complete, in order, and the one in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.steps import (
    BY_PHASE,
    CHANGING,
    STEPS,
    VERIFICATION_STEPS,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor, Mover
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "design" / "session.md"
FENCED = {"fence", "epoch", "expected_epoch", "order"}  # parameters of what a newer session forbids


def test_steps_are_the_phases_in_order():
    own = [step for step in VERIFICATION_STEPS if step.phase not in BY_PHASE]
    assert [step.phase for step in [*STEPS, *own]] == list(Phase)


def test_every_port_function_that_is_fenced_belongs_to_a_step():
    functions = {name: value for port in (Hypervisor, Mover) for name, value in vars(port).items() if callable(value)}
    fenced = {name for name, function in functions.items() if FENCED & set(function.__annotations__)}
    assert len(fenced) > 10
    assert fenced <= CHANGING <= functions.keys()


@pytest.mark.parametrize("steps", [STEPS, VERIFICATION_STEPS], ids=["replication", "verification"])
def test_document_has_the_table(steps):
    rows = [
        f"| `{step.phase.value}` | {step.intent} | {step.act} | {step.found_by} | {step.restart} |" for step in steps
    ]
    assert "\n".join(rows) in DOCUMENT.read_text(encoding="utf-8")
