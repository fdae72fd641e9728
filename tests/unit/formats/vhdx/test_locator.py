# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent locator."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import (
    ENTRY,
    HEAD,
    ParentLocator,
    ParentPaths,
)

PATHS = ParentPaths(
    relative=".\\base.vhdx", absolute="C:\\disks\\base.vhdx", volume="\\\\?\\Volume{0}\\disks\\base.vhdx"
)
LINK = UUID("6f1c5b0e-2f0f-4b7e-9d4e-3b8a0c1d2e3f")  # fixed: it names tests, which must be alike in all workers
PACKED = ParentLocator.of(PATHS, linkage=LINK).pack()
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def test_sizes_are_those_of_the_specification():
    assert (HEAD.size, ENTRY.size) == (20, 12)


def test_locator_survives_packing():
    locator = ParentLocator.of(PATHS, linkage=LINK, linkage2=uuid4())
    assert ParentLocator.parse(locator.pack()) == locator
    assert len(locator.linkages) == 2


@given(st.dictionaries(TEXT.filter(bool), TEXT, max_size=5), TEXT)
def test_any_keys_survive_packing(pairs, path):
    locator = ParentLocator.from_pairs(pairs | {"parent_linkage": f"{{{LINK}}}", "relative_path": path})
    assert ParentLocator.parse(locator.pack()) == locator


def test_linkage_is_written_in_braces_and_lower_case():
    assert ParentLocator.of(PATHS, linkage=LINK).pairs["parent_linkage"] == f"{{{LINK}}}".lower()


@pytest.mark.parametrize("text", [str(LINK), f"{{{LINK}}}".upper(), f"{{{LINK}}}"])
def test_linkage_is_read_in_any_case_with_or_without_braces(text):
    assert ParentLocator.from_pairs({"parent_linkage": text, "relative_path": "x"}).linkages == (LINK,)


def test_second_linkage_of_zeros_is_none():
    zeros = "{00000000-0000-0000-0000-000000000000}"
    pairs = {"parent_linkage": f"{{{LINK}}}", "parent_linkage2": zeros, "volume_path": "x"}
    assert ParentLocator.from_pairs(pairs).linkages == (LINK,)


def test_volume_path_is_left_out_when_there_is_none():
    assert "volume_path" not in ParentPaths(relative="a", absolute="b").as_pairs()


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ({"relative_path": "x"}, "no parent_linkage"),
        ({"parent_linkage": f"{{{LINK}}}"}, "no path"),
        ({"parent_linkage": "{12}", "relative_path": "x"}, "no GUID"),
    ],
)
def test_incomplete_pairs_are_rejected(pairs, sentence):
    with pytest.raises(FormatError, match=sentence):
        ParentLocator.from_pairs(pairs)


def broken(offset: int, value: bytes) -> bytes:
    return PACKED[:offset] + value + PACKED[offset + len(value) :]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (PACKED[:19], "19 bytes"),
        (broken(0, b"\1"), "type"),
        (broken(18, bytes(2)), "0 pairs"),
        (broken(18, b"\xff\xff"), "65535 pairs"),
        (broken(20, bytes(4)), "at 0"),
        (broken(20, b"\xff\xff\xff\xff"), "lies outside"),
        (broken(28, bytes(2)), "empty"),
        (broken(30, b"\3"), "not UTF-16"),
        (broken(20 + 12 * 4, bytes(2)), "NUL"),
        (broken(32, PACKED[20:32]), "given twice"),
    ],
)
def test_bad_locator_is_rejected(data, sentence):
    with pytest.raises(FormatError, match=sentence):
        ParentLocator.parse(data)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_locator_or_format_error(body):
    try:
        ParentLocator.parse(HEAD.pack(PACKED[:16], 0, 2) + body)
    except FormatError:
        pass
