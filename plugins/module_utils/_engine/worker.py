# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""``opendr-engine session``: the worker of one job session. Theory of operation: docs/design/session.md.

Standard input brings the topology, standard output takes one line back; then the worker is on its own.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import Any, Final
from uuid import uuid4

from .adapters.catalog import open_catalog, sqlite_url
from .adapters.hypervisor import PsrpHypervisor
from .adapters.mover_client import MoverClient
from .adapters.no_catalog import NoCatalog
from .adapters.psrp import HostConnectionSettings, PsrpHost
from .adapters.session_files import SessionFiles, note
from .adapters.state_folder import StateFolder, held
from .adapters.stop_files import find_request
from .adapters.system import SharedClaims, StoppableClock, SystemClock, ThreadExecutor
from .adapters.tidying import engine_in_use, tidy
from .adapters.tls import TlsFiles, own_certificate
from .adapters.worker_process import require_kind, running_session
from .errors import CatalogError, EngineError, RequestError, StateError
from .model.topology import SIZE_MAX, Topology
from .ports import Catalog, Hypervisor, Mover
from .progress import Event, EventKind
from .reports import Outcome, SessionReport
from .services.replicate.session import run_session
from .services.replicate.site import Limits, Site
from .services.verify.task import run_verification
from .stops import Stop, StopRequest

TICK_SECONDS: Final = 0.5
ATTACH_SECONDS: Final = 30.0  # below the time that the starter waits for the answer
ATTACH_POLL_SECONDS: Final = 0.05
REFUSED: Final = 2  # exit code


def run() -> int:
    """Run a session; return the exit code: 0 done, 1 failed or cancelled, 2 refused."""
    with ExitStack() as stack:
        try:
            topology = Topology.parse(sys.stdin.buffer.read(SIZE_MAX + 1))
            folder = StateFolder(topology.state_dir)
            folder.make()
            folder.make_session(topology.session_id)
            stack.enter_context(engine_in_use(sys.argv[0]))
            live = _take_job(stack, folder, topology=topology)
            if live is not None:
                _answer({"session_id": live, "attached": True})
                return 0
            worker = Worker(stack, folder, topology=topology)
        except EngineError as error:
            _answer({"error": error.as_dict()})
            return REFUSED
        _answer({"session_id": str(topology.session_id), "attached": False})
        return worker.work()


def _take_job(stack: ExitStack, folder: StateFolder, *, topology: Topology) -> str | None:
    """Hold the job, or return the id of the session that does.

    Who holds it is known once it has a status: until then it may still be refused, and one that has ended is about to
    let go of the job. Both are waited for.
    """
    job = topology.job.name
    stack.enter_context(held(folder.session(topology.session_id, "alive")))
    deadline = time.monotonic() + ATTACH_SECONDS
    while True:
        try:
            stack.enter_context(folder.hold(f"job-{job}"))
        except StateError as error:
            if error.reason != "locked":
                raise
        else:
            folder.note_session(job, topology.session_id)
            return None
        live = running_session(folder.path, job)
        if live is not None:
            require_kind(folder.path, live, kind=topology.kind.value)
            return live
        if time.monotonic() > deadline:
            raise _job_locked(job, folder)
        time.sleep(ATTACH_POLL_SECONDS)


def _job_locked(job: str, folder: StateFolder) -> StateError:
    return StateError(
        f"job {job} is held by a process that runs no session of it",
        current="processing",
        hint=f"run the task again; if it stays so, see which process has its file in {folder.path}/locks open",
        reason="job_locked",
    )


