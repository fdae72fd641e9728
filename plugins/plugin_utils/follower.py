# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Follow a session on its manager: poll, show what happened, and come back when it ended.

Only polls are repeated after a lost connection; they change nothing. Whatever happens here, the session goes on: who
gives up says how to attach to it again.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..module_utils._engine.errors import EngineError, StateError, TransportError

HEARTBEAT_SECONDS = 60
PATIENCE_SECONDS = 600  # for a manager that cannot be reached, before the task gives up
GONE = "worker_gone"  # reason of the error of a session whose worker died
ENDED = frozenset({"done", "failed", "cancelled"})

Status = dict[str, t.Any]  # docs/design/session.md, status.json with "alive" and "events"
Event = dict[str, t.Any]


class Clock(t.Protocol):
    """Time as an argument; the module ``time`` is one."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class ConnectionLost(Exception):
    """A poll did not reach the manager; the next one may."""


@dataclass(frozen=True)
class Session:
    """A session to follow; ``timeout`` and ``interval`` are seconds, a ``timeout`` of 0 is none."""

    session_id: str
    job: str
    interval: float
    timeout: float


class Follower:
    """Polls one session until it ended.

    ``poll`` takes the sequence number of the last event seen and returns the status with the events after it, None when
    the manager knows no such session. ``show`` prints one event.
    """

    def __init__(
        self, session: Session, *, poll: Callable[[int], Status | None], show: Callable[[Event], None], clock: Clock
    ) -> None:
        self._session = session
        self._poll = poll
        self._show = show
        self._clock = clock
        self._seen = 0
        self._lost_since: float | None = None
        self._shown_at = clock.monotonic()

    def follow(self) -> Status:
        """Return the status of the ended session.

        Raises:
            StateError: the time is over (``still_running``), or the worker died (``worker_gone``).
            TransportError: the manager cannot be reached any more (``manager_unreachable``).
        """
        started = self._clock.monotonic()
        was_gone = False
        while True:
            status = self._reading()
            if status is not None:
                if status["state"] in ENDED:
                    return self._to_the_last_event(status)
                # A worker that ends between the two looks of one poll seems gone; the next poll sees its result.
                if not status["alive"] and was_gone:
                    raise self._gone()
                was_gone = not status["alive"]
            if self._session.timeout and self._clock.monotonic() - started >= self._session.timeout:
                raise self._still_running()
            self._clock.sleep(self._session.interval)

    def _reading(self) -> Status | None:
        """Poll once and show what is new; None when the connection was lost."""
        try:
            status = self._poll(self._seen)
        except ConnectionLost as error:
            self._note_loss(error)
            return None
        self._lost_since = None
        if status is None:
            raise self._gone()
        self._show_new(status)
        return status

    def _to_the_last_event(self, status: Status) -> Status:
        """The end may be in the status a moment before it is among the events: look once more."""
        if not status["events"] or status["events"][-1]["kind"] != "end":
            self._reading()
        return status

    def _show_new(self, status: Status) -> None:
        events = status["events"]
        for event in condense(events):
            self._tell(event)
        if events:
            self._seen = events[-1]["sequence"]
        if self._clock.monotonic() - self._shown_at >= HEARTBEAT_SECONDS:
            self._tell({"kind": "heartbeat", "text": f"session {status['state']}, {status['percent']} %"})

    def _note_loss(self, error: ConnectionLost) -> None:
        now = self._clock.monotonic()
        if self._lost_since is None:
            self._lost_since = now
            self._tell({"kind": "warning", "text": f"connection to the manager lost, trying again: {error}"})
        if now - self._lost_since >= PATIENCE_SECONDS:
            raise TransportError(
                f"the manager could not be reached for {PATIENCE_SECONDS} s: {error}",
                hint=f"session {self._session.session_id} may go on; run the task again to attach to it",
                reason="manager_unreachable",
            ) from error

    def _tell(self, event: Event) -> None:
        self._shown_at = self._clock.monotonic()
        self._show(event)

    def _still_running(self) -> EngineError:
        return StateError(
            f"session {self._session.session_id} of job {self._session.job} did not end within "
            f"timeout={self._session.timeout:g} seconds; it goes on",
            current="running",
            allowed=("started",),
            hint="run the task again to attach to it, or raise timeout (0: wait without limit)",
            reason="still_running",
        )

    def _gone(self) -> EngineError:
        return StateError(
            f"the worker of session {self._session.session_id} ended without a result",
            current="running",
            allowed=("started",),
            hint="run the task again: it resumes from the replica records; worker.log of the session says why",
            reason=GONE,
        )


def condense(events: Iterable[Event]) -> list[Event]:
    """Drop progress that a later event of the same disk overtook: nobody wants ten lines of one second."""
    kept: list[Event] = []
    progressed: set[tuple[object, object]] = set()
    for event in sorted(events, key=lambda event: -event["sequence"]):
        disk = (event.get("machine"), event.get("disk"))
        if event["kind"] == "progress" and disk in progressed:
            continue
        if event["kind"] == "progress":
            progressed.add(disk)
        kept.append(event)
    return kept[::-1]
