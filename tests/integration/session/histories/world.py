# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source, its replicas, and whoever else works on them: what one history happens to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import SqlCatalog
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.no_catalog import NoCatalog
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import ReplicaRecord
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome, SessionReport
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.session import run_session
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.verify.task import run_verification
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import VerifyMode, VerifySpec
from ansible_collections.opendr.hyperv.tests.integration.session.histories import acts
from ansible_collections.opendr.hyperv.tests.integration.session.histories.judge import Judge
from ansible_collections.opendr.hyperv.tests.integration.session.histories.stage import Event, Stage
from ansible_collections.opendr.hyperv.tests.integration.session.histories.truth import Truth
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Killed
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Refusal
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SmallSite, disks

FULL: Final = VerifySpec(VerifyMode.FULL)
FOLDERS: Final = ("D:\\Replicas", "D:\\Others")  # of two jobs for the same machine
KEEPS: Final = (
    "stays on the source for now",
    "the source keeps the checkpoint",
)  # how a session tells of its checkpoint
GOES_ON: Final = "did not finish: its cycle of"  # of a dead session: what changed since is left to the next one
UNTRACKED: Final = "7.1"  # a configuration version that has no change tracking
HASTE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "poll_seconds": 0.05,
        "reconnect_seconds": 0.02,
        "busy_seconds": 1.0,
        "settle_seconds": 5.0,
    }
)
PATIENCE: Final[Mapping[str, Any]] = {"poll_seconds": 0.05, "busy_seconds": 60.0}

# What must not end a session, whatever others do: bugs, and data that are not what they should be.
NEVER: Final = frozenset({"engine_failed", "integrity_failed", "peer_protocol", "catalog_failed", "library_missing"})


@dataclass(frozen=True)
class Order:
    """Of one session: which of the two jobs, which manager, the options of the job, and what happens meanwhile."""

    job: int = 0
    manager: int = 0
    keep: int = 2
    on_touched: str = "compare"
    verifies: bool = False  # instead of replicating
    events: Sequence[Event] = ()


