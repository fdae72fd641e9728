# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a worker writes for those who follow its session: ``status.json`` and ``events.jsonl``.

Nobody's data depends on these files, so a state folder that cannot be written (its volume is full) does not end a
session: that is noted in worker.log, what is said meanwhile is lost, and the status follows once there is room again.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from ..errors import EngineError
from ..ports import Clock
from ..progress import Amount, Event, EventKind, MachineStatus, Phase, describe_amount, overall_percent
from ..reports import Kind, Outcome, SessionReport
from ..stops import StopRequest
from . import files
from .state_folder import StateFolder

HEARTBEAT_SECONDS: Final = 55.0  # a reader is promised one within 60


class SessionFiles:
    """See ``ports.Journal``. The worker's main thread calls ``tick`` again and again; only making it can fail."""

    def __init__(
        self,
        folder: StateFolder,
        *,
        session_id: UUID,
        job: str,
        manager: str,
        machines: Sequence[str],
        clock: Clock,
        kind: Kind = Kind.REPLICATE,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._status_path = folder.session(session_id, "status.json")
        self._machines = {name: MachineStatus(name) for name in machines}
        self._sequence = 0
        self._told_at = clock.monotonic()
        self._changed = True
        self._is_failing = False
        self._percent = 0
        self._outcome = Outcome.RUNNING
        self._report: SessionReport | None = None
        self._error: dict[str, object] | None = None
        self._stop: StopRequest | None = None
        now = clock.now()
        self._head = {
            "format": 1,
            "session_id": str(session_id),
            "job": job,
            "kind": kind.value,
            "manager": manager,
            "pid": os.getpid(),
            "started_at": now,
        }
        path = folder.session(session_id, "events.jsonl")
        with files.translated(path):
            self._events = open(path, "ab", buffering=0)  # noqa: SIM115 - until close

    def publish(self, machine: MachineStatus) -> None:
        with self._lock:
            self._machines[machine.name] = machine
            self._changed = True

    def say(self, event: Event) -> None:
        with self._lock:
            self._say(event)

    def _say(self, event: Event) -> None:
        """Append a line whole or not at all: readers take half a line for one that is being written."""
        line = {"sequence": self._sequence + 1, "time": self._clock.now(), **event.as_dict()}
        data = json.dumps(line).encode() + b"\n"
        self._told_at = self._clock.monotonic()
        self._changed = True
        with self._harmless():
            end = os.fstat(self._events.fileno()).st_size
            try:
                if self._events.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                self._events.truncate(end)
                raise
            self._sequence += 1

    def tick(self) -> None:
        """Write the status when something changed; give a sign of life when nothing was said for a minute."""
        with self._lock:
            if self._clock.monotonic() - self._told_at >= HEARTBEAT_SECONDS:
                self._say(self._heartbeat())
            if self._changed:
                self._write()

    def note_stop(self, request: StopRequest) -> None:
        """Tell that somebody asked the session to stop."""
        with self._lock:
            self._stop = request
            self._say(Event(EventKind.WARNING, str(request)))

    def finish(self, outcome: Outcome, *, report: SessionReport | None, error: dict[str, object] | None = None) -> None:
        """Write the last status, with the result."""
        with self._lock:
            self._outcome, self._report, self._changed = outcome, report, True
            self._error = error if report is None else report.error
            self._write()

    def close(self) -> None:
        with self._lock:
            self._events.close()

    def _heartbeat(self) -> Event:
        running = [machine for machine in self._machines.values() if machine.outcome is Outcome.RUNNING]
        parts = [f"{machine.name}: {_where(machine)}" for machine in running]
        return Event(EventKind.HEARTBEAT, "; ".join(parts) or "waiting", percent=self._overall())

    def _overall(self) -> int:
        self._percent = max(self._percent, overall_percent(self._machines.values()))
        return self._percent

    def _write(self) -> None:
        now = self._clock.now()
        amount = sum((machine.amount for machine in self._machines.values()), Amount())
        status = {
            **self._head,
            "state": self._outcome.value,
            "updated_at": now,
            "ended_at": now if self._outcome.is_final else None,
            "sequence": self._sequence,
            **amount.as_dict(percent=self._overall()),
            "machines": [machine.as_dict() for machine in self._machines.values()],
            "stop": None if self._stop is None else self._stop.as_dict(),
            "error": self._error,
            "result": None if self._report is None else self._report.as_dict(),
        }
        with self._harmless():
            files.write_atomically(self._status_path, json.dumps(status).encode())
            self._changed = False

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """Let a write fail; worker.log gets the first failure of a row."""
        try:
            yield
            self._is_failing = False
        except (OSError, EngineError) as error:
            if not self._is_failing:
                note(f"status and events cannot be written: {error}")
            self._is_failing = True


def note(text: str) -> None:
    """Write to worker.log, which the full volume may hold too."""
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        pass


def _where(machine: MachineStatus) -> str:
    if machine.phase in (Phase.TRANSFER, Phase.VERIFY):
        waiting = dict.fromkeys(disk.waiting for disk in machine.disks if disk.waiting)
        return ", ".join([machine.phase.value, describe_amount(machine.amount, percent=machine.percent), *waiting])
    return machine.phase.value.replace("_", " ") if machine.phase is not None else "starting"
