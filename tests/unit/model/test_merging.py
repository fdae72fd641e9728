# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merges that do not get on are named, each cause with what helps."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Activity
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.merging import merge_problem

MERGING = Activity(is_idle=False, is_merging=True)


def problem(activity):
    return merge_problem(activity, what="replica web_replica", host="hv-b")


@pytest.mark.parametrize("activity", [MERGING, Activity(is_idle=True), Activity(is_idle=True, problem="an old one")])
def test_merges_that_get_on_are_no_problem(activity):
    assert problem(activity) is None


@pytest.mark.parametrize(
    ("said", "helps"),
    [
        ("in use (0x80070020)", "virus scanner"),
        ("full (0x80070070)", "make room"),
        ("logon failed (0x80070569)", "log on as a service"),
        ("logon failed (0x8007052f)", "log on as a service"),
        ("something else", "event 19100"),
    ],
)
def test_cause_is_named_with_what_helps(said, helps):
    error = problem(Activity(is_idle=False, is_merging=True, problem=said))
    assert error.reason == "merge_stalled"
    assert said in error.message
    assert helps in error.hint


def test_merging_that_somebody_switched_off_is_another_problem():
    error = problem(Activity(is_idle=True, problem="switched off", merge_held_back=True))
    assert error.reason == "merge_held_back"
    assert "ModifyDiskMergeSettings" in error.hint
