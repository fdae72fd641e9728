# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The record of one replica, as a session reads and writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from ...errors import FormatError, StateError
from ...jobs import JobSpec
from ...machines import HostPath, VirtualMachine
from ...model.lease import LEASE_SECONDS, RENEW_SECONDS, busy, renew_lease, take_lease
from ...model.naming import safe_stem, unused
from ...model.record import FORMAT, Lease, ReplicaRecord, Source, Target
from ...model.replica_state import ReplicaState
from ...ports import Hypervisor


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """The records of a target folder; ``unreadable`` has the folder and why."""

    records: tuple[ReplicaRecord, ...]
    unreadable: tuple[tuple[str, FormatError], ...]

    def of_machine(self, vm_id: UUID) -> ReplicaRecord | None:
        """Return the record of a machine's replica. Raises StateError when there are several."""
        found = [
            item for item in self.records if item.source.vm_id == vm_id and item.state is not ReplicaState.RELEASED
        ]
        if len(found) > 1:
            raise StateError(
                f"machine {vm_id} has {len(found)} replicas: {', '.join(item.target.folder for item in found)}",
                hint="remove all but one, or replicate into another target path",
                reason="replica_ambiguous",
            )
        return found[0] if found else None

    def known_as(self, name: str, *, host: str) -> ReplicaRecord | None:
        """Return the record of a machine that was known by a name, if there is exactly one."""
        found = [item for item in self.records if item.source.host == host and name in item.source.known_as]
        return found[0] if len(found) == 1 else None

    @property
    def folders(self) -> tuple[str, ...]:
        return (*(item.target.folder for item in self.records), *(folder for folder, _error in self.unreadable))


def find_records(host: Hypervisor, folder: str) -> FoundRecords:
    """Read every record one level below a folder."""
    records, unreadable = [], []
    for path, epoch, text in host.find_records(folder):
        try:
            record = ReplicaRecord.parse(text)
            if record.epoch != epoch:
                raise FormatError(f"the host read epoch {epoch}, the text says {record.epoch}")
            records.append(replace(record, target=replace(record.target, folder=path)))
        except FormatError as error:
            unreadable.append((path, error))
    return FoundRecords(tuple(records), tuple(unreadable))


def new_record(
    machine: VirtualMachine,
    *,
    job: JobSpec,
    replica_name: str,
    parent: HostPath,
    others: FoundRecords,
    new_id: Callable[[], UUID],
) -> ReplicaRecord:
    """Return a record of epoch 0, to be written with the first lease."""
    replica_id = new_id()
    taken = [HostPath(parent.host, folder).name for folder in others.folders]
    folder = parent.join(unused(safe_stem(replica_name), taken=taken, key=replica_id))
    return ReplicaRecord(
        format=FORMAT,
        epoch=0,
        replica_id=replica_id,
        job=job.name,
        rpo_seconds=job.rpo_seconds,
        state=ReplicaState.NEW,
        source=Source(job.source_host, machine.vm_id, machine.name, ()),
        target=Target(parent.host, folder.path, replica_name, None),
        lease=None,
        disks=(),
        tracking=None,
        tree=(),
        restore_points=(),
        cycles=(),
        pending=None,
        removing=(),
        obsolete_reference_points=(),
        retired=(),
        last_error=None,
    )


class FolderTaken(Exception):
    """A signal between steps: somebody put a record into the folder that was chosen for a new one."""


class RecordStore:
    """Holds the record that this session took, and writes each change of it at once.

    ``host`` writes with patience, ``once`` tries a single time.
    """

    def __init__(self, host: Hypervisor, record: ReplicaRecord, *, once: Hypervisor) -> None:
        self._host = host
        self._once = once
        self.record = record
        self.taken = False  # the record has this session's epoch

    def take(self, lease: Lease, *, now: float) -> None:
        """Take the replica: next epoch, this lease.

        Raises:
            StateError: reason ``replica_busy``.
            FolderTaken: the record is new.
        """
        taken = take_lease(self.record, lease, now=now)
        try:
            self._write(taken, host=self._host)
        except StateError as error:
            if error.reason != "fenced":
                raise
            if self.record.epoch == 0:
                raise FolderTaken from error
            raise busy(self.record.target.name, None) from error
        self.taken = True

    def save(self, record: ReplicaRecord) -> None:
        """Write a change. Raises StateError ``fenced`` when a newer session has the replica."""
        if record != self.record:
            self._write(record, host=self._host)

    def renew(self, *, now: float) -> None:
        """Extend the lease when a minute has passed since the last time; a single try."""
        lease = self.record.lease
        if lease is not None and lease.until - now < LEASE_SECONDS - RENEW_SECONDS:
            self._write(renew_lease(self.record, now=now), host=self._once)

    def _write(self, record: ReplicaRecord, *, host: Hypervisor) -> None:
        host.write_record(record.target.folder, record.as_text(), expected_epoch=self.record.epoch)
        self.record = record
