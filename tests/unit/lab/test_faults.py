# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned failures of contract functions."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.opendr.hyperv.tests.lab.hyperv.faults import Action, Fault, When
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError


def test_nth_call_fails_with_the_error_that_was_planned(scene):
    scene.front.faults.plan(Fault("Get-HvrHost", Action.FAIL, nth=2, error_id="Hvr.Busy"))
    scene.call("Get-HvrHost")
    scene.call("Get-HvrSwitch")
    with pytest.raises(HostError) as caught:
        scene.call("Get-HvrHost")
    assert caught.value.error_id == "Hvr.Busy"
    scene.call("Get-HvrHost")


@pytest.mark.parametrize(("when", "made"), [(When.BEFORE, 0), (When.AFTER, 1)])
def test_failure_comes_before_or_after_the_effect(scene, when, made):
    vm_id = scene.machine()
    scene.front.faults.plan(Fault("New-HvrCheckpoint", Action.FAIL, when=when))
    with pytest.raises(HostError):
        scene.checkpoint(vm_id)
    assert len(scene.call("Get-HvrCheckpoint", VmId=vm_id)) == made


def test_any_function_can_be_hit_several_times(scene):
    scene.front.faults.plan(Fault("*", Action.FAIL, count=2))
    for function in ("Get-HvrHost", "Get-HvrSwitch"):
        with pytest.raises(HostError):
            scene.call(function)
    scene.call("Get-HvrHost")


def test_hanging_call_goes_on_when_the_plan_is_cleared(scene):
    scene.front.faults.plan(Fault("Get-HvrHost", Action.HANG))
    answers = []
    caller = threading.Thread(target=lambda: answers.extend(scene.call("Get-HvrHost")))
    caller.start()
    assert scene.call("Get-HvrSwitch"), "others are answered meanwhile"
    assert answers == []
    scene.front.faults.clear()
    caller.join(20)
    assert [row["Name"] for row in answers] == ["hv-a"]


def test_delay_ends_by_itself(scene):
    scene.front.faults.plan(Fault("Get-HvrHost", Action.DELAY, seconds=0.01))
    assert scene.call("Get-HvrHost")
