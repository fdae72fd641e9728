# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody else did to a replica is read from record and host; what a session of ours may have done is not."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Leaf, RestorePoint, Slot
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.foreign import (
    Sight,
    Sign,
    accepted,
    configured,
    doubted_disks,
    traces_of,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Content
from ansible_collections.opendr.hyperv.tests.unit.model.samples import (
    DISK,
    GUID,
    OTHER_DISK,
    POINTS,
    SLOT,
    config,
    nic,
    record,
    replica_disk,
)

OTHER_GUID, BY_HAND = UUID(int=0x99), UUID(int=0x98)
CONFIG = config(nic(), name="web_replica")
LEFT = replace(record(2), pending=None, removing=(), retired=(), configured=configured(CONFIG))
LEAF = Leaf(SLOT, DISK, replica_disk().leaf)


def point(point_id, name="p"):
    return RestorePoint(point_id, None, name, 0.0)


SAME = Sight(CONFIG, [point(each) for each in LEFT.tree], {DISK: LEAF}, {DISK: GUID})


def signs(sight, left=LEFT):
    return [trace.sign for trace in traces_of(left, sight)]


def with_disk(**changes):
    return replace(LEFT, disks=(replace(LEFT.disks[0], **changes),))


def at(path):
    return replace(SAME, leaves={DISK: replace(LEAF, path=path)})


def test_replica_as_it_was_left_shows_nothing():
    assert signs(SAME) == []
    assert signs(at(LEAF.path.upper())) == []
    assert accepted(LEFT, SAME, doubted=frozenset()) == LEFT


OTHERS = Leaf(Slot("SCSI", 0, 3), OTHER_DISK, "D:\\x.vhdx")
CASES = [
    (replace(SAME, config=config(nic(), name="mine")), [Sign.RENAMED], False),
    (replace(SAME, config=config(nic(vlan=7), name="web_replica")), [Sign.RECONFIGURED], False),
    (replace(SAME, points=[*SAME.points, point(BY_HAND)]), [Sign.CHECKPOINT_MADE], True),
    (replace(SAME, points=SAME.points[1:]), [Sign.POINT_REMOVED], True),
    (at("D:\\R\\web\\other.avhdx"), [Sign.CHECKPOINT_APPLIED], True),
    (at("E:\\elsewhere\\disk_1.avhdx"), [Sign.DISK_MOVED], True),
    (replace(SAME, contents={DISK: OTHER_GUID}), [Sign.CONTENT_CHANGED], True),
    (replace(SAME, leaves={}), [Sign.DISK_DETACHED], False),
    (replace(SAME, leaves={DISK: LEAF, OTHER_DISK: OTHERS}), [Sign.DISK_ATTACHED], False),
]


@pytest.mark.parametrize(("sight", "expected", "doubts"), CASES, ids=[case[1][0].value for case in CASES])
def test_each_difference_is_a_sign_and_leads_to_comparing_where_content_is_in_doubt(sight, expected, doubts):
    traces = traces_of(LEFT, sight)
    assert [trace.sign for trace in traces] == expected
    assert doubted_disks(LEFT, traces) == (frozenset({DISK}) if doubts else frozenset())


def test_checkpoint_by_hand_explains_another_leaf_path():
    sight = replace(at("D:\\R\\web\\other.avhdx"), points=[*SAME.points, point(BY_HAND, "mine")])
    (trace,) = traces_of(LEFT, sight)
    assert (trace.sign, trace.text) == (Sign.CHECKPOINT_MADE, "checkpoint 'mine' was made by hand")


def test_leaf_that_was_written_to_before_it_had_a_fingerprint_was_changed():
    assert signs(SAME, with_disk(data_write_guid=None)) == [Sign.CONTENT_CHANGED]


def test_what_a_session_of_ours_may_have_done_is_no_foreign_hand():
    gone = replace(SAME, points=SAME.points[1:])
    assert signs(gone, replace(LEFT, removing=POINTS[:1])) == []
    elsewhere = at("D:\\R\\web\\other.avhdx")
    for content in (Content.CHANGES, Content.UNKNOWN):
        assert signs(replace(elsewhere, contents={}), with_disk(content=content)) == []
    renamed = replace(SAME, config=config(nic(), name="mine"))
    assert signs(renamed, replace(LEFT, configured=None)) == []
    assert signs(replace(SAME, leaves={}), replace(LEFT, pending=record().pending)) == []
    assert signs(replace(SAME, leaves={}, contents={}), with_disk(content=Content.EMPTY)) == []
    assert signs(replace(SAME, leaves={DISK: LEAF, OTHER_DISK: OTHERS}), replace(LEFT, retired=record().retired)) == []


def test_what_was_found_is_the_fingerprint_from_then_on_and_has_to_be_compared():
    sight = replace(at("D:\\R\\web\\other.avhdx"), contents={DISK: OTHER_GUID}, points=[*SAME.points, point(BY_HAND)])
    after = accepted(LEFT, sight, doubted=doubted_disks(LEFT, traces_of(LEFT, sight)))
    (disk,) = after.disks
    assert (disk.leaf, disk.data_write_guid, disk.content) == (
        "D:\\R\\web\\other.avhdx",
        OTHER_GUID,
        Content.UNKNOWN,
    )
    assert after.tree == tuple(sorted([*POINTS[:2], BY_HAND]))
    assert signs(sight, after) == []
