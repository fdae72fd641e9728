# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal beside a leaf: what it explains, and that junk explains nothing."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover import journal as journals
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.journal import Journal

BASE, PREVIOUS, WRITTEN, STRANGER = (uuid.UUID(int=number) for number in range(1, 5))
JOURNAL = Journal(
    replica_id=uuid.UUID(int=11),
    disk_id=uuid.UUID(int=12),
    cycle_id="checkpoint-7",
    epoch=3,
    plan="00ff",
    was_empty=False,
    durable_until=1 << 40,
    complete=False,
    base=BASE,
    previous=PREVIOUS,
    written=WRITTEN,
    file_write_guid=uuid.UUID(int=13),
)


def test_a_journal_is_read_back_as_it_was_stored(tmp_path):
    leaf = str(tmp_path / "disk.avhdx")
    assert journals.load(leaf) is None
    journals.store(leaf, JOURNAL)
    assert journals.load(leaf) == JOURNAL
    assert [path.name for path in tmp_path.iterdir()] == ["disk.avhdx.opendr-journal"]
    journals.forget(leaf)
    assert journals.load(leaf) is None


@pytest.mark.parametrize(
    ("found", "recorded", "explained"),
    [
        (BASE, BASE, True),  # killed before the leaf got its new identity
        (PREVIOUS, BASE, True),  # the same, in a second try
        (WRITTEN, BASE, True),  # killed while writing
        (WRITTEN, WRITTEN, True),  # the record follows the end of the cycle
        (STRANGER, BASE, False),
        (WRITTEN, STRANGER, False),  # the journal belongs to another state of the replica
        (BASE, PREVIOUS, False),
    ],
)
def test_a_journal_explains_only_what_this_mover_did(found, recorded, explained):
    assert JOURNAL.explains(found, recorded=recorded) is explained


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"base": "no guid"}, {"durable_until": "5"}, {"epoch": None}, {"unknown": 1}, {"cycle_id": ...}],
)
def test_a_journal_that_does_not_fit_is_refused(change):
    plain = json.loads(JOURNAL.to_text())
    for name, value in change.items():
        if value is ...:
            del plain[name]
        else:
            plain[name] = value
    with pytest.raises(FormatError):
        Journal.from_text(json.dumps(plain))


@given(st.text(max_size=60))
def test_junk_is_a_format_error(text):
    with pytest.raises(FormatError):
        Journal.from_text(text)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[1]", b"x" * 20_000])
def test_a_damaged_journal_explains_nothing(tmp_path, content):
    leaf = str(tmp_path / "disk.avhdx")
    (tmp_path / "disk.avhdx.opendr-journal").write_bytes(content)
    assert journals.load(leaf) is None


def test_a_journal_is_replaced_whole(tmp_path):
    leaf = str(tmp_path / "disk.avhdx")
    journals.store(leaf, JOURNAL)
    journals.store(leaf, replace(JOURNAL, durable_until=7))
    assert journals.load(leaf) == replace(JOURNAL, durable_until=7)
