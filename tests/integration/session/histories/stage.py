# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on a stage: its calls are numbered, and things happen before or after a chosen one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import StoppableClock
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import HypervisorError, TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Site
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.stops import Stop, StopRequest, StopSign
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Killed, Mortal

POLLS = frozenset({"status", "activity"})  # how often they are called is up to the machine that runs the tests
STOPS = {f"stop_{stop.value}": stop for stop in Stop if stop is not Stop.NOW}
FAULTS = ("kill", "cancel", "lost", "busy", *STOPS)


@dataclass(frozen=True)
class Event:
    """What happens at the ``number``-th call, ``after`` it had its effect or before it is made.

    ``what`` is one of FAULTS, or an act of somebody else, whose details come from ``seed``.
    """

    number: int
    after: bool
    what: str
    seed: int


class Stage:
    """Of one session. ``act`` does what somebody else does; ``frozen`` hears of a checkpoint about to be made."""

    def __init__(
        self, events: Iterable[Event], *, act: Callable[[str, int], None], freezes: Callable[[str], None]
    ) -> None:
        self._events = list(events)
        self._act = act
        self._freezes = freezes
        self._clock = StoppableClock()
        self._sign = StopSign()
        self._number = 0
        self._last = ""
        self.trace: list[str] = []
        self.met: list[Event] = []
        self.is_dead = False

    def site(self, site: Site) -> Site:
        """Return the site as this session sees it."""
        stage: Any = self  # it calls as Death does
        return replace(
            site,
            clock=self._clock,
            stop=self._sign,
            connect_host=lambda name: Mortal(site.connect_host(name), stage),
            connect_mover=lambda name: Mortal(site.connect_mover(name), stage),
        )

    def call(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make a call of a port, unless something comes in between."""
        if self.is_dead:
            raise Killed(name)
        is_new = name not in POLLS or self._last not in POLLS
        self._last = name
        if is_new:
            self._number += 1
            self.trace.append(name)
            self._strike(name, after=False)
        if name == "create_checkpoint":
            self._freezes(named["name"])
        result = real(*arguments, **named)
        if is_new:
            self._strike(name, after=True)
        return result

    def _strike(self, name: str, *, after: bool) -> None:
        for event in [each for each in self._events if (each.number, each.after) == (self._number, after)]:
            self._events.remove(event)
            self.met.append(event)
            if event.what == "kill":
                self.is_dead = True
                raise Killed(name)
            if event.what == "busy" and not after and hasattr(Hypervisor, name):
                raise HypervisorError(f"{name} has to wait", error_id="Hvr.Busy")
            if event.what in {"lost", "busy"}:
                raise TransportError(f"connection lost in {name}")
            if event.what == "cancel":
                self._clock.stop()
            elif event.what in STOPS:
                self._sign.ask(StopRequest(STOPS[event.what], "somebody", 0.0))
            else:
                self._act(event.what, event.seed)
