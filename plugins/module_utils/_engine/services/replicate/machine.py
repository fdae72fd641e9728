# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""One machine of a job session, from the first look at the source to the release of the replica.

The order of steps, and what a restart does in each, is the table of docs/design/session.md.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from uuid import UUID

from ...errors import Cancelled, EngineError, StateError
from ...jobs import JobSpec
from ...machines import HostPath, VirtualMachine
from ...model.inspection import certificate_ends_soon, require_replicable, require_version_at
from ...model.lease import busy
from ...model.record import ErrorNote, Lease, ReplicaRecord
from ...model.replica_state import Move, ReplicaState, after_move
from ...ports import Hypervisor
from ...progress import Phase
from ...reports import MachineReport, Outcome
from ...stops import Stop
from ...transfers import MoverInfo
from .foreign import distrusted, examine
from .movers import Movers
from .patience import Patience, patient
from .records import FoundRecords, RecordChanged, RecordStore, find_records, new_record, require_no_orphan
from .recovery import recover
from .refusals import in_terms_of_the_job
from .reporting import Reporter, bug
from .rest import look_at_source
from .settle import convert, make_restore_point, retain, tidy
from .site import Site
from .source import adopt, find_machine, freeze, hold, keep_frozen, let_go
from .space import SpaceGuard
from .transfer import claim_room, replicate_disks
from .watch import Watch
from .work import Work

KNOWN_NAMES_MAX = 8
TAKE_ATTEMPTS_MAX = 1000


