# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host small enough to see through: each function answers what a test put there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import Cancelled
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Row

Answer = Callable[[Mapping[str, object]], Iterator[Row]]


def activity_row(**members: object) -> Row:
    """Return what Get-HvrActivity emits of a machine at rest; ``members`` replace some."""
    at_rest = {"Idle": True, "Operations": [], "Problem": "", "MergeHeldBack": False}
    return {"Kind": "activity", **at_rest, **members}


class SmallHost:
    """A ContractServer; ``calls`` lists what reached it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"Get-HvrHost": self._host, "Get-HvrActivity": self._activity}
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.users: list[str] = []
        self._called = threading.Condition()
        self.entered = threading.Semaphore(0)  # released by each Get-HvrActivity that begins to wait
        self.go_on = threading.Event()  # lets them end

    def dispatch(self, function: str, parameters: Mapping[str, object], *, user: str) -> Iterator[Row]:
        with self._called:
            self.calls.append((function, dict(parameters)))
            self.users.append(user)
            self._called.notify_all()
        yield from self.answers[function](parameters)

    def has_calls(self, count: int) -> bool:
        """Wait until that many calls have arrived: a client whose connection is lost is faster than the function."""
        with self._called:
            return self._called.wait_for(lambda: len(self.calls) >= count, timeout=20)

    def _host(self, _parameters: Mapping[str, object]) -> Iterator[Row]:
        yield {
            "Kind": "host",
            "Name": "HV-A",
            "ModuleVersion": "0.1.0",
            "OsBuild": "20348.1",
            "SupportedVersions": ["9.0", "10.0"],
            "DefaultVersion": "10.0",
        }

    def _activity(self, _parameters: Mapping[str, object]) -> Iterator[Row]:
        self.entered.release()
        if not self.go_on.wait(60):
            raise TimeoutError("no test let the function go on")
        yield activity_row()


class StoppableClock:
    """Real time; after ``stop`` every wait raises Cancelled. Long waits are recorded and cut to a moment."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._skipped = 0.0
        self._last_wait = 0
        self.waits: list[float] = []

    def stop(self) -> None:
        self._stop.set()

    def stop_at_wait(self, number: int) -> None:
        """Stop in the ``number``-th wait that takes any time."""
        self._last_wait = number

    def skip(self, seconds: float) -> None:
        """Let time pass."""
        self._skipped += seconds

    def now(self) -> float:
        return time.time() + self._skipped

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.waits.append(seconds)
            self.skip(seconds)
            if len(self.waits) == self._last_wait:
                self.stop()
        if self._stop.wait(min(seconds, 0.02)):
            raise Cancelled("the test cancelled the work")
