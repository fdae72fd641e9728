# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What one machine task tells while it runs."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from ...errors import EngineError, sentence
from ...model.scopes import Decision
from ...ports import Journal
from ...progress import Amount, DiskStatus, Event, EventKind, MachineStatus, Phase, describe_amount
from ...reports import Outcome

STEP_PERCENT: Final = 5
_WORDS: Final = {
    Phase.INSPECT: "reading the configuration of source and target",
    Phase.LEASE: "taking the replica",
    Phase.CHECKPOINT: "recovery checkpoint on the source",
    Phase.PREPARE: "preparing the replica",
    Phase.TRANSFER: "transfer",
    Phase.CONVERT: "converting the checkpoint to a reference point",
    Phase.RESTORE_POINT: "restore point",
    Phase.COMMIT: "writing the record",
    Phase.TIDY: "removing the old reference point",
    Phase.RETENTION: "merging old restore points",
    Phase.STRUCTURE: "checking the structure of the restore points",
    Phase.VERIFY: "comparing the newest restore point with the source",
    Phase.RELEASE: "releasing the replica",
}


class Reporter:
    """Keeps the status of a machine and passes on what changes."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self.status = MachineStatus(name)
        self.warnings: list[str] = []
        self._told: dict[UUID, int] = {}

    def set(self, *, vm_id: UUID | None = None, replica: str | None = None, outcome: Outcome | None = None) -> None:
        """Note what became known; what is not given stays."""
        status = self.status
        self._publish(
            replace(
                status,
                vm_id=vm_id or status.vm_id,
                replica=replica or status.replica,
                outcome=outcome or status.outcome,
            )
        )

    def enter(self, phase: Phase) -> None:
        """Say that a step begins."""
        self._publish(replace(self.status, phase=phase, outcome=Outcome.RUNNING))
        self._say(EventKind.PHASE, _WORDS[phase])

    def warn(self, text: str) -> None:
        """Tell what the user should know; it is kept for the result."""
        self.warnings.append(text)
        self._say(EventKind.WARNING, text)

    def note(self, text: str) -> None:
        """Tell what is worth knowing, but nothing to worry about."""
        self._say(EventKind.NOTE, text)

    def fail(self, error: EngineError, *, outcome: Outcome) -> None:
        """Tell why the task ends."""
        plain = error.as_dict()
        self._publish(replace(self.status, outcome=outcome, error=plain))
        self._say(EventKind.ERROR, sentence(error.message, error.hint), error=plain)

    def begin_disks(self, disks: Sequence[tuple[str, UUID, Decision]]) -> None:
        """Announce the disks of a transfer with what will be sent of each."""
        self._told.clear()
        statuses = tuple(
            DiskStatus(slot, disk_id, decision.scope.value, decision.reason.value) for slot, disk_id, decision in disks
        )
        self._publish(replace(self.status, disks=statuses))

    def disk(self, disk_id: UUID, *, outcome: Outcome, amount: Amount, waiting: str = "") -> None:
        """Note how far a disk is; each multiple of 5 % is told once."""
        changed = [
            replace(disk, outcome=outcome, amount=amount, waiting=waiting) if disk.disk_id == disk_id else disk
            for disk in self.status.disks
        ]
        self._publish(replace(self.status, disks=tuple(changed)))
        disk = next(disk for disk in changed if disk.disk_id == disk_id)
        step = disk.percent - disk.percent % STEP_PERCENT
        if step > self._told.get(disk_id, 0):
            self._told[disk_id] = step
            text = f"{disk.slot} {describe_amount(disk.amount, percent=disk.percent)}"
            self._say(EventKind.PROGRESS, text, disk=disk.slot, percent=disk.percent)

    def _say(
        self,
        kind: EventKind,
        text: str,
        *,
        disk: str | None = None,
        percent: int | None = None,
        error: dict[str, object] | None = None,
    ) -> None:
        name, phase = self.status.name, self.status.phase
        self._journal.say(Event(kind, f"{name}: {text}", name, disk, phase, percent, error))

    def _publish(self, status: MachineStatus) -> None:
        if status != self.status:
            self.status = status
            self._journal.publish(status)


def bug(error: Exception) -> EngineError:
    """Wrap what should not happen, with the place, so that a report of it is worth something."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.name}, {frame.filename.rpartition('/')[2]}:{frame.lineno}"
    return EngineError(
        f"unexpected {type(error).__name__} in {place}: {error}",
        hint="this is a bug: please report it with worker.log of the session",
        reason="bug",
    )