class MachineTask:
    """Replicates one machine; ``run`` raises nothing."""

    def __init__(self, site: Site, job: JobSpec, *, session_id: UUID, name: str) -> None:
        self._site = site
        self._job = job
        self._session_id = session_id
        self._name = name
        self._reporter = Reporter(site.journal, name)
        self._work: Work | None = None
        self._gives_up = False

    def run(self) -> MachineReport:
        """Do it all; the report says how it ended."""
        started_at = self._site.clock.monotonic()
        error: EngineError | None = None
        try:
            with ExitStack() as stack:
                self._replicate(stack)
        except EngineError as refusal:
            error = in_terms_of_the_job(refusal, self._job, vm=self._name)
        except Exception as failure:  # noqa: BLE001 - the outer loop of a task: told, not lost
            error = bug(failure)
        outcome = _outcome_of(error)
        if error is not None:
            self._reporter.fail(error, outcome=outcome)
        else:
            self._reporter.set(outcome=outcome)
        return self._report(outcome, error, seconds=self._site.clock.monotonic() - started_at)

    def _replicate(self, stack: ExitStack) -> None:
        site, job = self._site, self._job
        site.clock.sleep(0)
        site.stop.heed(Stop.AFTER_MACHINE)
        self._reporter.enter(Phase.INSPECT)
        source, target = site.connect_host(job.source_host), site.connect_host(job.target_host)
        records = find_records(target, job.target_path)
        machine = find_machine(source, self._name, job=job, records=records)
        self._reporter.set(vm_id=machine.vm_id, replica=f"{machine.name}{job.suffix}")
        stack.enter_context(self._alone(machine))
        work = self._open(stack, source=source, target=target, machine=machine, records=records)
        try:
            self._take(work)
            self._steps(work)
        except Exception as failure:
            error = work.store.cause_of(failure if isinstance(failure, EngineError) else bug(failure))
            self._give_up(work, error)
            raise error from failure

    def _alone(self, machine: VirtualMachine) -> ExitStack:
        """Hold the machine against other jobs of this manager."""
        held = ExitStack()
        try:
            held.enter_context(self._site.locks.hold(f"vm-{machine.vm_id}"))
        except StateError as error:
            if error.reason != "locked":
                raise
            raise StateError(
                f"machine {machine.name} is being replicated by another job of manager {self._site.manager}",
                current="processing",
                hint="wait for that job, or take the machine out of one of the two",
                reason="vm_busy",
            ) from error
        return held

    def _open(
        self,
        stack: ExitStack,
        *,
        source: Hypervisor,
        target: Hypervisor,
        machine: VirtualMachine,
        records: FoundRecords,
    ) -> Work:
        """Look at both sides and refuse what cannot work, before anything is changed.

        Nothing is tried twice up to here: who cannot be reached is told at once.
        """
        site, job = self._site, self._job
        self._look_at_certificate(f"manager {site.manager}", site.certificate_expires_at)
        config = source.configuration(machine.vm_id)
        require_replicable(config, host=job.source_host)
        require_version_at(target.host(), machine, host=job.target_host)
        record = self._record_of(machine, records=records, target=target)
        source_movers, target_movers = (self._movers(stack, option) for option in ("source_proxies", "target_proxies"))
        source_movers.serving([HostPath(job.source_host, disk.path) for disk in config.disks])
        target_movers.serving([HostPath(job.target_host, record.target.folder).join("disk.vhdx")])
        # Waiting for the target does not renew the lease: it is in the record, which is on that very host.
        patient_target = patient(target, self._patience(self._sleep))
        store = RecordStore(patient_target, record, once=target, age_seconds=records.age_of(record))

        def require_room() -> None:
            space.look(source, target, folder=store.record.target.folder)

        def hold_source() -> None:
            hold(source, store.record, limits=site.limits)

        watch = Watch(site.clock, store, limits=site.limits, hold_source=hold_source, require_space=require_room)

        def wait(seconds: float) -> None:
            self._sleep(seconds)
            watch.look()

        patient_source = patient(source, self._patience(wait))
        space = SpaceGuard(site, config, source=patient_source, target=patient_target)
        stack.callback(space.note_left, 0.0)
        self._work = Work(
            site=site,
            job=job,
            session_id=self._session_id,
            reporter=self._reporter,
            source=patient_source,
            target=patient_target,
            source_movers=source_movers,
            target_movers=target_movers,
            config=config,
            store=store,
            watch=watch,
            space=space,
            touched={disk.disk_id for disk in record.disks if record.target.folder in records.edited},
        )
        return self._work

    def _movers(self, stack: ExitStack, option: str) -> Movers:
        names = self._job.source_movers if option == "source_proxies" else self._job.target_movers
        patience = self._patience(self._sleep)
        movers = Movers(
            names, connect=self._site.connect_mover, option=option, patience=patience, meet=self._meet_mover
        )
        stack.callback(movers.close)
        return movers

    def _sleep(self, seconds: float) -> None:
        """Let a host or mover have time; a cancellation ends that, but not while the task cleans up."""
        clock = self._site.tidy_clock if self._gives_up else self._site.clock
        clock.sleep(seconds)

    def _meet_mover(self, info: MoverInfo) -> None:
        self._look_at_certificate(f"mover {info.name}", info.certificate_expires_at)

    def _look_at_certificate(self, who: str, expires_at: float) -> None:
        warning = certificate_ends_soon(who, expires_at, now=self._site.clock.now())
        if warning is not None and warning not in self._reporter.warnings:
            self._reporter.warn(warning)

    def _patience(self, wait: Callable[[float], None]) -> Patience:
        return Patience(self._site.clock, self._site.limits, wait=wait, tell=self._reporter.warn)

    def _new_record(self, machine: VirtualMachine, *, records: FoundRecords) -> ReplicaRecord:
        job = self._job
        name = f"{machine.name}{job.suffix}"
        for folder, error in records.unreadable:
            if HostPath(job.target_host, folder).name.lower() == name.lower():
                raise StateError(
                    f"the replica record in {folder} on {job.target_host} cannot be read: {error.message}",
                    hint="restore replica.json from a copy, or move the folder away to replicate anew",
                    reason="record_invalid",
                )
        return new_record(
            machine,
            job=job,
            replica_name=name,
            parent=HostPath(job.target_host, job.target_path),
            others=records,
            new_id=self._site.new_id,
        )

    def _take(self, work: Work) -> None:
        """Take the lease. Who was not the first looks who was; a new replica gets the next name when its was taken.

        A record that was restored from a copy is behind what its source host remembers: it catches up here.
        """
        self._reporter.enter(Phase.LEASE)
        is_behind = False
        for _attempt in range(TAKE_ATTEMPTS_MAX):
            try:
                self._take_record(work)
                hold(work.source, work.record, limits=self._site.limits)
                if not is_behind:
                    return
                is_behind = False  # the epoch is the newest now, but another session has had it: one more
            except StateError as error:
                if not work.store.taken or error.reason != "fenced":
                    raise
                is_behind = True
            except RecordChanged:
                records = find_records(work.target, self._job.target_path)
                record = self._record_of(work.config.machine, records=records, target=work.target)
                work.store.look_again(record, age_seconds=records.age_of(record))
        raise busy(work.record.target.name, None)

    def _record_of(self, machine: VirtualMachine, *, records: FoundRecords, target: Hypervisor) -> ReplicaRecord:
        """Return the machine's record, or a new one. Raises StateError when it cannot be replicated into now."""
        record = records.of_machine(machine.vm_id)
        if record is None:
            record = self._new_record(machine, records=records)
            require_no_orphan(target, job=self._job, name=record.target.name)
        elif record.target.folder in records.edited:
            record = distrusted(record, job=self._job, reporter=self._reporter)
        after_move(record.state, Move.REPLICATE, replica=record.target.name)
        return record

    def _take_record(self, work: Work) -> None:
        """Let the record follow the machine's name and the job, and write it with the next epoch and the lease."""
        site, record, machine = self._site, work.record, work.config.machine
        if record.state is not ReplicaState.NEW and record.source.name != machine.name:
            work.reporter.warn(f"machine {record.source.name} is called {machine.name} now; its replica follows")
        names = dict.fromkeys([*record.source.known_as, record.source.name, machine.name, self._name])
        source = replace(
            record.source,
            host=self._job.source_host,
            name=machine.name,
            known_as=tuple(names)[-KNOWN_NAMES_MAX:],
        )
        target = replace(record.target, host=self._job.target_host, name=f"{machine.name}{self._job.suffix}")
        work.store.record = replace(
            record, job=self._job.name, rpo_seconds=self._job.rpo_seconds, source=source, target=target
        )
        work.store.take(Lease(site.manager, site.manager_id, self._session_id, site.limits.lease_seconds))

    def _steps(self, work: Work) -> None:
        leftover = recover(work)
        if work.record.target.vm_id is not None:
            examine(work)
        if leftover is None:
            work.enter(Phase.CHECKPOINT)
            claim_room(work, work.config.disks)
            look_at_source(work)
            frozen = freeze(work)
        else:
            frozen = adopt(work, leftover.checkpoint)
            claim_room(work, frozen)
        replicate_disks(work, frozen, resumed=leftover.disks if leftover is not None else {})
        convert(work)
        make_restore_point(work)
        tidy(work)
        if not self._site.stop.is_up(Stop.AFTER_DISK):  # what is too old may go with the next session
            retain(work)
        self._reporter.enter(Phase.RELEASE)
        work.store.save(replace(work.record, lease=None))
        work.index_replica()

    def _give_up(self, work: Work, error: EngineError) -> None:
        """Leave nothing behind on the source and the replica to whoever comes next."""
        if not work.store.taken:
            return
        self._gives_up = True
        work.watch.end()
        _require_ours(work, error)
        self._leave_source(work, error)
        try:
            _release(work, in_terms_of_the_job(error, self._job, vm=self._name), now=self._site.clock.now())
        except EngineError as second:
            work.reporter.warn(f"the lease on the replica stays until it ends by itself: {second.message}")

    def _leave_source(self, work: Work, error: EngineError) -> None:
        if isinstance(error, Cancelled) and self._is_to_go_on(work):
            keep_frozen(work)
        else:
            let_go(work)

    def _is_to_go_on(self, work: Work) -> bool:
        """Tell whether the next session shall take up this very cycle: disks of it are sent, or in part."""
        pending = work.record.pending
        is_sending = pending is not None and pending.step is Phase.TRANSFER
        return is_sending and not self._site.stop.is_up(Stop.NOW) and self._site.stop.is_up(Stop.AFTER_DISK)

    def _report(self, outcome: Outcome, error: EngineError | None, *, seconds: float) -> MachineReport:
        work = self._work
        status = self._reporter.status
        report = MachineReport(
            name=self._name,
            outcome=outcome,
            vm_id=status.vm_id,
            replica=status.replica,
            seconds=seconds,
            warnings=tuple(self._reporter.warnings),
            error=None if error is None else error.as_dict(),
        )
        if work is None or work.record.epoch == 0:
            return report
        return replace(
            report,
            replica_id=work.record.replica_id,
            transfer_seconds=work.transfer_seconds,
            bottleneck=work.bottleneck,
            restore_point=work.new_point,
            restore_points=tuple(point.report for point in work.record.restore_points),
            removed_restore_points=tuple(work.removed),
            disks=tuple(work.disk_reports),
            forecast=work.space.forecast.as_dict(),
        )


def _require_ours(work: Work, error: EngineError) -> None:
    """Raise StateError ``fenced`` when a newer session has the replica: then that is why something went wrong."""
    try:
        work.store.renew()
    except EngineError as second:
        if work.store.cause_of(second).reason == "fenced":
            raise second from error


def _release(work: Work, error: EngineError, *, now: float) -> None:
    """Write why it failed and give the lease back; a record of nothing goes again."""
    work.store.make_sure()
    record = work.record
    if record.state is ReplicaState.NEW and record.target.vm_id is None and not record.disks:
        work.target.remove_record(record.fence)
        return
    pending = record.pending
    if pending is not None and not pending.is_begun:
        pending = None
    note = ErrorNote(error.code, error.reason, error.message[:1000], error.hint[:1000], now)
    work.store.save(replace(record, pending=pending, lease=None, last_error=note))
    work.index_replica()


def _outcome_of(error: EngineError | None) -> Outcome:
    if error is None:
        return Outcome.DONE
    return Outcome.CANCELLED if isinstance(error, Cancelled) else Outcome.FAILED
