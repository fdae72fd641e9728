# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed values from JSON: what is not exactly right is refused, with the place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.codec import (
    ITEMS_MAX,
    NUMBER_MAX,
    TEXT_MAX,
    decode,
    encode,
    load,
)


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: str


@dataclass(frozen=True)
class Inner:
    number: int


@dataclass(frozen=True)
class Everything:
    text: str
    number: int
    real: float
    flag: bool
    key: UUID
    colour: Colour
    inner: Inner
    pair: Pair
    maybe: Inner | None
    items: tuple[int, ...]
    table: dict[UUID, tuple[Pair, ...]]


KEY = UUID(int=5)
VALUE = Everything("t", 1, 1.5, True, KEY, Colour.RED, Inner(2), Pair(3, "r"), None, (1, 2), {KEY: (Pair(4, "x"),)})


def test_values_survive_the_round_trip():
    assert decode(Everything, encode(VALUE), where="top") == VALUE


BAD = [
    ("text", 1, "top.text is 1, want str"),
    ("text", "x" * (TEXT_MAX + 1), "top.text is"),
    ("number", True, "top.number is True, want int"),
    ("number", -1, "top.number is -1, want int"),
    ("number", NUMBER_MAX + 1, "want int"),
    ("number", 1.0, "want int"),
    ("real", "1", "want float"),
    ("real", 10**400, "want float"),
    ("flag", 1, "want bool"),
    ("key", "not-a-uuid", "want UUID"),
    ("colour", "blue", "want Colour"),
    ("inner", [], "top.inner is [], want dict"),
    ("inner", {}, "top.inner lacks ['number']"),
    ("inner", {"number": 1, "other": 2}, "unknown ['other']"),
    ("pair", [1], "top.pair has 1 items, want 2"),
    ("pair", ["x", "y"], "top.pair.left is 'x', want int"),
    ("maybe", 3, "top.maybe is 3, want dict"),
    ("items", {"a": 1}, "top.items is"),
    ("items", [1, "x"], "top.items[1] is 'x', want int"),
    ("items", [0] * (ITEMS_MAX + 1), "the limit is"),
    ("table", {"nobody": []}, "key of top.table is 'nobody', want UUID"),
    ("table", {str(KEY): [], str(KEY).upper().replace("-", ""): []}, "one key in two spellings"),
]


@pytest.mark.parametrize(("member", "value", "sentence"), BAD, ids=[f"{m}-{s}" for m, _v, s in BAD])
def test_wrong_member_is_refused_with_its_place(member, value, sentence):
    plain = encode(VALUE)
    assert isinstance(plain, dict)
    with pytest.raises(FormatError) as caught:
        decode(Everything, {**plain, member: value}, where="top")
    assert sentence in caught.value.message


@pytest.mark.parametrize("text", ["", "{", "[1,]", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 100000, "1" * 5000])
def test_text_that_is_not_clean_json_is_refused(text):
    with pytest.raises(FormatError):
        load(text, size_max=1_000_000)


def test_long_text_is_refused_before_it_is_parsed():
    with pytest.raises(FormatError, match="limit is 3"):
        load("{  }", size_max=3)
