# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Calls of contract functions on one Hyper-V host, over PSRP: typed commands only, never script text."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from ..errors import Cancelled, TransportError
from ..model.contract import FUNCTIONS
from ..ports import Clock
from .psrp_connection import PsrpConnection, SessionGone
from .psrp_settings import HostConnectionSettings
from .psrp_values import decode, encode

__all__ = ["CONNECTIONS_MAX", "HostConnectionSettings", "PsrpHost"]

CONNECTIONS_MAX: Final = 4  # PowerShell sessions for each host and account; Windows allows 25 to 30 for all clients
CALL_SECONDS_MAX: Final = 1800.0
_QUOTA_SECONDS_MAX: Final = 300.0
_QUOTA_PAUSE_SECONDS: Final = 2.0
_QUOTA_PAUSE_SECONDS_MAX: Final = 15.0
_SLOT_SECONDS: Final = 0.5


class _TidyingClock:
    """The clock of work that was cancelled: waits, and no longer asks whether to stop."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.monotonic = clock.monotonic

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _clock_for_call(clock: Clock) -> Clock:
    try:
        clock.sleep(0)
    except Cancelled:
        return _TidyingClock(clock)
    return clock


@dataclass(frozen=True, slots=True)
class _Call:
    """One call on its way; ``clock`` cancels it, ``deadline`` is in its monotonic seconds."""

    function: str
    parameters: dict[str, Any]
    clock: Clock
    deadline: float


class PsrpHost:
    """A host that many threads may call: at most ``CONNECTIONS_MAX`` calls at once, the others wait.

    Sessions are kept and used again, since a new one costs the host seconds. Make one object for each host and account.
    Nothing that may have run is run again: that is the service's decision.

    When the clock says that the work is to stop, calls that run are stopped on the host. A call that begins afterwards
    is part of the tidying up, and is not.
    """

    def __init__(self, settings: HostConnectionSettings, *, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._lock = threading.Lock()
        self._idle: list[PsrpConnection] = []
        self._closed = False

    @property
    def name(self) -> str:
        """The inventory name of the host."""
        return self.settings.name

    def call(self, function: str, **parameters: object) -> list[dict[str, Any]]:
        """Call a function of the contract and return its rows, checked.

        Args:
            function: a name in ``contract.FUNCTIONS``.
            parameters: by the contract's names; ``None`` leaves one out.

        Raises:
            HypervisorError: the host refused; ``error_id`` is the contract's, or PowerShell's own.
            TransportError: not reached, not allowed in, lost, or timed out.
            PeerError: the answer breaks the contract.
            RequestError: the call breaks the contract, or a setting of the connection is wrong.
            Cancelled: the clock says so.
        """
        contract = FUNCTIONS[function]
        encoded = encode(contract, parameters)
        deadline = self._clock.monotonic() + CALL_SECONDS_MAX
        call = _Call(function, encoded, _clock_for_call(self._clock), deadline)
        for _session in range(CONNECTIONS_MAX):
            try:
                return decode(contract, self._run(call))
            except SessionGone:  # it did not run; a host that restarted WinRM has lost all our sessions
                continue
        return decode(contract, self._run(call))

    def close(self) -> None:
        """End the sessions that nobody uses; those in use end with their call."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _run(self, call: _Call) -> list[object]:
        connection = self._borrow(call)
        try:
            return connection.run(call.function, call.parameters, deadline=call.deadline)
        finally:
            self._give_back(connection)

    def _borrow(self, call: _Call) -> PsrpConnection:
        while not self._slots.acquire(timeout=_SLOT_SECONDS):
            call.clock.sleep(0)  # raises Cancelled
            if call.clock.monotonic() > call.deadline:
                raise TransportError(f"{self.settings.where}: no session became free in time", reason="timeout")
        try:
            return self._find_or_open(call)
        except BaseException:
            self._slots.release()
            raise

    def _find_or_open(self, call: _Call) -> PsrpConnection:
        """Return a session that works; while the host's quota is used up, wait for it, or for one of ours."""
        pause = _QUOTA_PAUSE_SECONDS
        give_up = min(call.deadline, call.clock.monotonic() + _QUOTA_SECONDS_MAX)
        while True:
            while (connection := self._pop_idle()) is not None:
                connection.clock = call.clock
                if connection.is_alive():
                    return connection
                connection.close()
            try:
                return PsrpConnection(self.settings, clock=call.clock)
            except TransportError as error:
                if error.reason != "quota_reached" or call.clock.monotonic() + pause > give_up:
                    raise
            call.clock.sleep(pause)
            pause = min(2 * pause, _QUOTA_PAUSE_SECONDS_MAX)

    def _pop_idle(self) -> PsrpConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: PsrpConnection) -> None:
        with self._lock:
            keep = connection.usable and not self._closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()
        self._slots.release()
