# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names by which a restart finds its own objects again."""

from __future__ import annotations

from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import (
    CheckpointName,
    journal_of,
    marker,
    restore_point_name,
    safe_stem,
    unused,
)

ONE, TWO = UUID(int=1), UUID(int=2)
NAME = CheckpointName(ONE, TWO)


def test_checkpoint_name_is_read_back():
    assert str(NAME) == f"OpenDR {ONE} {TWO}"
    assert CheckpointName.parse(str(NAME)) == NAME


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Backup 1",
        f"OpenDR {ONE}",
        f"OpenDR {ONE} {TWO} 20251125T134000Z",
        f"x{NAME}",
        f"{NAME} ",
        "OpenDR a b c",
    ],
)
def test_foreign_checkpoint_is_nobody_of_ours(name):
    assert CheckpointName.parse(name) is None


def test_restore_point_and_marker_carry_their_ids():
    assert restore_point_name(source_time=1764078000.9, cycle_id=TWO) == f"OpenDR 2025-11-25 13:40:00Z {TWO}"
    assert marker(ONE) == f"OpenDR replica {ONE}"


def test_journal_lies_beside_its_image():
    assert journal_of("D:\\a.vhdx") == "D:\\a.vhdx.opendr-journal"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("disk", "disk"), ("a:b/c", "a_b_c"), ("x. ", "x"), ("", "_"), ("CON", "_CON"), ("nul.vhdx", "_nul.vhdx")],
)
def test_stem_is_a_windows_file_name(name, stem):
    assert safe_stem(name) == stem
    assert len(safe_stem("x" * 300)) == 80


def test_taken_names_are_avoided_whatever_their_case():
    first = unused("disk", taken=["DISK"], key=TWO)
    assert first == "disk_00000000"
    assert unused("disk", taken=["disk", first], key=TWO) == "disk_00000000_2"
    assert unused("disk", taken=[], key=TWO) == "disk"
