# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab of two hosts and two movers, a job between them, and the proof of every restore point.

``LabSite`` has what both kinds of lab share: ``ProcessSite`` runs each part as a process of its own, as in production;
``SmallSite`` runs all of it in the test's process, without WSMan between, for tests that need many sessions.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import (
    SqlCatalog,
    open_catalog,
    sqlite_url,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import is_locked, open_for_reading
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.hypervisor import PsrpHypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.mover_client import MoverClient
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import (
    SharedClaims,
    StoppableClock,
    SystemClock,
    ThreadExecutor,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import TlsFiles
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import ReplicaRecord
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.config import (
    AccessEntry,
    MoverConfig,
    Timing,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.functions import MoverFunctions
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.server import MoverServer
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor, Mover
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Event, MachineStatus
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import SessionReport
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.session import run_session
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Limits, Site
from ansible_collections.opendr.hyperv.tests.lab import oracles
from ansible_collections.opendr.hyperv.tests.lab.direct_host import CurrentFront, DirectHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.client import DirectControl, LabControl
from ansible_collections.opendr.hyperv.tests.lab.hyperv.control import calls
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.process import LabHostProcess
from ansible_collections.opendr.hyperv.tests.lab.mover import Access, LabMover, tls_files
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority

SOURCE, TARGET, MANAGER = "hv-a", "hv-b", "mgr"
FOLDER: Final = "C:\\VMs"
REPLICAS: Final = "D:\\Replicas"
USER: Final = "svc-opendr"
PASSWORD: Final = "correct horse battery"
QUICK: Final = {"reconnect_interval": 0.1, "reconnect_limit": 20.0, "heartbeat": 1.0, "silence": 10.0, "flush": 0.2}
QUICK_LIMITS: Final = {"poll_seconds": 0.02, "reconnect_seconds": 0.2, "reconnect_limit_seconds": 20.0}


class LabSite:
    """Two hosts (``source``, ``target``: their controls), and what a test does with them."""

    source: LabControl
    target: LabControl

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = LabAuthority(folder / "pki")
        self.state_dir = folder / "state"

    def control(self, name: str) -> LabControl:
        return self.source if name == SOURCE else self.target

    def job(self, **options: object) -> JobSpec:
        """Return a job of machine ``web`` from source to target."""
        least = {"name": "web", "vms": ["web"], "source_host": SOURCE, "target_host": TARGET, "target_path": REPLICAS}
        return JobSpec.from_dict({**least, **options})

    def record(self, vm: str = "web") -> ReplicaRecord:
        """Return the record of a machine's replica."""
        return next(record for record in self.records() if vm in record.source.known_as)

    def records(self) -> list[ReplicaRecord]:
        rows = self.target.dispatch("Find-HvrReplicaRecord", Folder=REPLICAS)
        return [ReplicaRecord.parse(row["Record"]) for row in rows]

    def machine(self, name: str, *, host: LabControl | None = None) -> dict[str, Any]:
        """Return the state of a machine in the model of a host."""
        machines = (host or self.source).call("lab.machines")
        return next(each for each in machines if each["name"] == name and not each["removed"])

    def source_leftovers(self, name: str = "web") -> list[str]:
        """Return the names of recovery checkpoints that a machine has on the source."""
        return [each["name"] for each in self.machine(name)["checkpoints"] if each["kind"] == "Recovery"]

    def prove(self, vm: str = "web", *, points: int, newest: int | None = None) -> None:
        """Assert that the replica has so many restore points, and that each equals the source at its moment.

        With ``newest`` only so many: the older ones have been damaged on purpose.

        Judges: libvhdi reads the chains, the lab's raw shadow files are the truth, qemu-img checks the base images. It
        cannot open differencing files ("Operation not supported"); those our own checker looks at.
        """
        record = self.record(vm)
        assert len(record.restore_points) == points
        replica = next(each for each in self.target.call("lab.machines") if UUID(each["vm_id"]) == record.target.vm_id)
        sessions = {cycle.cycle_id: cycle.session_id for cycle in record.cycles}
        for point in record.restore_points[-(newest or points) :]:
            shadows = self.shadows(f"{record.replica_id} {sessions[point.cycle_ids[-1]]}")
            chains = self.chains(replica, str(point.point_id))
            assert chains.keys() == shadows.keys()
            for disk_id, chain in chains.items():
                difference = oracles.first_difference(chain, shadows[disk_id])
                assert difference is None, f"{point.name}: disk {disk_id} differs at {difference}"
                _require_sound(chain)
        for drive in replica["settings"]["drives"]:
            leaf_chain = [self.target.local_path(path) for path in _chain(replica["files"], drive["path"])]
            _require_sound(leaf_chain, after_crash=record.pending is not None)

    def shadows(self, ids: str) -> dict[str, Path]:
        """Return raw files by disk id: the source when it was frozen for a replica by a session (their ids)."""
        for label in (self.folder / SOURCE / "shadows").glob("*/*/checkpoint.json"):
            if ids in json.loads(label.read_text())["name"]:
                return {path.stem: path for path in label.parent.glob("*.raw")}
        raise LookupError(f"the source has no shadow of {ids}")

    def chains(self, replica: Mapping[str, Any], point_id: str) -> dict[str, list[Path]]:
        """Return local files, leaf first, by disk id, of a restore point."""
        point = next(each for each in replica["checkpoints"] if each["checkpoint_id"].lower() == point_id.lower())
        return {
            drive["disk_id"]: [self.target.local_path(path) for path in _chain(replica["files"], drive["path"])]
            for drive in point["settings"]["drives"]
        }


def _require_sound(chain: Sequence[Path], *, after_crash: bool = False) -> None:
    said = oracles.qemu_img_check(chain[-1])
    assert not said, said
    with ExitStack() as opened:
        files = [opened.enter_context(open_for_reading(str(path))) for path in chain]
        problems = check_chain(files, after_crash=after_crash)
    assert problems == [], f"{chain[0]}: {problems}"


def _chain(parents: Mapping[str, str], leaf: str) -> list[str]:
    chain = [leaf]
    while parents.get(chain[-1]):
        chain.append(parents[chain[-1]])
    return chain


class ProcessSite(LabSite):
    """Hosts and movers as processes, over WSMan and TLS. ``topology`` is what the action plugin would send."""

    def __init__(self, folder: Path, *, timing: Mapping[str, float] | None = None) -> None:
        super().__init__(folder)
        files = {name: self.authority.issue(name, role="host") for name in (SOURCE, TARGET)}
        self.hosts = {
            name: LabHostProcess(folder / name, name=name, files=files[name], user=USER, password=PASSWORD)
            for name in (SOURCE, TARGET)
        }
        self._timing = dict(timing or QUICK)
        self.movers: dict[str, LabMover] = {}
        self._manager = self.authority.issue(MANAGER, role="manager")

    def start(self) -> Self:
        for host in self.hosts.values():
            host.start()
        self.source, self.target = (self.hosts[name].control() for name in (SOURCE, TARGET))
        for name, control in ((SOURCE, self.source), (TARGET, self.target)):
            access = [Access(name, f"{letter}:\\", control.local_path(f"{letter}:\\")) for letter in "CD"]
            mover = LabMover(name, self.folder / "movers", authority=self.authority, access=access, timing=self._timing)
            self.movers[name] = mover.start()
        return self

    def stop(self) -> None:
        for mover in self.movers.values():
            mover.stop()
        for control in (self.source, self.target):
            control.close()
        for host in self.hosts.values():
            host.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def topology(self, spec: JobSpec, **changes: object) -> dict[str, Any]:
        """Return what ``opendr-engine session`` reads; ``changes`` replace members."""
        host = {"address": "127.0.0.1", "user": USER, "auth": "basic", "ca_cert": str(self.authority.ca_file)}
        return {
            "format": 1,
            "session_id": str(uuid.uuid4()),
            "state_dir": str(self.state_dir),
            "catalog_url": None,
            "job": spec.as_dict(),
            "manager": {
                "name": MANAGER,
                "certificate": str(self._manager.certificate),
                "key": str(self._manager.key),
                "ca": str(self._manager.ca),
            },
            "hosts": {name: {**host, "port": process.port} for name, process in self.hosts.items()},
            "movers": {name: {"address": "127.0.0.1", "port": mover.port} for name, mover in self.movers.items()},
            "secrets": {"passwords": dict.fromkeys(self.hosts, PASSWORD)},
            "limits": QUICK_LIMITS,
            **changes,
        }


class MemoryJournal:
    """A Journal that remembers."""

    def __init__(self) -> None:
        self.statuses: list[MachineStatus] = []
        self.events: list[Event] = []

    def publish(self, machine: MachineStatus) -> None:
        self.statuses.append(machine)

    def say(self, event: Event) -> None:
        self.events.append(event)

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]


class SmallSite(LabSite):
    """Everything in this process: model hosts behind their contract fronts, movers in threads over TLS."""

    timing: Mapping[str, float] = QUICK  # of the movers

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._hosts: dict[str, ModelHost] = {}
        self.fronts: dict[str, Front] = {}
        for name in (SOURCE, TARGET):
            self.start_host(name)
        self.movers: dict[str, Any] = {}  # MoverServer, or a process that stands in for it
        self.files: dict[str, TlsFiles] = {MANAGER: tls_files(self.authority.issue(MANAGER, role="manager"))}
        self._threads: dict[str, threading.Thread] = {}
        for name in (SOURCE, TARGET):
            self.start_mover(name, serves=[name])
        self.catalog: SqlCatalog = self.open_catalog()
        self.journal = MemoryJournal()
        self.clock = StoppableClock()

    def open_catalog(self) -> SqlCatalog:
        self.state_dir.mkdir(exist_ok=True)
        return open_catalog(sqlite_url(str(self.state_dir / "catalog.sqlite")))

    def close(self) -> None:
        for name in self.movers:
            self.stop_mover(name)
        for host in self._hosts.values():
            host.stop()
        self.catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def run(
        self, job: JobSpec | None = None, *, site: Site | None = None, between: Callable[[Site], Site] | None = None
    ) -> SessionReport:
        """Run a session; ``journal`` has what it told. ``between`` may put something before each of its ports."""
        self.journal = MemoryJournal()
        ports = replace(site or self.site(), journal=self.journal)
        return run_session(between(ports) if between else ports, job or self.job(), session_id=uuid.uuid4())

    def site(self, *, state: str = "state", **changes: Any) -> Site:
        """Return the ports of a manager with a state folder of its own name."""
        folder = StateFolder(str(self.folder / state))
        folder.make()
        site = Site(
            manager=f"{MANAGER}-{state}",
            manager_id=folder.manager_id(),
            clock=self.clock,
            tidy_clock=SystemClock(),
            new_id=uuid.uuid4,
            new_secret=lambda: uuid.uuid4().bytes + uuid.uuid4().bytes,
            connect_host=self.connect_host,
            connect_mover=self.connect_mover,
            catalog=self.catalog,
            journal=self.journal,
            executor=ThreadExecutor(),
            locks=folder,
            claims=SharedClaims(),
            limits=replace(Limits(), **QUICK_LIMITS),  # type: ignore[arg-type]
        )
        return replace(site, **changes)

    def wait_until_free(self, paths: Sequence[Path]) -> None:
        """Wait until no mover holds any of these files."""
        self.target.wait_until(lambda: not any(is_locked(str(path)) for path in paths), "movers to let go")

    def connect_host(self, name: str) -> Hypervisor:
        return PsrpHypervisor(DirectHost(name, CurrentFront(self.fronts, name)))

    def connect_mover(self, name: str) -> Mover:
        return MoverClient(name, ("127.0.0.1", self.movers[name].port), files=self.files[MANAGER])

    def restart_host(self, name: str) -> None:
        """Let a host die and begin again with what is in its folder."""
        self.stop_host(name)
        self.start_host(name)

    def stop_host(self, name: str) -> None:
        self._hosts[name].stop()

    def start_host(self, name: str) -> None:
        host = self._hosts[name] = ModelHost(self.folder / name, name=name)
        front = self.fronts[name] = Front(host)
        control = DirectControl(calls(host, front))
        if name == SOURCE:
            self.source = control
        else:
            self.target = control
        host.start()

    def still_target(self) -> AbstractContextManager[object]:
        """Let nothing happen on the target host meanwhile."""
        return self._hosts[TARGET].lab.lock

    def start_mover(self, name: str, *, serves: Sequence[str]) -> None:
        """Start a mover that serves the volumes of these hosts; one that is started again keeps its port."""
        port = self.movers[name].port if name in self.movers else 0
        self.movers[name] = mover = self._mover(name, serves=serves, port=port)
        self._threads[name] = threading.Thread(target=mover.serve)
        self._threads[name].start()

    def stop_mover(self, name: str) -> None:
        """Let a mover end its transfers and go."""
        self.movers[name].stop()
        self._threads[name].join()

    def restart_mover(self, name: str) -> None:
        """Stop a mover in the middle of whatever it does; another one takes its place."""
        self.stop_mover(name)
        self.start_mover(name, serves=[name])

    def _mover(self, name: str, *, serves: Sequence[str], port: int) -> MoverServer:
        self.files[name] = tls_files(self.authority.issue(name, role="mover"))
        config = mover_config(self, self.files[name], name=name, serves=serves, port=port)
        config = replace(config, timing=replace(Timing(), **self.timing))
        return MoverServer(MoverFunctions(config, version="test", platform="test"))


def mover_config(site: LabSite, files: TlsFiles, *, name: str, serves: Sequence[str], port: int = 0) -> MoverConfig:
    """Return the configuration of a mover that serves the volumes of these hosts."""
    volumes = [(host, f"{letter}:\\") for host in serves for letter in "CD"]
    return MoverConfig(
        name=name,
        listen=("127.0.0.1", port),
        tls=files,
        access=tuple(
            AccessEntry(host, root, str(site.control(host).local_path(root)), "write") for host, root in volumes
        ),
        state_folder=str(site.folder / f"mover-{name}"),
        timing=replace(Timing(), **QUICK),
    )


def disks(*sizes: int) -> list[dict[str, object]]:
    """Describe the disks of a new machine: one at each location of the first SCSI controller."""
    return [{"size": size, "location": location} for location, size in enumerate(sizes)]


def only_error(report: SessionReport) -> dict[str, object]:
    """Return the error of a session of one machine that failed."""
    errors: Sequence[dict[str, object] | None] = [report.error, *(machine.error for machine in report.machines)]
    found = [error for error in errors if error is not None]
    assert len(found) == 1, found
    return found[0]
