# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The record of one replica, as a session reads and writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from ...errors import EngineError, FormatError, StateError
from ...jobs import JobSpec
from ...machines import HostPath, VirtualMachine
from ...model.lease import take_lease
from ...model.naming import MARKER_PREFIX, marker, safe_stem, unused
from ...model.record import FORMAT, Lease, ReplicaRecord, Source, Target, is_edited
from ...model.replica_state import ReplicaState
from ...ports import Hypervisor


@dataclass(frozen=True, slots=True)
class FoundRecords:
    """The records of a target folder; ``unreadable`` has the folder and why, ``ages`` seconds by folder.

    ``edited`` has the folders of records that are not as a session wrote them.
    """

    records: tuple[ReplicaRecord, ...]
    unreadable: tuple[tuple[str, FormatError], ...]
    ages: Mapping[str, int]
    edited: frozenset[str] = frozenset()

    def of_machine(self, vm_id: UUID) -> ReplicaRecord | None:
        """Return the record of a machine's replica. Raises StateError when there are several."""
        found = [
            item for item in self.records if item.source.vm_id == vm_id and item.state is not ReplicaState.RELEASED
        ]
        if len(found) > 1:
            copied = len({item.replica_id for item in found}) < len(found)
            raise StateError(
                f"machine {vm_id} has {len(found)} replicas: {', '.join(item.target.folder for item in found)}",
                hint="a folder was copied with its record: move the copy away"
                if copied
                else "remove all but one, or replicate into another target path",
                reason="replica_ambiguous",
            )
        return found[0] if found else None

    def known_as(self, name: str, *, host: str) -> ReplicaRecord | None:
        """Return the record of a machine that was known by a name, if there is exactly one."""
        found = [item for item in self.records if item.source.host == host and name in item.source.known_as]
        return found[0] if len(found) == 1 else None

    def age_of(self, record: ReplicaRecord) -> int:
        """Return how many seconds ago a record was written; 0 for a new one."""
        return self.ages.get(record.target.folder, 0)

    @property
    def folders(self) -> tuple[str, ...]:
        return (*(item.target.folder for item in self.records), *(folder for folder, _error in self.unreadable))


def find_records(host: Hypervisor, folder: str) -> FoundRecords:
    """Read every record one level below a folder."""
    records, unreadable, edited = [], [], set()
    found = host.find_records(folder)
    for stored in found:
        try:
            record = ReplicaRecord.parse(stored.text)
            if (record.epoch, record.revision) != (stored.epoch, stored.revision):
                raise FormatError(
                    f"the host read epoch {stored.epoch}, revision {stored.revision}, the text says others"
                )
            if is_edited(stored.text):
                edited.add(stored.folder)
            records.append(replace(record, target=replace(record.target, folder=stored.folder)))
        except FormatError as error:
            unreadable.append((stored.folder, error))
    ages = {stored.folder: stored.age_seconds for stored in found}
    return FoundRecords(tuple(records), tuple(unreadable), ages, frozenset(edited))


def require_no_orphan(host: Hypervisor, *, job: JobSpec, name: str) -> None:
    """Raise StateError ``record_missing`` when there is the machine of a replica, but its record is gone.

    The records are read after the machines: another session may make both just now.
    """
    for machine in host.find_machines(name):
        marks = {line for line in machine.notes.splitlines() if line.startswith(MARKER_PREFIX)}
        if not marks or not HostPath(host.name, machine.folder).is_under(job.target_path):
            continue
        found = find_records(host, job.target_path)
        if not marks & {marker(record.replica_id) for record in found.records}:
            raise StateError(
                f"machine {name} in {machine.folder} on {job.target_host} is a replica whose record is gone",
                hint="bring replica.json back into that folder; or remove machine and folder to replicate anew",
                reason="record_missing",
            )


def new_record(
    machine: VirtualMachine,
    *,
    job: JobSpec,
    replica_name: str,
    parent: HostPath,
    others: FoundRecords,
    new_id: Callable[[], UUID],
) -> ReplicaRecord:
    """Return a record of epoch and revision 0, to be written with the first lease."""
    replica_id = new_id()
    taken = [HostPath(parent.host, folder).name for folder in others.folders]
    folder = parent.join(unused(safe_stem(replica_name), taken=taken, key=replica_id))
    return ReplicaRecord(
        format=FORMAT,
        epoch=0,
        revision=0,
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
        configured=None,
    )


class RecordChanged(Exception):
    """A signal between steps: somebody wrote the record that this session had read, or where it wanted a new one."""


class RecordStore:
    """Holds the record that this session took, and writes each change of it at once.

    ``host`` writes with patience, ``once`` tries a single time. ``age_seconds`` is how old the record was when found.
    """

    def __init__(self, host: Hypervisor, record: ReplicaRecord, *, once: Hypervisor, age_seconds: float) -> None:
        self._host = host
        self._once = once
        self._age_seconds = age_seconds
        self._unsure: ReplicaRecord | None = None  # the host may have this one already: its answer was lost
        self.record = record
        self.taken = False  # the record has this session's epoch

    def take(self, lease: Lease) -> None:
        """Take the replica: next epoch, this lease.

        Raises:
            StateError: reason ``replica_busy``.
            RecordChanged: ``look_again`` first.
        """
        taken = take_lease(self.record, lease, age_seconds=self._age_seconds)
        try:
            self._write(taken)
        except StateError as error:
            if error.reason != "fenced":
                raise
            raise RecordChanged from error
        self.taken = True

    def look_again(self, record: ReplicaRecord, *, age_seconds: float) -> None:
        """Begin with another record than the one that was found first."""
        self.record, self._age_seconds = record, age_seconds
        self.taken, self._unsure = False, None

    def save(self, record: ReplicaRecord) -> None:
        """Write a change. Raises StateError ``fenced`` when a newer session has the replica."""
        if record != self.record:
            self._write(record)

    def renew(self) -> None:
        """Write once more what the host has or should have, in a single try: the lease begins anew."""
        self._send(self._unsure or self.record, host=self._once)

    def make_sure(self) -> None:
        """Let ``record`` be what the host has, after a write whose answer was lost for good."""
        if self._unsure is not None:
            self._send(self._unsure, host=self._host)

    def cause_of(self, error: EngineError) -> EngineError:
        """Return what is behind an error: a record that is gone is one of another session to a host, and to a mover the
        files beside it are missing."""
        if error.reason not in ("fenced", "file_missing") or not self.taken or self._is_there():
            return error
        target = self.record.target
        return StateError(
            f"the record of replica {target.name} is not in {target.folder} on {target.host} any more",
            hint="is the volume there, was the folder moved or removed? Bring it back, or remove what is left of the "
            "replica to replicate anew",
            reason="record_missing",
        )

    def _is_there(self) -> bool:
        folder = HostPath("", self.record.target.folder)
        try:
            return any(
                each.folder.lower() == folder.path.lower() for each in self._once.find_records(folder.folder.path)
            )
        except EngineError:
            return True  # nobody knows; then the error stays what it is

    def _write(self, record: ReplicaRecord) -> None:
        self.make_sure()
        self._send(replace(record, revision=self.record.revision + 1), host=self._host)

    def _send(self, record: ReplicaRecord, *, host: Hypervisor) -> None:
        text, known = record.as_text(), self.record
        try:
            host.write_record(record.target.folder, text, expected_epoch=known.epoch, expected_revision=known.revision)
        except EngineError as error:
            if error.reason != "fenced":  # what failed may have had its effect all the same
                self._unsure = record
            raise
        self._unsure, self.record = None, record
