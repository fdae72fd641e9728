# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The transfers of a mover, found by ticket and side: one mover may be both ends of a transfer."""

from __future__ import annotations

import threading
import time
from typing import Final
from uuid import UUID

from ..adapters.tls import Peer
from ..errors import Cancelled, EngineError, StateError, TransportError
from ..transfers import Side, Ticket
from ..wire.messages import Hello
from .epochs import fenced
from .target import TargetTransfer
from .transfer import Transfer, same_ticket, ticket_key

KEPT_SECONDS: Final = 3600.0  # an ended transfer is remembered so long after its ticket


class Registry:
    """Any thread may call any method."""

    def __init__(self, own_name: str) -> None:
        self._own_name = own_name
        self._transfers: dict[tuple[bytes, Side], Transfer] = {}
        self._lock = threading.Lock()

    def find(self, ticket: Ticket, side: Side) -> Transfer | None:
        """Return a side of a transfer. Raises StateError when the ticket is known there with other contents."""
        with self._lock:
            transfer = self._transfers.get((ticket_key(ticket.secret), side))
        if transfer is not None and not same_ticket(transfer.ticket, ticket):
            raise StateError("the ticket is known here with other contents", reason="ticket_refused")
        return transfer

    def get(self, ticket: Ticket, side: Side) -> Transfer:
        """Return a side of a transfer. Raises StateError, reason ``transfer_unknown``."""
        transfer = self.find(ticket, side)
        if transfer is None:
            raise StateError(
                f"mover {self._own_name} knows no transfer of this ticket",
                hint="it was restarted, or the transfer was closed: open it again",
                reason="transfer_unknown",
            )
        return transfer

    def add(self, transfer: Transfer) -> None:
        with self._lock:
            self._transfers[ticket_key(transfer.ticket.secret), transfer.side] = transfer

    def remove(self, ticket: Ticket, error: EngineError) -> None:
        """End a transfer and forget it; an unknown one is success. The source first, or it would connect again."""
        for side in (Side.SOURCE, Side.TARGET):
            transfer = self.find(ticket, side)
            if transfer is not None:
                self._forget(transfer, error)

    def admit_source(self, peer: Peer, hello: Hello) -> TargetTransfer:
        """Return the transfer that a peer may send to. Raises StateError, the same whatever is wrong."""
        with self._lock:
            transfer = self._transfers.get((ticket_key(hello.secret), Side.TARGET))
        if isinstance(transfer, TargetTransfer):
            is_named = peer == Peer("mover", transfer.ticket.source_mover)
            if is_named and transfer.admits(time.monotonic()):
                return transfer
        raise StateError("no transfer is open here for this ticket and peer", reason="ticket_refused")

    def fence(self, replica_id: UUID, epoch: int) -> None:
        """End the transfers into a replica that belong to an older epoch, on either side."""
        for transfer in self._all():
            ticket = transfer.ticket
            if ticket.replica_id == replica_id and ticket.epoch < epoch:
                transfer.cancel(fenced(replica_id, epoch=ticket.epoch, seen=epoch))

    def expire(self) -> None:
        """End transfers that nobody came for, and forget those that ended long ago."""
        now = time.monotonic()
        for transfer in self._all():
            error = transfer.abandoned(now) if isinstance(transfer, TargetTransfer) else None
            if error is not None:
                transfer.cancel(error)
            elif transfer.progress.has_ended and now > transfer.ticket_ends_at + KEPT_SECONDS:
                self._forget(transfer, Cancelled("forgotten"))

    def close(self) -> None:
        """End everything. Who is told takes it for an outage: a mover that is stopped usually comes back."""
        for transfer in self._all():
            transfer.cancel(TransportError(f"mover {self._own_name} was stopped", reason="mover_stopped"))

    def _forget(self, transfer: Transfer, error: EngineError) -> None:
        transfer.cancel(error)
        with self._lock:
            self._transfers.pop((ticket_key(transfer.ticket.secret), transfer.side), None)

    def _all(self) -> list[Transfer]:
        with self._lock:
            return list(self._transfers.values())
