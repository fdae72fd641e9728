# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The sending side of a transfer, over as many connections as it takes.

After a lost connection the transfer connects again and goes on where the target is durable; nothing is kept for that,
since the frozen chain can be read again. What happens on one connection is in ``sending.py`` and ``comparing.py``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ..adapters.connection import Connection
from ..errors import Cancelled, EngineError, TransportError
from ..transfers import Scope, Side, TransferState
from .comparing import Comparing
from .config import Timing
from .sending import Outgoing, Sending


class SourceTransfer:
    """Sends, or compares, the plan's extents of a disk. ``start`` returns at once; ``progress`` tells the rest."""

    side = Side.SOURCE

    def __init__(self, outgoing: Outgoing, *, connect: Callable[[], Connection], timing: Timing) -> None:
        self.ticket = outgoing.ticket
        self.ticket_ends_at = time.monotonic() + self.ticket.lifetime_seconds
        self.progress = outgoing.progress
        self._outgoing = outgoing
        self._pipeline = Comparing if outgoing.plan.scope is Scope.VERIFY else Sending
        self._connect = connect
        self._timing = timing
        self._cancelled = threading.Event()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="source transfer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def cancel(self, error: EngineError) -> None:
        self.progress.end(error, state=TransferState.CANCELLED)
        self._cancelled.set()
        connection = self._connection
        if connection is not None:
            connection.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._send_until_done()
        except EngineError as error:
            self.progress.end(error)
        except Exception as error:  # noqa: BLE001 - the outer loop of a daemon's thread: told, not lost
            self.progress.end(EngineError(f"the source mover failed: {error!r}"))
        finally:
            self._outgoing.disk.close()

    def _send_until_done(self) -> None:
        """Send over as many connections as it takes."""
        alive_at = time.monotonic()
        while True:
            try:
                connection = self._connection = self._connect()
                try:
                    self._check_cancelled()
                    self._pipeline(self._outgoing, connection).run()
                finally:
                    connection.close()
                return
            except TransportError as error:
                self._check_cancelled()
                if self.progress.status.state is TransferState.RUNNING:
                    alive_at = time.monotonic()
                    self.progress.set(state=TransferState.WAITING)
                if time.monotonic() - alive_at > self._timing.reconnect_limit:
                    raise TransportError(
                        f"no connection to {self.ticket.target_mover} for {self._timing.reconnect_limit:.0f} seconds: "
                        f"{error}",
                        hint="run the job again when the network is back; it goes on where it was",
                        reason=error.reason,
                    ) from error
                self._cancelled.wait(self._timing.reconnect_interval)
                self._check_cancelled()

    def _check_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled("the transfer was cancelled")
