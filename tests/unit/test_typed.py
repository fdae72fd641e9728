# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every format has in common; scalars and limits are tested with the formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.typed import Decoder


class Numbers(Decoder):
    """A format whose only scalar is a whole number."""

    def scalar(self, kind: Any, value: object, *, where: str) -> object:
        return self.container(int, value, where=where)

    def container(self, kind: type[Any], value: object, *, where: str) -> Any:
        if not isinstance(value, kind):
            raise ValueError(f"{where} is wrong")
        return value


@dataclass(frozen=True)
class Sides:
    pair: tuple[int, int]
    more: tuple[int, ...]
    maybe: int | None


def decode(**changes: object) -> Sides:
    result: Sides = Numbers().decode(Sides, {"pair": [1, 2], "more": [], "maybe": None, **changes}, where="top")
    return result


def test_tuples_of_both_kinds_and_what_may_be_none():
    assert decode() == Sides((1, 2), (), None)
    assert decode(more=[5, 6, 7], maybe=3) == Sides((1, 2), (5, 6, 7), 3)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"pair": [1]}, "top.pair has 1 items, want 2"),
        ({"pair": [1, "x"]}, r"top.pair\[1\]"),
        ({"more": [1, None]}, r"top.more\[1\]"),
        ({"maybe": []}, "top.maybe is wrong"),
        ({"extra": 1}, "unknown"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(changes, place):
    with pytest.raises(ValueError, match=place):
        decode(**changes)
