# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""A job session: all machines of a job, side by side, and the history in the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from ...errors import CatalogError, EngineError, StateError
from ...jobs import JobSpec
from ...progress import Event, EventKind, MachineStatus, readable
from ...reports import Kind, MachineReport, SessionReport
from .machine import MachineTask
from .site import Site


class MakeTask(Protocol):
    """Makes what is done to one machine."""

    def __call__(self, site: Site, job: JobSpec, *, session_id: UUID, name: str) -> MachineTask: ...


def run_session(
    site: Site, job: JobSpec, *, session_id: UUID, kind: Kind = Kind.REPLICATE, make_task: MakeTask = MachineTask
) -> SessionReport:
    """Replicate the machines of a job once, or do with them what another kind of session does.

    The report says how each ended. Raises nothing that is foreseen.
    """
    started_at = site.clock.now()
    if kind is Kind.REPLICATE:  # others may be about some of the job's machines only
        _note(site, lambda: site.catalog.save_job(job, now=started_at))
    _note(site, lambda: site.catalog.open_session(session_id, job=job.name, manager=site.manager, now=started_at))
    reports: list[MachineReport] = []
    error: EngineError | None = None
    if job.enabled:
        _run_machines(site, job, session_id=session_id, make_task=make_task, reports=reports)
    else:
        error = StateError(
            f"job {job.name} is disabled",
            current="disabled",
            allowed=["present"],
            hint="enable it: enabled: true",
            reason="job_disabled",
        )
    report = SessionReport(
        session_id=session_id,
        job=job.name,
        kind=kind,
        started_at=started_at,
        ended_at=site.clock.now(),
        machines=tuple(sorted(reports, key=lambda report: job.vms.index(report.name))),
        error=None if error is None else error.as_dict(),
    )
    _note(site, lambda: site.catalog.close_session(report))
    site.journal.say(Event(EventKind.END, _summary(report), error=report.error))
    return report


def _run_machines(
    site: Site, job: JobSpec, *, session_id: UUID, make_task: MakeTask, reports: list[MachineReport]
) -> None:
    for name in job.vms:
        site.journal.publish(MachineStatus(name))

    def task(name: str) -> Callable[[], None]:
        def run() -> None:
            report = make_task(site, job, session_id=session_id, name=name).run()
            reports.append(report)
            _note(site, lambda: site.catalog.save_machine(session_id, report))

        return run

    site.executor.run([task(name) for name in job.vms], limit=site.limits.machines)


def _note(site: Site, write: Callable[[], None]) -> None:
    """Write history; a catalog that fails must not fail a replication."""
    try:
        write()
    except CatalogError as error:
        site.journal.say(Event(EventKind.WARNING, f"the catalog does not follow: {error.message}"))


def _summary(report: SessionReport) -> str:
    done = sum(1 for machine in report.machines if machine.error is None)
    traffic = report.traffic
    seconds = report.ended_at - report.started_at
    return (
        f"{report.outcome.value}: {done} of {len(report.machines)} machines, "
        f"{readable(traffic.read)} read, {readable(traffic.sent)} sent, {seconds:.1f} s"
    )
