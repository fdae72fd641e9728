# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose disk is it: what a mover takes for the disk of a replica."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import journal_of

from .sites import Site


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(StateError) as caught:
        call()
    return caught.value.reason


def test_creating_a_disk_twice_is_success_and_another_one_is_not(site: Site) -> None:
    site.create()
    site.create()
    other = replace(site.disk.geometry, disk_id=uuid.uuid4())
    with site.target.client() as client:
        create = partial(client.create_disk, site.leaf_path, other, replica_id=site.replica_id, epoch=1)
        assert reason_of(create) == "file_exists"


def test_a_disk_of_another_replica_is_not_taken_over(site: Site) -> None:
    site.create()
    site.replica_id = uuid.uuid4()
    assert reason_of(site.create) == "file_exists"


def test_a_disk_without_a_journal_is_not_taken_over(site: Site) -> None:
    site.create()
    Path(journal_of(str(site.leaf))).unlink()
    assert reason_of(site.create) == "file_exists"


def test_an_epoch_that_cannot_be_read_is_no_matter_of_the_leaf(site: Site) -> None:
    site.create()
    (epoch_file,) = site.folder.rglob(f"{site.replica_id}.epoch")
    epoch_file.write_bytes(b"junk")
    assert reason_of(lambda: site.open(site.ticket())) == "epoch_unreadable"
