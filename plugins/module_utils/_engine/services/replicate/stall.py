# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""A transfer that neither moves nor fails.

Movers tell what they know of: a lost line, a full volume, a peer that is silent. What is left is a mover that hangs,
on a volume that does not answer or by a defect; meanwhile the checkpoint on the source grows.
"""

from __future__ import annotations

from ...errors import TransportError
from ...transfers import TransferStatus


class Stall:
    """Watches one transfer, as both movers report it."""

    def __init__(self, limit: float) -> None:
        """``limit`` is in seconds; it has to be longer than movers wait for each other."""
        self._limit = limit
        self._place: tuple[int, ...] = ()
        self._moved_at = 0.0

    def check(self, source: TransferStatus, target: TransferStatus, *, now: float) -> None:
        """Note what the movers say at ``now`` (monotonic). Raises TransportError, reason ``stalled``."""
        place = (source.processed, source.sent, target.processed, target.written, target.durable_until)
        if place != self._place:
            self._place, self._moved_at = place, now
        elif now - self._moved_at > self._limit:
            raise TransportError(
                f"neither mover got any further for {now - self._moved_at:.0f} seconds: "
                f"the source is {source.state.value}, the target {target.state.value}",
                hint="look into the logs of both movers, and whether the volumes of both hosts answer",
                reason="stalled",
            )
