# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a verification compares."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, subtract, total
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.comparing import EDGE, to_compare
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Sample
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, KiB, MiB

SIZE = 8 * GiB
STORED = (Extent(10 * MiB + 512, 2 * GiB), Extent(5 * GiB, GiB))


def chosen(percent=5, seed=1, *, stored=STORED, left_out=()):
    return to_compare(list(stored), list(left_out), size=SIZE, sample=Sample(percent, seed))


def test_everything_is_all_but_what_is_left_out():
    left_out = [Extent(0, 512), Extent(MiB, 4 * KiB)]
    whole = to_compare(list(STORED), left_out, size=SIZE, sample=None)
    assert whole == [Extent(512, MiB - 512), Extent(MiB + 4 * KiB, SIZE - MiB - 4 * KiB)]
    assert to_compare([], [], size=0, sample=None) == []


def test_a_sample_is_its_share_of_what_is_stored_and_both_ends():
    compared = chosen()
    assert (compared[0].offset, compared[-1].end) == (0, SIZE)
    assert 0.03 * total(STORED) < total(compared) - 2 * EDGE < 0.07 * total(STORED)
    inside = subtract(compared, [Extent(0, EDGE), Extent(SIZE - EDGE, EDGE)])
    assert subtract(inside, STORED) == []


def test_a_sample_of_all_is_all_that_is_stored():
    assert total(chosen(100)) == total(STORED) + 2 * EDGE


@pytest.mark.parametrize("percent", [1, 5, 50])
def test_a_seed_chooses_the_same_again_and_another_something_else(percent):
    assert chosen(percent) == chosen(percent)
    assert chosen(percent) != chosen(percent, seed=2)


def test_what_is_stored_elsewhere_does_not_change_the_choice():
    fewer = chosen(stored=STORED[1:])
    assert subtract(fewer, chosen()) == []


def test_what_is_left_out_is_not_compared():
    left_out = [Extent(0, MiB), Extent(2 * GiB, 4 * GiB)]
    compared = chosen(50, left_out=left_out)
    assert subtract(compared, left_out) == compared
    assert compared == subtract(chosen(50), left_out)
