# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a source does on one connection when it only compares: ask for digests, read, note which pieces differ.

The stages are those of ``sending.py``; nothing is sent but questions. Source: docs/design/mover_protocol.md,
"Verification".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ..extents import Extent, coarsen, normalize, subtract, total
from ..transfers import Sample
from ..units import MiB
from ..wire.frames import Kind
from ..wire.messages import Ready, place_frame
from ..wire.unit import pieces
from .sending import Packed, Sending

BAD_MAX: Final = 1024  # extents that a status carries
EDGE: Final = 1 * MiB  # both ends of a disk, where partition tables and boot sectors are, are part of each sample
_WORD: Final = (1 << 64) - 1


class Comparing(Sending):
    """The pipeline of one connection. How far it has come is known here alone: the target keeps nothing."""

    def _resume(self, ready: Ready) -> Ready:
        return replace(ready, durable_until=self._progress.status.durable_until)

    def _note_durable(self, offset: int) -> None:
        """Nothing becomes durable at the target."""

    def _pack(self, extent: Extent, memory: bytearray) -> Packed:
        theirs, view = self._digests.take(extent), memoryview(memory)
        with self._progress.busy.at("compare"):
            bad = tuple(
                piece
                for piece in pieces(extent)
                if self._digest(view[piece.offset - extent.offset : piece.end - extent.offset]) != theirs[piece.offset]
            )
        return Packed(extent, memory=memory, bad=bad)

    def _deliver(self, packed: Packed) -> None:
        """Note a unit, all of it at once: whoever goes on behind ``durable_until`` relies on the rest."""
        length, bad, status = packed.extent.length, total(packed.bad), self._progress.status
        known = status.bad
        if bad:
            merged = normalize([*known, *packed.bad], size=self._plan.size)
            known = tuple(coarsen(merged, count_max=BAD_MAX, size=self._plan.size))
        self._progress.set(
            sent=status.sent + place_frame(Kind.COMPARE, packed.extent).size,
            processed=status.processed + length,
            read=status.read + length,
            same=status.same + length - bad,
            bad_bytes=status.bad_bytes + bad,
            bad=known,
            durable_until=packed.extent.end,
        )


def to_compare(allocated: list[Extent], left_out: list[Extent], *, size: int, sample: Sample | None) -> list[Extent]:
    """Return what a verification compares of a disk: all but what is left out, or a sample of it.

    ``allocated`` is what the source stores, a normal list.
    """
    if sample is None:
        return subtract([Extent(0, size)] if size else [], left_out)
    edges = [Extent(0, EDGE), Extent(max(0, size - EDGE), EDGE)]
    return subtract(normalize([*edges, *_chosen(allocated, sample)], size=size), left_out)


def _chosen(allocated: list[Extent], sample: Sample) -> list[Extent]:
    """Choose aligned units of 1 MiB one by one, so that equal seeds choose equal units whatever lies between them."""
    threshold = (sample.percent << 64) // 100
    chosen = []
    for extent in allocated:
        for index in range(extent.offset // EDGE, -(-extent.end // EDGE)):
            if _mixed(sample.seed << 32 ^ index) < threshold:
                start, end = max(extent.offset, index * EDGE), min(extent.end, (index + 1) * EDGE)
                chosen.append(Extent(start, end - start))
    return chosen


def _mixed(number: int) -> int:
    """Return a number below 2^64 that looks random. Source: the finalizer of SplitMix64."""
    number = (number + 0x9E3779B97F4A7C15) & _WORD
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _WORD
    return number ^ number >> 31