def _answer(message: dict[str, object]) -> None:
    """Write the line that the starter waits for, and let go of it."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _require_manager(files: TlsFiles) -> float:
    """Say now, and not at the first mover, what is wrong with the manager's certificate; return when it expires.

    Raises RequestError.
    """
    own, expires_at = own_certificate(files)
    if own.role != "manager":
        raise RequestError(
            f"{files.certificate} is the certificate of {own}, movers want one of role manager",
            hint="name the certificate of the manager in opendr_manager_certificate, and its key in opendr_manager_key",
            reason="certificate_role",
        )
    return expires_at


class Worker:
    """Builds the adapters of a session and runs it."""

    def __init__(self, stack: ExitStack, folder: StateFolder, *, topology: Topology) -> None:
        """Prepare everything that can be refused before the session begins. Raises EngineError."""
        self._topology = topology
        self._folder = folder
        self._signal: int | None = None
        self._files = TlsFiles(topology.manager.certificate, topology.manager.key, topology.manager.ca)
        expires_at = _require_manager(self._files)
        self._clock = StoppableClock()
        self._hosts = {name: self._host(stack, name) for name in (topology.job.source_host, topology.job.target_host)}
        self._journal = SessionFiles(
            folder,
            session_id=topology.session_id,
            job=topology.job.name,
            manager=topology.manager.name,
            machines=topology.job.vms,
            kind=topology.kind,
            clock=self._clock,
        )
        stack.callback(self._journal.close)
        catalog = self._open_catalog()
        stack.callback(catalog.close)
        self._site = Site(
            manager=topology.manager.name,
            manager_id=folder.manager_id(),
            clock=self._clock,
            tidy_clock=SystemClock(),
            new_id=uuid4,
            new_secret=lambda: secrets.token_bytes(32),
            connect_host=self._connect_host,
            connect_mover=self._connect_mover,
            catalog=catalog,
            journal=self._journal,
            executor=ThreadExecutor(),
            locks=folder,
            claims=SharedClaims(),
            limits=_limits(topology),
            certificate_expires_at=expires_at,
            free_space=topology.free_space,
        )
        self._journal.tick()

    def work(self) -> int:
        """Run the session in a thread, and let this one write status and heartbeats."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note_signal)
        ended = threading.Event()
        result: list[SessionReport] = []
        thread = threading.Thread(target=self._session, args=(result, ended), name="session")
        thread.start()
        try:
            while not ended.wait(TICK_SECONDS):
                self._look_for_requests()
                self._journal.tick()
        finally:
            thread.join()  # the lock on the job and the connections are for the session, whatever happens here
        self._journal.tick()  # once more, should the last status not have been written
        tidy(self._folder, now=self._clock.now())
        return 0 if result and result[0].outcome is Outcome.DONE else 1

    def _note_signal(self, number: int, _frame: FrameType | None) -> None:
        """Only note it: a handler runs in the middle of anything, also of what holds a lock."""
        self._signal = number

    def _look_for_requests(self) -> None:
        """Pass on that somebody wants the session to stop."""
        if self._signal is not None:
            by = f"signal {signal.Signals(self._signal).name}"
            request: StopRequest | None = StopRequest(Stop.NOW, by, self._clock.now())
        else:
            request = find_request(self._folder, self._topology.session_id)
        if request is None or not self._site.stop.ask(request):
            return
        self._journal.note_stop(request)
        if request.how is Stop.NOW:
            self._clock.stop(str(request))

    def _session(self, result: list[SessionReport], ended: threading.Event) -> None:
        topology = self._topology
        try:
            if topology.verify is None:
                report = run_session(self._site, topology.job, session_id=topology.session_id)
            else:
                report = run_verification(
                    self._site, topology.job, session_id=topology.session_id, spec=topology.verify
                )
            self._journal.finish(report.outcome, report=report)
            result.append(report)
        except Exception as error:  # noqa: BLE001 - the outer loop: told, not lost
            note(traceback.format_exc())
            failure = EngineError(
                f"the session worker failed: {error!r}", hint="please report it with worker.log", reason="bug"
            )
            self._journal.finish(Outcome.FAILED, report=None, error=failure.as_dict())
        finally:
            ended.set()

    def _open_catalog(self) -> Catalog:
        """Open the catalog; one that cannot be opened costs the history of this session, not the session."""
        try:
            return open_catalog(self._topology.catalog_url or sqlite_url(self._folder.catalog))
        except CatalogError as error:
            text = f"no history is kept of this session: {error.message}"
            self._journal.say(Event(EventKind.WARNING, text))
            return NoCatalog()

    def _host(self, stack: ExitStack, name: str) -> PsrpHypervisor:
        topology = self._topology
        settings = HostConnectionSettings.from_topology(
            name,
            topology.hosts[name],
            password=topology.passwords.get(name, ""),
            proxy=topology.proxies.get(name, ""),
        )
        # Its calls are not cut short by a cancellation: what was begun is known to be done, or not.
        host = PsrpHypervisor(PsrpHost(settings, clock=SystemClock()))
        stack.callback(host.close)
        return host

    def _connect_host(self, name: str) -> Hypervisor:
        return self._hosts[name]

    def _connect_mover(self, name: str) -> Mover:
        return MoverClient(name, self._topology.movers[name], files=self._files)


def _limits(topology: Topology) -> Limits:
    """Return the site's limits with what the topology changes; counts are whole numbers."""
    changed: dict[str, Any] = {
        name: int(value) if name in ("machines", "disks") else value for name, value in topology.limits.items()
    }
    try:
        return replace(Limits(), **changed)
    except TypeError as error:
        raise RequestError(f"the topology has an unknown limit: {error}", reason="topology_invalid") from error
