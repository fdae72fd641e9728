# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches and grades: every answer can be chosen, every behaviour says how sure it is."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import Grade, behaviours
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import PARTS, graded
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches


@pytest.mark.parametrize("each", fields(Switches), ids=lambda each: each.name)
def test_switch_takes_each_of_its_answers_and_the_first_is_the_default(each):
    assert each.metadata["grade"] == (Grade.FIELD if each.metadata["probe"] == "-" else Grade.OPEN).value
    assert each.default == each.metadata["values"][0]
    for answer in each.metadata["values"]:
        assert getattr(Switches().changed({each.name: answer}), each.name) == answer


@pytest.mark.parametrize("wrong", [{"magic": 1}, {"no_changes": "maybe"}, {"tracking_grain": "1"}])
def test_unknown_switch_or_answer_is_refused(scene, wrong):
    with pytest.raises(Refusal):
        scene.admin.set_switches(wrong)


def test_switches_and_orders_survive_a_kill(scene):
    scene.admin.set_switches({"no_changes": "empty"})
    scene.admin.fail_vss(count=3)
    scene.restart()
    assert scene.host.lab.state.switches.no_changes == "empty"
    assert scene.host.lab.state.vss_failures == 3


def test_every_public_method_of_the_model_is_graded():
    for part in PARTS:
        public = {name for name in vars(part) if not name.startswith("_")}
        marked = {call.__name__ for _unused, call in behaviours(part)}
        helpers = {"note_leaves", "notice_offline_edits", "offline_edits_allowed", "resume_after_restart"}
        assert public - marked - helpers == set(), f"{part.__name__} has behaviour without a grade"


def test_names_of_behaviours_are_unique_and_callable(scene):
    names = [found.name for found in graded()]
    assert len(set(names)) == len(names)
    assert scene.host.calls().keys() == set(names)
