# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free places of a file."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.space import (
    Place,
    Space,
    Span,
    overlaps,
)


def test_space_between_used_places_is_free():
    space = Space([Span(5, 8), Span(0, 3)])
    assert space.end == 8
    assert space.take(2) == Place(3, fresh=False)
    assert space.take(1) == Place(8, fresh=True)


def test_lowest_hole_that_is_long_enough_is_taken():
    space = Space([Span(0, 1), Span(2, 3), Span(6, 7), Span(9, 10)])
    assert [space.take(2).start, space.take(2).start, space.take(1).start] == [3, 7, 1]


def test_fresh_places_move_the_end():
    space = Space([Span(0, 4)])
    assert [space.take(2), space.take(3)] == [Place(4, fresh=True), Place(6, fresh=True)]
    assert space.end == 9


def test_returned_place_is_taken_only_after_settling():
    space = Space([Span(0, 9)])
    space.give_back(Span(2, 4))
    assert space.take(2) == Place(9, fresh=True)
    assert not space.settle()
    assert space.take(2) == Place(2, fresh=False)


def test_hole_is_found_again_after_a_search_that_failed():
    space = Space([Span(0, 9)])
    assert space.take(2).fresh
    space.give_back(Span(0, 2))
    space.settle()
    assert not space.take(2).fresh


def test_adjoining_places_become_one_hole():
    space = Space([Span(0, 9)])
    for span in (Span(4, 5), Span(2, 4), Span(5, 6)):
        space.give_back(span)
    space.settle()
    assert space.take(4) == Place(2, fresh=False)


def test_end_moves_down_over_returned_places():
    space = Space([Span(0, 2), Span(4, 6)])
    space.give_back(Span(4, 6))
    assert space.settle()
    assert space.end == 2
    assert space.take(1) == Place(2, fresh=True)


def test_settling_without_returned_places_changes_nothing():
    assert not Space([Span(0, 2)]).settle()


def test_overlaps_are_found():
    assert list(overlaps([Span(4, 6), Span(0, 4), Span(5, 7)])) == [(Span(4, 6), Span(5, 7))]
