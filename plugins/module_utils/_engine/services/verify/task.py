# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""One machine of a verification: its newest restore point is compared with the source.

Nothing changes but the record, which says what the next session has to repair. Theory of operation:
docs/design/session.md, "Verification".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ...errors import EngineError, IntegrityError, RequestError, StateError
from ...extents import Extent
from ...jobs import JobSpec
from ...machines import VirtualMachine
from ...model.record import Point, ReplicaRecord
from ...model.repairs import note_verification, suspects, verdict_of
from ...progress import Phase, readable
from ...reports import Kind, MachineReport, Outcome, SessionReport, VerificationReport
from ...verification import Verdict, VerifyMode, VerifySpec
from ..replicate.machine import MachineTask
from ..replicate.records import FoundRecords
from ..replicate.session import run_session
from ..replicate.site import Site
from ..replicate.source import clear_checkpoints, remove_named, require_checkpoint
from ..replicate.transfer import run_transfers
from ..replicate.work import Work
from .comparison import checkpoint_name, freeze, orders
from .points import PointChains, check_structure, point_chains, require_unmoved


def run_verification(site: Site, job: JobSpec, *, session_id: UUID, spec: VerifySpec) -> SessionReport:
    """Verify the machines of a job; the report says how each ended. Raises nothing that is foreseen."""

    def make_task(site: Site, job: JobSpec, *, session_id: UUID, name: str) -> MachineTask:
        return VerifyTask(site, job, session_id=session_id, name=name, spec=spec)

    return run_session(site, job, session_id=session_id, kind=Kind.VERIFY, make_task=make_task)


class VerifyTask(MachineTask):
    """Takes the replica as a replication does, so that neither another session nor retention comes between."""

    def __init__(self, site: Site, job: JobSpec, *, session_id: UUID, name: str, spec: VerifySpec) -> None:
        super().__init__(site, job, session_id=session_id, name=name)
        self._spec = spec
        self._result: VerificationReport | None = None

    def _new_record(self, machine: VirtualMachine, *, records: FoundRecords) -> ReplicaRecord:
        del records
        raise RequestError(
            f"option vms: {self._name!r}: {machine.name} has no replica in {self._job.target_path}",
            hint="run the job first",
            reason="replica_unknown",
        )

    def _steps(self, work: Work) -> None:
        pending = work.record.pending
        clear_checkpoints(work, keep=pending.checkpoint_name if pending is not None else "")
        work.enter(Phase.STRUCTURE)
        point = _newest_point(work)
        chains = point_chains(work, point)
        check_structure(work, chains)
        bad = self._compare(work, chains)
        require_unmoved(work, chains, point=point)
        self._conclude(work, bad)
        remove_named(work, checkpoint_name(work))
        work.enter(Phase.RELEASE)
        work.store.save(replace(work.record, lease=None))
        work.index_replica()

    def _compare(self, work: Work, chains: PointChains) -> dict[UUID, tuple[Extent, ...]]:
        """Return what is bad by disk."""
        if self._spec.seed is None:
            self._spec = replace(self._spec, seed=int.from_bytes(self._site.new_secret()[:4], "little"))
        work.enter(Phase.CHECKPOINT)
        checkpoint = freeze(work)
        frozen = work.source.checkpoint_disks(work.vm_id, checkpoint.checkpoint_id)
        to_do = orders(work, frozen, chains=chains, spec=self._spec)
        work.reporter.begin_disks([(str(order.slot), order.disk_id, order.decision) for order in to_do])
        work.enter(Phase.VERIFY)
        bad = {transfer.disk_id: transfer.bad for transfer in run_transfers(work, to_do)}
        require_checkpoint(work, checkpoint.name, checkpoint_id=checkpoint.checkpoint_id)
        return bad

    def _conclude(self, work: Work, bad: dict[UUID, tuple[Extent, ...]]) -> None:
        """Write into the record what was found. Raises IntegrityError when the restore point is bad."""
        spec = self._spec
        work.store.save(note_verification(work.record, bad, mode=spec.mode, now=self._site.clock.now()))
        point, suspect = _newest_point(work), suspects(work.record)
        sampled = spec.mode is VerifyMode.SAMPLE
        self._result = VerificationReport(
            point_id=point.point_id,
            mode=spec.mode,
            sample_percent=spec.sample_percent if sampled else None,
            seed=spec.seed if sampled else None,
            verdict=verdict_of(point) or Verdict.GOOD,
            suspects=tuple(older.point_id for older in suspect),
        )
        if self._result.verdict is Verdict.BAD:
            raise _is_bad(work, point, suspect=suspect)

    def _leave_source(self, work: Work, error: EngineError) -> None:
        """Remove the verification's checkpoint only: that of a cycle which did not end may still be used."""
        del error
        remove_named(work, checkpoint_name(work))

    def _report(self, outcome: Outcome, error: EngineError | None, *, seconds: float) -> MachineReport:
        return replace(super()._report(outcome, error, seconds=seconds), verification=self._result)


def _newest_point(work: Work) -> Point:
    point = work.record.newest
    if point is None:
        raise StateError(
            f"replica {work.record.target.name} has no restore point yet",
            hint="run the job first",
            reason="no_restore_point",
        )
    return point


def _is_bad(work: Work, point: Point, *, suspect: Sequence[Point]) -> IntegrityError:
    reports = [report for report in work.disk_reports if report.bad_bytes]
    found = ", ".join(f"{readable(report.bad_bytes)} of disk {report.slot}" for report in reports)
    what = f"{found} differ from the source" if found else "an earlier verification found it so"
    older = f". {len(suspect)} older ones stand on the same files: do not rely on them" if suspect else ""
    return IntegrityError(
        f"restore point {point.name} of replica {work.record.target.name} is bad: {what}{older}",
        hint=f"check the storage of {work.job.target_host}, then run the job: it sends what is bad again and makes a "
        "new restore point",
        reason="restore_point_bad",
    )
