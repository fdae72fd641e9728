# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica record: round trip, and refusal of whatever is not a whole, consistent record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import ReplicaRecord, is_edited
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.replica_state import ReplicaState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.tests.unit.model.samples import (
    CYCLES,
    OTHER_DISK,
    POINTS,
    pending,
    point,
    record,
    replica_disk,
)


def test_record_survives_the_round_trip_and_equal_records_give_equal_texts():
    value = record()
    assert ReplicaRecord.parse(value.as_text()) == value
    assert ReplicaRecord.parse(value.as_text()).as_text() == value.as_text()


def test_optional_parts_may_be_absent():
    value = replace(record(), lease=None, pending=None, last_error=None, retired=(), removing=())
    assert ReplicaRecord.parse(value.as_text()) == value


def test_epoch_and_revision_stand_at_the_top_for_the_host_to_read():
    written = json.loads(record().as_text())
    assert (written["epoch"], written["revision"]) == (5, 40)


def test_edited_record_is_told_by_its_digest():
    text = record().as_text()
    assert not is_edited(text)
    assert is_edited(text.replace('"restore_point"', '"changes"', 1))
    members = json.loads(text)
    del members["digest"]
    assert is_edited(json.dumps(members))
    assert ReplicaRecord.parse(json.dumps(members)) == record(), "it can be read all the same"


def test_record_names_its_files_and_newest_point():
    value = record()
    assert value.files == ("D:\\R\\web\\disk.vhdx", "D:\\R\\web\\disk_1.avhdx", "D:\\R\\web\\gone.vhdx")
    assert value.newest == point(1)
    assert value.disk(OTHER_DISK) is None


CONTRADICTIONS = [
    (replace(record(), disks=(replica_disk(), replica_disk())), "disks are not distinct"),
    (replace(record(), disks=(replica_disk(), replica_disk(OTHER_DISK))), "slots of disks are not distinct"),
    (replace(record(), restore_points=(point(0), point(0))), "restore points are not distinct"),
    (replace(record(), cycles=record().cycles[:1]), "a cycle that is not listed"),
    (replace(record(), epoch=0), "epoch or revision is below 1"),
    (replace(record(), revision=0), "epoch or revision is below 1"),
    (replace(record(), state=ReplicaState.NEW), "state new does not go"),
]


@pytest.mark.parametrize(("value", "sentence"), CONTRADICTIONS, ids=[sentence for _r, sentence in CONTRADICTIONS])
def test_contradiction_is_refused(value, sentence):
    with pytest.raises(FormatError, match=sentence):
        ReplicaRecord.parse(value.as_text())


@pytest.mark.parametrize("found", [0, 2, "1", None])
def test_another_format_is_refused_by_number(found):
    with pytest.raises(FormatError, match="this version reads 1"):
        ReplicaRecord.parse(json.dumps({**json.loads(record().as_text()), "format": found}))


@given(st.data())
def test_damaged_text_gives_a_record_or_a_format_error(data):
    text = record().as_text()
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 40))
    try:
        value = ReplicaRecord.parse(text[:start] + data.draw(st.text(max_size=20)) + text[start + length :])
    except FormatError:
        return
    value.check()
    assert ReplicaRecord.parse(value.as_text()) == value


def test_samples_are_what_the_tests_think():
    assert (len(CYCLES), len(POINTS), len(record().restore_points)) == (4, 4, 2)


@pytest.mark.parametrize(
    ("step", "is_frozen", "is_begun", "is_sent"),
    [
        (Phase.CHECKPOINT, True, False, False),
        (Phase.TRANSFER, True, True, False),
        (Phase.CONVERT, True, True, True),
        (Phase.RESTORE_POINT, False, True, True),
    ],
)
def test_step_tells_what_a_restart_finds(step, is_frozen, is_begun, is_sent):
    cycle = replace(pending(), step=step)
    assert (cycle.is_frozen, cycle.is_begun, cycle.is_sent) == (is_frozen, is_begun, is_sent)
