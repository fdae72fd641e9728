# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deterministic faults of the WSMan front, and the quotas of the service."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum


class FaultKind(Enum):
    """What happens to a request."""

    DROP_BEFORE = "drop-before"  # the connection is reset, nothing was done
    DROP_AFTER = "drop-after"  # it was done, the answer is lost
    UNAVAILABLE = "503"
    SLOW = "slow"  # answered after ``delay_seconds``
    LOSE_SHELLS = "lose-shells"  # every shell is gone before the request is looked at, as after a restart of WinRM


@dataclass
class Rule:
    """Applies to ``count`` requests of an operation (``*``: any), after letting ``skip`` pass."""

    operation: str
    kind: FaultKind
    count: int = 1
    skip: int = 0
    delay_seconds: float = 0.0


class Faults:
    """A list of rules; the first that applies is used up by one. Safe to change while the server runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []

    def add(
        self, operation: str, kind: FaultKind, *, count: int = 1, skip: int = 0, delay_seconds: float = 0.0
    ) -> None:
        """Plan a fault for ``Create``, ``Command``, ``Receive``, ``Send``, ``Signal``, ``Delete`` or ``*``."""
        with self._lock:
            self._rules.append(Rule(operation, kind, count, skip, delay_seconds))

    def clear(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    @property
    def pending(self) -> int:
        """Return how many requests will still be hit."""
        with self._lock:
            return sum(rule.count for rule in self._rules)

    def take(self, operation: str) -> Rule | None:
        """Return what happens to the request that came in."""
        with self._lock:
            for rule in self._rules:
                if rule.operation not in (operation, "*"):
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.count -= 1
                if not rule.count:
                    self._rules.remove(rule)
                return rule
        return None


@dataclass
class Quotas:
    """Limits of the service; the defaults are those of Windows. Source: [MS-WSMV] 2.2.4.42."""

    shells_per_user: int = 30
    operations_per_user: int = 1500
    commands_per_shell: int = 1000
    envelope_size: int = 500 * 1024  # bytes
    idle_timeout_seconds: float = 7200.0
