# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Patience with a host or a mover that is busy or cannot be reached: the one place where a call is made again.

Calls may be repeated whatever became of the last try: host functions find by name, id or content what they made, movers
find what is open (docs/design/host_contract.md, "Repeating").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar, cast

from ...errors import EngineError, HypervisorError, TransportError
from ...ports import Clock
from .site import Limits

P = ParamSpec("P")
R = TypeVar("R")


class Patience:
    """With one side, for one machine task. Once it is used up each call is tried once, until one succeeds again."""

    def __init__(
        self, clock: Clock, limits: Limits, *, wait: Callable[[float], None], tell: Callable[[str], None]
    ) -> None:
        """``wait`` lets seconds pass and may raise what ends the task; ``tell`` hears of each outage once."""
        self._clock = clock
        self._limits = limits
        self._wait = wait
        self._tell = tell
        self._since: float | None = None  # when the trouble began

    def call(self, function: Callable[P, R], /, *arguments: P.args, **named: P.kwargs) -> R:
        """Call until it is answered. Raises what the function raises, trouble only when it lasts too long."""
        while True:
            try:
                result = function(*arguments, **named)
            except EngineError as error:
                self._bear(error)
            else:
                self._since = None
                return result

    def _bear(self, error: EngineError) -> None:
        lost = isinstance(error, TransportError) and error.retryable
        busy = isinstance(error, HypervisorError) and error.error_id == "Hvr.Busy"
        if not (lost or busy):
            self._since = None
            raise error
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
            if lost:
                self._tell(f"{error.message}; trying again")
        if now - self._since >= self._limits.busy_seconds:
            raise error
        self._wait(self._limits.reconnect_seconds if lost else self._limits.poll_seconds)


def patient(port: R, patience: Patience) -> R:
    """Return a port whose every method is called with patience."""
    return cast("R", _Patient(port, patience))


class _Patient:
    def __init__(self, port: object, patience: Patience) -> None:
        self._port = port
        self._patience = patience

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        return partial(self._patience.call, found) if callable(found) else found
