# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bytes of a disk are sent, and why."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Slot
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Content
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.scopes import (
    Evidence,
    Fate,
    Reason,
    content_during,
    decide,
    fate_of,
    for_new_image,
    goes_on,
    stands_on,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.model.samples import OTHER_DISK, frozen, replica_disk

SOUND = Evidence(leaf_untouched=True, version_tracked=True, rct_id="rct", tracking_point_alive=True)


def test_disk_without_any_doubt_sends_its_changes():
    decision = decide(replica_disk(), frozen(), evidence=SOUND)
    assert (decision.scope, decision.reason) == (Scope.CHANGED, Reason.TRACKED)


DOUBTS = [
    (replica_disk(content=Content.UNKNOWN), SOUND, Reason.UNFINISHED_COPY),
    (replica_disk(), replace(SOUND, leaf_untouched=False), Reason.LEAF_TOUCHED),
    (replica_disk(), replace(SOUND, version_tracked=False), Reason.VERSION_NOT_TRACKED),
    (replica_disk(), replace(SOUND, rct_id=None), Reason.NO_TRACKING_POINT),
    (replica_disk(), replace(SOUND, tracking_point_alive=False), Reason.TRACKING_POINT_GONE),
    (replace(replica_disk(), source_chain=()), SOUND, Reason.SOURCE_CHAIN_CHANGED),
    (replace(replica_disk(), source_chain=("C:\\gone.avhdx",)), SOUND, Reason.SOURCE_CHAIN_CHANGED),
]


@pytest.mark.parametrize(("disk", "evidence", "reason"), DOUBTS, ids=[reason.value for _d, _e, reason in DOUBTS])
def test_any_doubt_leads_to_a_compare_that_names_it(disk, evidence, reason):
    decision = decide(disk, frozen(), evidence=evidence)
    assert (decision.scope, decision.reason) == (Scope.COMPARE, reason)


def test_changes_of_an_unfinished_cycle_are_sent_again():
    assert decide(replica_disk(content=Content.CHANGES), frozen(), evidence=SOUND).scope is Scope.CHANGED


@pytest.mark.parametrize(("before", "scope"), list(itertools.product(Content, Scope)))
def test_only_changes_onto_something_known_can_be_sent_again(before, scope):
    known = before is not Content.UNKNOWN and scope is Scope.CHANGED
    assert content_during(before, scope) is (Content.CHANGES if known else Content.UNKNOWN)


@pytest.mark.parametrize(
    ("disk", "fate", "reason"),
    [
        (frozen(OTHER_DISK, slot=Slot("SCSI", 0, 1)), Fate.NEW, Reason.FIRST_COPY),
        (frozen(OTHER_DISK), Fate.REPLACED, Reason.DISK_REPLACED),
        (frozen(size=65 * MiB), Fate.RESIZED, Reason.DISK_RESIZED),
    ],
)
def test_new_image_gets_all_allocated_extents(disk, fate, reason):
    assert fate_of(disk, [replica_disk()]) is fate
    decision = for_new_image(fate)
    assert (decision.scope, decision.reason) == (Scope.ALLOCATED, reason)


def test_disk_that_only_moved_to_another_slot_is_kept():
    assert fate_of(frozen(slot=Slot("SCSI", 0, 5)), [replica_disk()]) is Fate.KEEP


@pytest.mark.parametrize(
    ("chain", "earlier", "stands"),
    [
        (["base"], ["base"], True),
        (["BASE"], ["base"], True),
        (["user", "base"], ["base"], True),
        (["base"], ["user", "base"], False),
        (["applied", "base"], ["user", "base"], False),
        (["other"], ["base"], False),
        (["base"], [], False),
    ],
)
def test_chain_may_only_grow_on_top(chain, earlier, stands):
    assert stands_on(chain, earlier) is stands


@pytest.mark.parametrize(("content", "scope"), list(itertools.product(Content, Scope)))
def test_transfer_goes_on_only_where_its_scope_explains_the_leaf(content, scope):
    explained = {(Content.CHANGES, Scope.CHANGED), *((Content.UNKNOWN, each) for each in Scope)}
    assert goes_on(content, scope) is ((content, scope) in explained - {(Content.UNKNOWN, Scope.CHANGED)})
