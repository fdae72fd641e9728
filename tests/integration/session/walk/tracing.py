# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trace of a session: each call of a port, the step it was made in, and the replica's record at that moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import ReplicaRecord
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.steps import CHANGING
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death

CATALOG = ("save_job", "open_session", "save_replica", "save_machine", "close_session")
POLLS = ("activity", "status", "publish", "say")  # how often depends on how fast the others are: only once here


@dataclass(frozen=True)
class Call:
    """A call that changes something, the step it was made in, and what the record on the host said before."""

    name: str
    phase: Phase | None
    record: ReplicaRecord | None


class Trace(Death):
    """Kills nobody; notes what happens."""

    def __init__(self, site: WebSite) -> None:
        super().__init__()
        self._site = site
        self.calls: list[Call] = []

    def call(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if name in CHANGING:
            statuses, records = self._site.journal.statuses, self._site.records()
            self.calls.append(Call(name, statuses[-1].phase if statuses else None, records[0] if records else None))
        return super().call(name, real, arguments, named)


@dataclass(frozen=True)
class Moment:
    """Before or after the ``nth`` call of a port function."""

    name: str
    nth: int
    after: bool = True

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.name} {self.nth}"


def moments(trace: Iterable[str], *, every: bool) -> list[Moment]:
    """Return when a manager can die: before its first call and after each one.

    What is after a call is before the next. Without ``every``, only calls that change something count: a death after
    one that only looks is a death after the change before it.
    """
    trace, seen, found = list(trace), Counter[str](), []
    for name in trace:
        seen[name] += 1
        changes = name in CHANGING or name in CATALOG
        if (every or changes or name in POLLS) and not (name in POLLS and seen[name] > 1):
            found.append(Moment(name, seen[name]))
    return [Moment(trace[0], 1, after=False), *found]
