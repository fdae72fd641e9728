# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError
from ansible_collections.opendr.hyperv.plugins.plugin_utils.follower import (
    PATIENCE_SECONDS,
    ConnectionLost,
    Follower,
    Session,
    condense,
)

Answer = dict[str, Any] | Exception | None


class FakeClock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def event(sequence: int, kind: str = "progress", **more: Any) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "kind": kind,
        "machine": "web1",
        "disk": "SCSI 0:0",
        "text": f"line {sequence}",
        **more,
    }


def status(state: str, *events: dict[str, Any], alive: bool = True) -> dict[str, Any]:
    return {"state": state, "alive": alive, "percent": 40, "events": list(events)}


DONE = status("done", event(9, "end"), alive=False)


class Case:
    """A follower over scripted answers; the last answer repeats."""

    def __init__(self, *answers: Answer, timeout: float = 0, interval: float = 2) -> None:
        self.answers = list(answers)
        self.shown: list[str] = []
        self.asked: list[int] = []
        self.clock = FakeClock()
        self.follower = Follower(
            Session("8c1f", "web", interval=interval, timeout=timeout),
            poll=self.poll,
            show=lambda shown: self.shown.append(shown["text"]),
            clock=self.clock,
        )

    def poll(self, seen: int) -> dict[str, Any] | None:
        self.asked.append(seen)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def refusal(self) -> EngineError:
        with pytest.raises(EngineError) as caught:
            self.follower.follow()
        return caught.value


def test_each_event_is_shown_once_as_it_comes() -> None:
    case = Case(status("running", event(1, "phase"), event(2)), status("running", event(3)), DONE)
    assert case.follower.follow() is DONE
    assert case.shown == ["line 1", "line 2", "line 3", "line 9"]
    assert case.asked == [0, 2, 3]


def test_progress_that_was_overtaken_is_not_shown() -> None:
    events = [event(1, "phase"), event(2), event(3), event(4, disk="SCSI 0:1"), event(5, "warning"), event(6)]
    assert [kept["sequence"] for kept in condense(events)] == [1, 4, 5, 6]


def test_silence_of_a_minute_gives_a_heartbeat() -> None:
    case = Case(*[status("running")] * 40, DONE)
    case.follower.follow()
    assert case.shown == ["session running, 40 %", "line 9"]


def test_end_that_is_not_among_the_events_yet_is_awaited() -> None:
    case = Case(status("done", event(8)), DONE)
    case.follower.follow()
    assert case.shown == ["line 8", "line 9"]


def test_lost_connection_is_said_once_and_polled_again() -> None:
    case = Case(status("running", event(1)), ConnectionLost("timed out"), ConnectionLost("timed out"), DONE)
    assert case.follower.follow() is DONE
    assert case.shown == ["line 1", "connection to the manager lost, trying again: timed out", "line 9"]


def test_manager_that_stays_away_ends_the_task_and_names_the_session() -> None:
    case = Case(ConnectionLost("no route"))
    error = case.refusal()
    assert error.reason == "manager_unreachable"
    assert "8c1f" in error.hint
    assert case.clock.time - 1000 == pytest.approx(PATIENCE_SECONDS, abs=2)


def test_timeout_names_the_session_and_how_to_attach() -> None:
    case = Case(status("running"), timeout=30)
    error = case.refusal()
    assert (error.code, error.reason) == ("state_conflict", "still_running")
    assert "8c1f" in error.message
    assert "it goes on" in error.message
    assert "attach" in error.hint
    assert case.clock.time - 1000 == pytest.approx(30)


@pytest.mark.parametrize("timeout", [1, 30])
def test_timeout_counts_while_the_manager_is_away(timeout: float) -> None:
    assert Case(ConnectionLost("no route"), timeout=timeout).refusal().reason == "still_running"


def test_dead_worker_is_told_with_the_way_out() -> None:
    error = Case(status("running", alive=False)).refusal()
    assert error.reason == "worker_gone"
    assert "run the task again" in error.hint


def test_worker_that_ends_between_the_looks_of_one_poll_is_not_dead() -> None:
    assert Case(status("running", alive=False), DONE).follower.follow() is DONE


def test_session_that_the_manager_does_not_know_is_gone() -> None:
    assert Case(None).refusal().reason == "worker_gone"


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_every_end_is_an_end(state: str) -> None:
    last = status(state, event(9, "end"), alive=False)
    assert Case(last).follower.follow() is last


def follow_with(poll: Callable[[int], dict[str, Any] | None]) -> None:
    Follower(Session("8c1f", "web", interval=1, timeout=0), poll=poll, show=print, clock=FakeClock()).follow()


def test_other_errors_of_a_poll_are_not_repeated() -> None:
    polls = []

    def poll(seen: int) -> dict[str, Any] | None:
        polls.append(seen)
        raise PermissionError("no")

    with pytest.raises(PermissionError):
        follow_with(poll)
    assert polls == [0]
