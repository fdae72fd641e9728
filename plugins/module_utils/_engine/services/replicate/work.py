# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What the steps of one machine task share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

from ...errors import CatalogError, EngineError, StateError
from ...jobs import JobSpec
from ...machines import HostPath, MachineConfig
from ...model.record import Pending, ReplicaRecord
from ...model.retention import newest_source_time
from ...ports import Hypervisor
from ...progress import Phase
from ...reports import DiskReport, ReplicaEntry
from ...stops import Stop
from .movers import Movers
from .records import RecordStore
from .reporting import Reporter
from .site import Site
from .space import SpaceGuard
from .watch import Watch

_BEGINNINGS: Final = (Phase.CHECKPOINT, Phase.PREPARE)  # steps before disks are sent


@dataclass(slots=True)
class Work:
    """One machine task. Both hosts are called with patience (``patience.py``)."""

    site: Site
    job: JobSpec
    session_id: UUID
    reporter: Reporter
    source: Hypervisor
    target: Hypervisor
    source_movers: Movers
    target_movers: Movers
    config: MachineConfig
    store: RecordStore
    watch: Watch
    space: SpaceGuard
    disk_reports: list[DiskReport] = field(default_factory=list)
    removed: list[UUID] = field(default_factory=list)
    transfer_seconds: float = 0.0
    bottleneck: str = ""
    new_point: UUID | None = None
    touched: set[UUID] = field(default_factory=set)  # disks whose leaf somebody else wrote to
    merges_stall: bool = False  # this session has waited for them as long as it may

    @property
    def record(self) -> ReplicaRecord:
        return self.store.record

    @property
    def vm_id(self) -> UUID:
        """The machine on the source."""
        return self.config.machine.vm_id

    @property
    def replica_vm_id(self) -> UUID:
        """The machine on the target. Raises StateError before it was made."""
        if self.record.target.vm_id is None:
            raise StateError(f"replica {self.record.target.name} has no machine yet", reason="replica_missing")
        return self.record.target.vm_id

    @property
    def pending(self) -> Pending:
        """The cycle that is under way. Raises StateError when there is none."""
        if self.record.pending is None:
            raise StateError(f"replica {self.record.target.name} has no cycle under way", reason="no_cycle")
        return self.record.pending

    def enter(self, phase: Phase) -> None:
        """Begin a step: tell it, stop here when the session is to stop, look after lease and space."""
        self.site.clock.sleep(0)
        if phase in _BEGINNINGS:
            self.site.stop.heed(Stop.AFTER_DISK)
        self.reporter.enter(phase)
        self.watch.look()

    def note_transfers(self, reports: Sequence[DiskReport], *, seconds: float, slowest: str) -> None:
        """Keep what transfers did, finished or not; what a disk did in an earlier attempt of this session counts on."""
        earlier = {report.disk_id: report for report in self.disk_reports}
        self.disk_reports = [_together(earlier.pop(report.disk_id, None), report) for report in reports]
        self.disk_reports += earlier.values()
        self.transfer_seconds += seconds
        self.bottleneck = slowest

    def intend(self, pending: Pending) -> None:
        """Record what is about to be done to the cycle."""
        self.store.save(replace(self.record, pending=pending))

    def on_source(self, path: str) -> HostPath:
        return HostPath(self.job.source_host, path)

    def on_target(self, path: str) -> HostPath:
        return HostPath(self.job.target_host, path)

    def pause(self) -> None:
        """Let a moment pass while waiting for somebody else."""
        self.site.clock.sleep(self.site.limits.poll_seconds)
        self.watch.look()

    def left_over(self, action: str, *, error: EngineError) -> None:
        """Warn of something that failed after the restore point was committed; the next session repeats it."""
        self.reporter.warn(f"{action} did not work and is left to the next session: {error.message}")

    def warn_once(self, text: str) -> None:
        """Warn of something that several steps may meet."""
        if text not in self.reporter.warnings:
            self.reporter.warn(text)

    def index_replica(self) -> None:
        """Let the catalog follow the record; a catalog that fails costs history only."""
        try:
            self.site.catalog.save_replica(replica_entry(self.record, now=self.site.clock.now()))
        except CatalogError as error:
            self.reporter.warn(f"the catalog does not follow: {error.message}")


def _together(earlier: DiskReport | None, newest: DiskReport) -> DiskReport:
    if earlier is None:
        return newest
    traffic = replace(earlier.traffic + newest.traffic, disk=newest.traffic.disk, total=newest.traffic.total)
    return replace(newest, traffic=traffic, seconds=earlier.seconds + newest.seconds)


def replica_entry(record: ReplicaRecord, *, now: float) -> ReplicaEntry:
    """Return what the catalog keeps of a record."""
    error = record.last_error
    return ReplicaEntry(
        replica_id=record.replica_id,
        job=record.job,
        vm_id=record.source.vm_id,
        vm_name=record.source.name,
        source_host=record.source.host,
        target_host=record.target.host,
        folder=record.target.folder,
        replica_name=record.target.name,
        epoch=record.epoch,
        state=record.state.value,
        restore_point_count=len(record.restore_points),
        newest_source_time=newest_source_time(record.restore_points),
        last_error=None
        if error is None
        else {"code": error.code, "reason": error.reason, "message": error.message, "hint": error.hint},
        updated_at=now,
    )
