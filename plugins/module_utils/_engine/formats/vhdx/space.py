# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Which places of a VHDX file are in use, which are free. Places are in whole MiB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple


class Span(NamedTuple):
    """A byte range of the file."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Place(NamedTuple):
    """Where a block goes; ``fresh`` means that it lies behind everything used and reads as zeros."""

    start: int
    fresh: bool


def overlaps(spans: Iterable[Span]) -> Iterator[tuple[Span, Span]]:
    """Return each two neighbours, by their start, that share a byte."""
    ordered = sorted(spans)
    for first, second in pairwise(ordered):
        if first.end > second.start:
            yield first, second


class Space:
    """The free places of a file, from its used ones.

    A place given back can be taken only after ``settle``: until the table that no longer names it is durable, a power
    cut would show the new block's bytes under the old one.
    """

    def __init__(self, used: Iterable[Span]) -> None:
        self.end = 0  # bytes: everything used lies below
        self._holes: list[Span] = []  # sorted, disjoint, below the end
        self._returned: list[Span] = []
        self._too_long = 0  # no hole is as long as this; 0: not known
        for span in sorted(used):
            if span.start > self.end:
                self._holes.append(Span(self.end, span.start))
            self.end = max(self.end, span.end)

    def take(self, length: int) -> Place:
        """Return the lowest hole that is long enough, else the end of the file."""
        if not self._too_long or length < self._too_long:
            for index, hole in enumerate(self._holes):
                if hole.length >= length:
                    rest = Span(hole.start + length, hole.end)
                    self._holes[index : index + 1] = [rest] if rest.length else []
                    return Place(hole.start, fresh=False)
            self._too_long = length
        place = Place(self.end, fresh=True)
        self.end += length
        return place

    def give_back(self, span: Span) -> None:
        """Return a place; it becomes free with the next ``settle``."""
        self._returned.append(span)

    def settle(self) -> bool:
        """Make returned places free, now that no durable table names them; tell whether the end moved down."""
        if not self._returned:
            return False
        merged: list[Span] = []
        for span in sorted(self._holes + self._returned):
            if merged and merged[-1].end == span.start:
                merged[-1] = Span(merged[-1].start, span.end)
            else:
                merged.append(span)
        shrunk = merged[-1].end == self.end
        if shrunk:
            self.end = merged.pop().start
        self._holes, self._returned, self._too_long = merged, [], 0
        return shrunk
