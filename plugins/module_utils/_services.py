# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""The one place that builds what a module works with: the catalog, a host, a session worker."""

from __future__ import annotations

import sys
import time
import typing as t
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from ._engine.adapters import stop_files, worker_process
from ._engine.adapters.catalog import open_catalog, open_for_reading, sqlite_url
from ._engine.adapters.hypervisor import PsrpHypervisor
from ._engine.adapters.psrp import HostConnectionSettings, PsrpHost
from ._engine.adapters.state_folder import StateFolder, unusable
from ._engine.adapters.system import SystemClock
from ._engine.errors import CatalogError, EngineError, RequestError
from ._engine.jobs import JobSpec
from ._engine.model.outlook import View
from ._engine.model.record import Lease
from ._engine.model.topology import connection_of
from ._engine.ports import Catalog
from ._engine.reports import Kind
from ._engine.stops import StopRequest
from ._engine.verification import VerifySpec
from ._plan import JobPlan, StopPlan

Options = Mapping[str, t.Any]


def read_catalog(options: Options, *, may_upgrade: bool = False) -> AbstractContextManager[Catalog]:
    """Open the catalog to read; one that is not there is not made, and an older one is upgraded only on request."""
    try:
        return closing(open_for_reading(_url(options)))
    except CatalogError as error:
        if error.reason != "catalog_older" or not may_upgrade:
            raise
        return closing(open_catalog(_url(options)))


def open_host(options: Options, name: str) -> AbstractContextManager[PsrpHypervisor]:
    """Connect to a host that the action plugin has resolved."""
    topology, secrets = _resolved(options)
    password, proxy = (secrets[kind].get(name, "") for kind in ("passwords", "proxies"))
    settings = HostConnectionSettings.from_topology(
        name, connection_of(topology["hosts"][name]), password=password, proxy=proxy
    )
    return closing(PsrpHypervisor(PsrpHost(settings, clock=SystemClock())))


def apply(options: Options, plan: JobPlan) -> None:
    """Write the job that a plan ends with."""
    _make_state_dir(options["state_dir"])
    with closing(open_catalog(_url(options))) as catalog:
        if plan.after is None:
            catalog.remove_job(plan.name)
        else:
            catalog.save_job(plan.after, now=time.time())


def running_session(options: Options, *, kind: Kind | None = None) -> str | None:
    """Return the id of the session of a job that runs now. Raises StateError when it is of another kind than asked."""
    with _naming_state_dir(options):
        found = worker_process.running_session(options["state_dir"], options["name"])
        if found is not None and kind is not None:
            worker_process.require_kind(options["state_dir"], found, kind=kind.value)
        return found


def view_of(options: Options, lease: Lease | None, *, age_seconds: float) -> View:
    """Return what this manager knows of a replica whose record is so old, and of the session that holds it."""
    if lease is None:
        return View(age_seconds)
    folder = StateFolder(options["state_dir"])
    with _naming_state_dir(options):
        is_ours = folder.known_manager_id() == lease.manager_id
        return View(age_seconds, is_ours, worker_lives=is_ours and folder.is_alive(lease.session_id))


def newest_status(options: Options) -> dict[str, t.Any] | None:
    """Return the status of the newest session of a job; None when it had none here."""
    with _naming_state_dir(options):
        return stop_files.newest_status(StateFolder(options["state_dir"]), options["name"])


def find_request(options: Options, session_id: str) -> StopRequest | None:
    """Return what a session was asked before."""
    return stop_files.find_request(StateFolder(options["state_dir"]), session_id)


def ask_to_stop(options: Options, plan: StopPlan) -> None:
    """Ask a session what a plan says."""
    if plan.session_id is None or plan.request is None:
        return
    with _naming_state_dir(options):
        stop_files.ask_to_stop(StateFolder(options["state_dir"]), plan.session_id, request=plan.request)


def start_session(options: Options, job: JobSpec, *, verify: VerifySpec | None = None) -> dict[str, t.Any]:
    """Start a worker for the job and return its session, or the one of the same kind that runs by now."""
    topology, secrets = _resolved(options)
    told = {
        "format": 1,
        "session_id": str(uuid.uuid4()),
        "state_dir": options["state_dir"],
        "catalog_url": options["catalog_url"],
        "job": job.as_dict(),
        "manager": topology["manager"],
        "hosts": topology["hosts"],
        "movers": topology["movers"],
        "secrets": secrets,
    }
    if verify is not None:
        told["task"] = {"kind": Kind.VERIFY.value, **verify.as_dict()}
    with _naming_state_dir(options):
        return worker_process.start_worker([sys.executable, topology["engine"]], told)


def _resolved(options: Options) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return topology and secrets, which only the action plugin can know."""
    if options["topology"] is None or options["secrets"] is None:
        raise RequestError(
            "the module was run without its action plugin",
            hint="run it as a task of a playbook",
            reason="topology_missing",
        )
    return options["topology"], options["secrets"]


def _url(options: Options) -> str:
    return options["catalog_url"] or sqlite_url(StateFolder(options["state_dir"]).catalog)


def _make_state_dir(path: str) -> None:
    try:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(f"{path} cannot be made: {error.strerror}") from error


@contextmanager
def _naming_state_dir(options: Options) -> Iterator[None]:
    """Name the option where a file of the state folder is refused: its path is nothing that the user chose."""
    try:
        yield
    except EngineError as error:
        if not error.message.startswith(f"{options['state_dir']}/"):
            raise
        raise unusable(error.message) from error
