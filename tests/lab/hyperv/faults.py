# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned failures of contract functions: the Nth call fails, waits or hangs, before or after it took effect."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError

_HANG_SECONDS: Final = 3600.0


class Action(Enum):
    """What a planned failure does."""

    FAIL = "fail"
    DELAY = "delay"
    HANG = "hang"  # until the faults are cleared


class When(Enum):
    """A failure after the effect is what a lost answer or a crash of the endpoint looks like."""

    BEFORE = "before"
    AFTER = "after"


@dataclass
class Fault:
    """Applies to ``count`` calls of ``function`` (``*``: any) from the ``nth`` call after it was planned."""

    function: str
    action: Action
    when: When = When.BEFORE
    nth: int = 1
    count: int = 1
    error_id: str = "Hvr.Failed"
    seconds: float = 0.0

    def takes(self, function: str) -> bool:
        """Count a call and tell whether it is hit."""
        if self.function not in {function, "*"} or not self.count:
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.count -= 1
        return True


class Faults:
    """The plan. It lives as long as the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._cleared = threading.Event()

    def plan(self, fault: Fault) -> None:
        with self._lock:
            self._cleared.clear()
            self._faults.append(fault)

    def planned(self) -> int:
        """Return how many failures no call has met yet."""
        with self._lock:
            return len(self._faults)

    def clear(self) -> None:
        """Forget the plan and let go of calls that hang."""
        with self._lock:
            self._faults.clear()
            self._cleared.set()

    def hits(self, function: str) -> list[Fault]:
        """Return what happens to a call that comes in now; used up by it."""
        with self._lock:
            found = [fault for fault in self._faults if fault.takes(function)]
            self._faults = [fault for fault in self._faults if fault.count]
            return found

    def strike(self, hits: list[Fault], when: When) -> None:
        """Wait or raise as planned for this side of the call. Raises HostError."""
        for fault in hits:
            if fault.when is when and fault.action is Action.FAIL:
                raise HostError(fault.error_id, f"planned failure of {fault.function}", target=fault.function)
            if fault.when is when:
                self._cleared.wait(_HANG_SECONDS if fault.action is Action.HANG else fault.seconds)
