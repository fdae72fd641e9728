# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managers of a site whose parts are processes: they start workers, also processes, and follow them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import (
    read_events,
    read_status,
    start_worker,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.tests.lab.site import ProcessSite

COMMAND = [sys.executable, "-m", "ansible_collections.opendr.hyperv.plugins.module_utils._engine.cli"]
ENDED = ("done", "failed", "cancelled")
WAIT_SECONDS = 120.0

Status = dict[str, Any]


class Manager:
    """A state folder of its own, and the sessions in it. ``changes`` replace members of their topology."""

    def __init__(self, site: ProcessSite, *, state: str = "state", **changes: object) -> None:
        self.site = site
        self.state_dir = str(site.folder / state)
        self._changes = {"state_dir": self.state_dir, **changes}

    def start(self, job: JobSpec | None = None, /, **changes: object) -> Status:
        """Start or attach: the answer of the worker."""
        return start_worker(COMMAND, self.site.topology(job or self.site.job(), **{**self._changes, **changes}))

    def status(self, session_id: str) -> Status:
        status = read_status(self.state_dir, session_id)
        assert status is not None
        return status

    def events(self, session_id: str, *, after: int = 0) -> list[dict[str, Any]]:
        return read_events(self.state_dir, session_id, after=after)

    def wait(self, session_id: str, condition: Callable[[Status], object] = lambda s: s["state"] in ENDED) -> Status:
        """Wait until the status of a session fulfils a condition; return it."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition(status := self.status(session_id)):
            assert time.monotonic() < deadline, status
            time.sleep(0.05)
        return status

    def run(self, job: JobSpec | None = None, /, **changes: object) -> Status:
        return self.wait(self.start(job, **changes)["session_id"])


def in_phase(name: str) -> Callable[[Status], bool]:
    return lambda status: any(machine["phase"] == name for machine in status["machines"])


def is_over(status: Status) -> bool:
    """Tell whether the worker of a session is gone."""
    return not status["alive"]
