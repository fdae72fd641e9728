# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of steps: complete, in order, and the one in the documentation."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.steps import CHANGING, STEPS
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor, Mover
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "design" / "session.md"
LOOKING = set(
    "host switches find_machines machine configuration checkpoints checkpoint_disks reference_points changed_extents "
    "leaves restore_points volume is_idle chain find_records describe inspect status name data_address close".split()
)


def test_steps_are_the_phases_in_order():
    assert [step.phase for step in STEPS] == list(Phase)


def test_every_port_function_changes_something_in_a_step_or_only_looks():
    functions = {name for port in (Hypervisor, Mover) for name in vars(port) if not name.startswith("_")}
    assert functions == CHANGING | LOOKING
    assert not CHANGING & LOOKING


def test_document_has_the_table():
    rows = [
        f"| `{step.phase.value}` | {step.intent} | {step.act} | {step.found_by} | {step.restart} |" for step in STEPS
    ]
    assert "\n".join(rows) in DOCUMENT.read_text(encoding="utf-8")