class World:
    """One machine ``web`` on the source, and everything that a history does to it."""

    def __init__(self, folder: Path, *, switches: Mapping[str, object], sizes: Sequence[int], version: str) -> None:
        self.site = SmallSite(folder)
        self.truth = Truth()
        self.judge = Judge(self.site, self.truth)
        self.faults: Counter[str] = Counter()
        self.sessions: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.log: list[str] = []
        self.foreign_checkpoint = ""
        self.lost_catalogs: list[SqlCatalog] = []
        self._keep = [99, 99]  # the smallest number of points that each job was ever told to keep
        self._managers = [0, 0]  # who has each replica, or had it last
        for control in (self.site.source, self.site.target):
            control.switch(**switches)
        machine = self.site.source.call(
            "lab.create_machine", name="web", folder=f"{FOLDER}\\web", version=version, disks=disks(*sizes)
        )
        self.vm_id: str = machine["vm_id"]
        for drive, size in zip(machine["settings"]["drives"], sizes, strict=True):
            self.truth.add(drive["disk_id"], size=size)
        self.site.source.call("Start-VM", vm_id=self.vm_id)

    def close(self) -> None:
        for catalog in self.lost_catalogs:
            catalog.close()
        self.site.close()

    @property
    def machine(self) -> dict[str, Any]:
        """The state of the source machine in the model of its host."""
        return next(each for each in self.site.source.call("lab.machines") if each["vm_id"] == self.vm_id)

    @property
    def is_tracked(self) -> bool:
        """Whether the host tracks what the guest writes."""
        return bool(self.machine["version"] != UNTRACKED)

    @property
    def disk_ids(self) -> list[str]:
        return [drive["disk_id"] for drive in self.machine["settings"]["drives"]]

    def records(self) -> list[ReplicaRecord]:
        """Return the records of the replicas of both jobs."""
        return [found for job in range(len(FOLDERS)) if (found := self.record(job)) is not None]

    def record(self, job: int) -> ReplicaRecord | None:
        rows = self.site.target.dispatch("Find-HvrReplicaRecord", Folder=FOLDERS[job])
        assert len(rows) <= 1, f"{len(rows)} replicas of one machine in {FOLDERS[job]}"
        return ReplicaRecord.parse(rows[0]["Record"]) if rows else None

    def write(self, record: ReplicaRecord) -> None:
        """Replace a record that nobody works on."""
        self.site.target.dispatch(
            "Set-HvrReplicaRecord",
            Folder=record.target.folder,
            ExpectedEpoch=record.epoch,
            ExpectedRevision=record.revision,
            Record=replace(record, revision=record.revision + 1).as_text(),
        )
        self.judge.note_pins(record)

    def act(self, name: str, seed: int) -> None:
        """Let somebody do something; a host that refuses is no news."""
        try:
            acts.ACTS[name](self, Random(seed))
            self.faults[name] += 1
            self.log.append(f"{name} {seed}")
        except Refusal as refusal:
            self.log.append(f"{name} {seed}: {refusal.message}")

    def replicate(self, order: Order, *, limits: Mapping[str, Any] = HASTE) -> SessionReport | None:
        """Run a session, and look at what it left; None: it was killed."""
        self.log.append(str(order))
        stage = Stage(order.events, act=self.act, freezes=self._freeze)
        session_id = uuid4()
        self._keep[order.job] = min(self._keep[order.job], order.keep)
        ports, job = self._ports(stage, order, limits=limits), self._job(order)
        try:
            if order.verifies:
                report = run_verification(ports, job, session_id=session_id, spec=FULL)
            else:
                report = run_session(ports, job, session_id=session_id)
        except Killed:
            report = None
        for event in stage.met:
            if event.what not in acts.ACTS:
                self.faults[event.what] += 1
        self._note(report)
        if report is None or (report.machines[0].error or {}).get("reason") != "replica_busy":
            self._managers[order.job] = order.manager
        self._look(order, report, session_id=session_id)
        return report

    def end(self) -> None:
        """Nobody disturbs any more: one session brings each replica up to date, the next has nothing to send.

        Then every point of each is proven.
        """
        self._converge()
        if self.record(0) is not None:
            self._require_rest(self.replicate(Order(0, manager=self._managers[0]), limits=PATIENCE))
        for record in self.records():
            assert sum(not point.pins for point in record.restore_points) <= Order.keep
            self.judge.prove_all(record)

    def _require_rest(self, report: SessionReport | None) -> None:
        assert report is not None
        assert report.outcome is Outcome.DONE, report
        machine = report.machines[0]
        tracked = self.is_tracked
        assert not tracked or {disk.reason for disk in machine.disks} == {"tracked"}, machine
        assert machine.traffic.read == (0 if tracked else machine.traffic.disk), machine
        assert machine.traffic.sent < 64 * KiB, machine

    def _converge(self) -> None:
        acts.calm(self)
        wanted = {job: Order(job, manager=self._managers[job]) for job in range(len(FOLDERS)) if self.record(job)}
        for _turn in range(3):  # a dead session holds up the other job, and its own cycle comes first
            for job, order in list(wanted.items()):
                report = self.replicate(order, limits=PATIENCE)
                if report is None or report.outcome is not Outcome.DONE:
                    continue
                if not any(GOES_ON in warning for warning in report.machines[0].warnings):
                    del wanted[job]
        assert not wanted, "not converged"
        acts.settle(self)

    def _look(self, order: Order, report: SessionReport | None, *, session_id: UUID) -> None:
        record = self.record(order.job)
        if report is not None:
            self._require_order(order, report, session_id=session_id)
        if record is not None:
            self.judge.look(record, keep=self._keep[order.job], random=Random(record.epoch))

    def _require_order(self, order: Order, report: SessionReport, *, session_id: UUID) -> None:
        """Assert that a session that ended by itself left nothing on the source, and a good one nothing to do."""
        machine = report.machines[0]
        left = [each["name"] for each in self.machine["checkpoints"] if str(session_id) in each["name"]]
        told = any(word in warning for warning in machine.warnings for word in KEEPS)
        assert not left or told, f"{left} stayed on the source: {machine}"
        if report.outcome is Outcome.DONE:
            record = self.record(order.job)
            assert record is not None
            assert record.lease is None
            if not order.verifies:
                assert record.pending is None
                assert machine.restore_point == record.restore_points[-1].point_id
        else:
            error = machine.error or {"code": "engine_failed"}
            assert error["code"] not in NEVER, error
            self.failures[f"{error['code']} {error['reason']}"] += 1

    def _freeze(self, name: str) -> None:
        machine = self.machine
        if name not in [each["name"] for each in machine["checkpoints"]]:
            self.truth.freeze(name, disk_ids=[drive["disk_id"] for drive in machine["settings"]["drives"]])

    def _job(self, order: Order) -> JobSpec:
        options = {"name": f"job-{order.job}", "vms": [self.vm_id], "target_path": FOLDERS[order.job]}
        return self.site.job(**options, restore_points=order.keep, on_touched=order.on_touched, block_size=MiB)

    def _ports(self, stage: Stage, order: Order, *, limits: Mapping[str, Any]) -> Any:
        ports = self.site.site(state=f"manager-{order.manager}")
        catalog = self.site.catalog if order.manager == 0 else NoCatalog()
        return stage.site(replace(ports, catalog=catalog, limits=replace(ports.limits, **limits)))

    def _note(self, report: SessionReport | None) -> None:
        if report is None:
            self.sessions["killed"] += 1
            self.log.append("killed")
            return
        self.sessions[report.outcome.value] += 1
        for machine in report.machines:
            reasons = [f"{disk.scope} {disk.reason}" for disk in machine.disks]
            self.log.append(f"{report.outcome.value}: {reasons} {machine.error or ''} {machine.warnings}")
