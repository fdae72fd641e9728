# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What the transfers of both directions share: the plan of a transfer, keys and names from a ticket, a status."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..errors import EngineError
from ..extents import Extent, after, pack_pairs
from ..libraries import keyed_blake3
from ..transfers import Scope, Side, Ticket, TransferState, TransferStatus
from ..units import GiB
from .pipes import Busy

GRAIN: Final = 4096  # bytes: extents are widened to it, so that no disk has to read before it writes
GAP_MAX: Final = 1 * GiB  # bytes of a gap in one frame
DIGEST_CONTEXT: Final = b"opendr.hyperv mover compare digests v1"
FINAL: Final = frozenset({"state", "error", "leaf"})
ENDED: Final = (TransferState.DONE, TransferState.FAILED, TransferState.CANCELLED)


def ticket_key(secret: bytes) -> bytes:
    """Return what a mover knows a ticket by; it says nothing of the secret."""
    return hashlib.sha256(secret).digest()


def digest_key(ticket: Ticket) -> bytes:
    """Return the key of the digests that compare source and target: another one for each transfer."""
    return keyed_blake3(ticket_key(ticket.secret))(DIGEST_CONTEXT)


def same_ticket(first: Ticket, second: Ticket) -> bool:
    """Compare two tickets; how long it takes says nothing of the secrets."""
    return hmac.compare_digest(first.secret, second.secret) and first == second


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent, in order of offset."""

    scope: Scope
    extents: tuple[Extent, ...]  # normal
    size: int  # bytes of the virtual disk
    basis: str = ""  # see ``SourceOrder``

    @property
    def name(self) -> bytes:
        """Name the plan; what one of equal plans of a cycle has moved, another one need not move again."""
        moved = self.basis.encode() or pack_pairs(self.extents)
        digest = hashlib.sha256(f"{self.scope.value} {self.size} ".encode() + moved)
        return digest.digest()[:16]

    def remaining(self, durable_until: int) -> list[Extent]:
        return after(self.extents, durable_until)

    def steps(self, durable_until: int, *, with_gaps: bool) -> Iterator[tuple[Extent, bool]]:
        """Yield extents, and the gaps between them if asked, in order; the flag marks a gap."""
        place = durable_until
        for extent in self.remaining(durable_until):
            if with_gaps:
                yield from ((gap, True) for gap in _gaps(place, extent.offset))
            yield extent, False
            place = extent.end
        if with_gaps:
            yield from ((gap, True) for gap in _gaps(place, self.size))


def _gaps(start: int, end: int) -> Iterator[Extent]:
    while start < end:
        step = min(end - start, GAP_MAX)
        yield Extent(start, step)
        start += step


class Progress:
    """The status of a transfer, changed by its threads."""

    def __init__(self, **initial: Any) -> None:
        self.busy = Busy()
        self._values: dict[str, Any] = {"state": TransferState.WAITING, **initial}
        self._lock = threading.Lock()

    @property
    def status(self) -> TransferStatus:
        with self._lock:
            return TransferStatus(**self._values, busy_seconds=self.busy.snapshot())

    @property
    def has_ended(self) -> bool:
        return self._values["state"] in ENDED

    def add(self, **counts: int) -> None:
        """Add to counters."""
        with self._lock:
            for name, count in counts.items():
                self._values[name] = self._values.get(name, 0) + count

    def set(self, **values: Any) -> None:
        """Set fields; a transfer that has ended keeps its state and error."""
        with self._lock:
            ended = self._values["state"] in ENDED
            self._values.update({name: value for name, value in values.items() if not (ended and name in FINAL)})

    def end(self, error: EngineError | None, *, state: TransferState = TransferState.FAILED, **values: Any) -> None:
        """Go to a final state, unless one was reached before."""
        self.set(state=state, error=error.as_dict() if error is not None else None, **values)


class Transfer(Protocol):
    """One side of the transfer of a disk."""

    side: Side
    ticket: Ticket
    ticket_ends_at: float  # monotonic: no clock is compared with that of another machine
    progress: Progress

    def cancel(self, error: EngineError) -> None:
        """End it, release its files, and return when that is done; an ended one only releases."""
