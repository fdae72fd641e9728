# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of real sessions belongs to the step it is made in, and the record says so before."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.steps import ALWAYS, BY_PHASE, STEPS
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.tests.integration.session.walk.scenes import SCENES, Scene, job
from ansible_collections.opendr.hyperv.tests.integration.session.walk.tracing import Call, Trace


def traced(scene: Scene, tmp_path) -> list[Call]:
    with scene.site(tmp_path) as site:
        scene.prepare(site, 7)
        trace = Trace(site)
        assert site.run(job(site), between=trace.site).outcome is Outcome.DONE
        return trace.calls


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_every_change_belongs_to_its_step_and_is_recorded_before(scene, tmp_path):
    calls = traced(scene, tmp_path)
    assert len({call.phase for call in calls}) >= 8
    for call in calls:
        acts = BY_PHASE[call.phase].acts
        assert call.name in ALWAYS or call.name in acts, call
        assert call.name in ALWAYS or acts[call.name](call.record), call


def test_sessions_that_are_walked_take_every_step(tmp_path):
    """So each restart of the table is tried by the walk."""
    taken = {call.phase for scene in SCENES for call in traced(scene, tmp_path / scene.name)}
    assert taken == {step.phase for step in STEPS} - {Phase.INSPECT}  # which changes nothing
