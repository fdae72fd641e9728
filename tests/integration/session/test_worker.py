# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a process of its own, with hosts over WSMan and movers over TLS as processes too."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import worker_process
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.stop_files import ask_to_stop
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import (
    latest_session,
    read_status,
    start_worker,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError, RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.stops import Stop, StopRequest
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.manager import COMMAND, Manager, in_phase
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, PASSWORD, SOURCE, TARGET, ProcessSite, disks


class WebManager(Manager):
    """The manager of a site with one machine ``web``."""

    def __init__(self, site: ProcessSite) -> None:
        super().__init__(site)
        self.vm_id = site.source.create_machine("web", folder=f"{FOLDER}\\web", disks=disks(24 * MiB, 8 * MiB))
        site.source.call("Start-VM", vm_id=self.vm_id)
        self.write(1, 0)

    def write(self, fill: int, offset: int, length: int = 256 * KiB) -> None:
        self.site.source.write(self.vm_id, "SCSI 0:0", offset=offset, data=bytes([fill]) * length)

    def hold(self, function: str) -> None:
        """Let the source host hang in a function until its faults are cleared."""
        self.site.source.fault(function, "hang")

    def let_go(self) -> None:
        self.site.source.call("faults.clear")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[WebManager]:
    with ProcessSite(tmp_path) as site:
        yield WebManager(site)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebManager]:
    """A site for tests that leave nothing behind."""
    with ProcessSite(tmp_path_factory.mktemp("refusing")) as site:
        yield WebManager(site)


def test_sessions_run_and_are_told_from_start_to_end(manager):
    started = manager.start()
    session_id = started["session_id"]
    assert started["attached"] is False
    status = manager.wait(session_id)
    assert (status["state"], status["percent"]) == ("done", 100)
    events = manager.events(session_id)
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("phase", "end")
    assert {"phase", "progress", "end"} <= {event["kind"] for event in events}
    assert manager.events(session_id, after=len(events) - 1) == events[-1:]
    manager.write(7, 10 * MiB)
    second = manager.run()
    assert [disk["reason"] for disk in second["result"]["machines"][0]["disks"]] == ["tracked", "tracked"]
    assert latest_session(str(manager.site.state_dir), "web") == second["session_id"]
    manager.site.prove(points=2)


def test_starting_a_job_that_runs_attaches_to_its_session(manager):
    manager.hold("New-HvrCheckpoint")
    first = manager.start()["session_id"]
    manager.wait(first, in_phase("checkpoint"))
    assert manager.start() == {"session_id": first, "attached": True}
    assert manager.status(first)["alive"] is True
    manager.let_go()
    assert manager.wait(first)["state"] == "done"
    manager.wait(first, lambda status: not status["alive"])


def test_secrets_are_nowhere_to_be_read_while_a_session_runs(manager, tmp_path):
    manager.hold("New-HvrCheckpoint")
    session_id = manager.start()["session_id"]
    status = manager.wait(session_id, in_phase("checkpoint"))
    pid = status["pid"]
    seen = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    seen += [path.read_bytes() for path in manager.site.state_dir.rglob("*") if path.is_file()]
    seen += [path.read_bytes() for path in Path("/tmp").glob("opendr*") if path.is_file()]
    assert len(seen) > 5
    assert [data for data in seen if PASSWORD.encode() in data] == []
    manager.let_go()
    manager.wait(session_id)


def test_cancelled_worker_ends_in_good_order(manager):
    manager.run()
    manager.hold("Get-HvrCheckpointDisk")
    session_id = manager.start()["session_id"]
    status = manager.wait(session_id, in_phase("checkpoint"))
    os.kill(status["pid"], signal.SIGTERM)
    manager.wait(session_id, lambda status: status["stop"])
    manager.let_go()
    assert manager.wait(session_id)["state"] == "cancelled"
    assert "asked to stop at once by signal SIGTERM" in [event["text"] for event in manager.events(session_id)]
    assert manager.site.source_leftovers() == []
    assert manager.run()["state"] == "done"
    manager.site.prove(points=2)


def test_request_in_the_session_folder_is_obeyed_and_a_sooner_one_overrules_it(manager):
    folder = StateFolder(str(manager.site.state_dir))
    manager.hold("Get-HvrCheckpointDisk")
    session_id = manager.start()["session_id"]
    manager.wait(session_id, in_phase("checkpoint"))
    for how in (Stop.AFTER_MACHINE, Stop.NOW, Stop.AFTER_DISK):
        ask_to_stop(folder, session_id, request=StopRequest(how, f"caller of {how.value}", 1.0))
        if how is not Stop.AFTER_DISK:
            manager.wait(session_id, lambda status, how=how: status["stop"] and status["stop"]["how"] == how.value)
    manager.let_go()
    status = manager.wait(session_id)
    assert (status["state"], status["stop"]["by"]) == ("cancelled", "caller of now")
    assert "asked to stop at once by caller of now" in status["result"]["machines"][0]["error"]["message"]
    told = [event["text"] for event in manager.events(session_id) if "asked to stop" in event["text"]]
    assert told[:2] == [
        "asked to stop after the machines under way by caller of after_machine",
        "asked to stop at once by caller of now",
    ]
    assert manager.site.source_leftovers() == []


def test_killed_worker_is_seen_and_the_next_one_goes_on(manager):
    manager.hold("Convert-HvrCheckpoint")
    session_id = manager.start()["session_id"]
    status = manager.wait(session_id, in_phase("convert"))
    os.kill(status["pid"], signal.SIGKILL)
    manager.let_go()
    manager.wait(session_id, lambda status: not status["alive"])
    assert manager.status(session_id)["state"] == "running"
    manager.write(9, 4 * MiB)
    again = manager.run()
    assert again["state"] == "done", again
    assert "finishing the restore point" in again["result"]["machines"][0]["warnings"][0]
    manager.site.prove(points=2)


@pytest.mark.parametrize("side", [SOURCE, TARGET])
def test_killed_mover_goes_on_after_it_was_started_again(manager, side):
    manager.run()
    manager.write(5, 12 * MiB)
    manager.hold("Get-HvrChangedRange")
    session_id = manager.start()["session_id"]
    manager.wait(session_id, in_phase("prepare"))
    manager.site.movers[side].kill()
    manager.let_go()
    manager.site.movers[side].start()
    assert manager.wait(session_id)["state"] == "done"
    manager.site.prove(points=2)


def test_host_that_restarts_in_the_middle_is_waited_for(manager):
    manager.hold("Convert-HvrCheckpoint")
    session_id = manager.start()["session_id"]
    manager.wait(session_id, in_phase("convert"))
    host = manager.site.hosts[SOURCE]
    host.kill()
    manager.site.source.close()
    host.start()
    manager.site.source = host.control()
    assert manager.wait(session_id)["state"] == "done"
    assert manager.site.source_leftovers() == []
    manager.site.prove(points=1)


def test_full_disk_on_the_manager_does_not_stop_a_session(manager):
    manager.hold("New-HvrCheckpoint")
    session_id = manager.start()["session_id"]
    status = manager.wait(session_id, in_phase("checkpoint"))
    resource.prlimit(status["pid"], resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    manager.let_go()
    manager.wait(session_id, lambda status: not status["alive"])
    assert manager.site.record().lease is None
    manager.site.prove(points=1)
    assert manager.run()["state"] == "done"
    manager.site.prove(points=2)


def test_wrong_password_is_named_and_a_good_run_follows(refusing):
    status = refusing.run(secrets={"passwords": {SOURCE: "wrong", TARGET: PASSWORD}})
    error = status["result"]["machines"][0]["error"]
    assert (error["code"], error["reason"], error["retryable"]) == ("transport_failed", "access_denied", False)
    assert SOURCE in error["message"]
    assert "ansible_password" in error["hint"]
    assert refusing.run()["state"] == "done"


def test_host_with_a_certificate_of_somebody_else_is_refused(refusing, tmp_path):
    other = LabAuthority(tmp_path / "other", "another CA")
    topology = refusing.site.topology(refusing.site.job())
    topology["hosts"][TARGET]["ca_cert"] = str(other.ca_file)
    status = refusing.wait(start_worker(COMMAND, topology)["session_id"])
    error = status["result"]["machines"][0]["error"]
    assert error["reason"] == "certificate_rejected"
    assert "ansible_psrp_ca_cert" in error["hint"]


def test_host_that_does_not_answer_is_named(refusing):
    topology = refusing.site.topology(refusing.site.job())
    topology["hosts"][SOURCE] |= {"port": 9, "reconnection_retries": 0}
    status = refusing.wait(start_worker(COMMAND, topology)["session_id"])
    error = status["result"]["machines"][0]["error"]
    assert (error["code"], error["reason"]) == ("transport_failed", "unreachable")


def test_mover_with_the_certificate_of_another_is_refused(refusing):
    topology = refusing.site.topology(refusing.site.job())
    topology["movers"][TARGET]["port"] = topology["movers"][SOURCE]["port"]
    status = refusing.wait(start_worker(COMMAND, topology)["session_id"])
    error = status["result"]["machines"][0]["error"]
    assert error["reason"] == "peer_wrong"
    assert refusing.site.source_leftovers() == []


BAD: list[tuple[dict[str, object], str]] = [
    ({"job": {"name": "web"}}, "option_missing"),
    ({"format": 2}, "topology_invalid"),
    ({"colour": "red"}, "topology_invalid"),
    ({"session_id": "1"}, "session_id_invalid"),
    ({"hosts": {}}, "source_host_unknown"),
    ({"movers": {}}, "source_proxies_unknown"),
    ({"catalog_url": "mysql://u:secret@h/d"}, "catalog_url_invalid"),
    ({"manager": {"name": "m", "certificate": "/no", "key": "/no", "ca": "/no"}}, "certificate_unusable"),
    ({"limits": {"patience": 3}}, "topology_invalid"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD, ids=[f"{reason}-{next(iter(c))}" for c, reason in BAD])
def test_topology_that_cannot_work_is_refused_at_once(refusing, changes, reason):
    with pytest.raises(EngineError) as caught:
        refusing.start(**changes)
    assert caught.value.reason == reason
    assert "secret" not in str(caught.value.as_dict())


def test_certificate_of_another_role_is_refused_at_once(refusing):
    host = refusing.site.authority.issue("web-7", role="host")
    manager = {"name": "m", "certificate": str(host.certificate), "key": str(host.key), "ca": str(host.ca)}
    with pytest.raises(RequestError, match="is the certificate of host web-7") as caught:
        refusing.start(manager=manager)
    assert "opendr_manager_certificate" in caught.value.hint


def test_catalog_that_cannot_be_opened_stops_no_session(refusing):
    status = refusing.run(catalog_url="postgresql://opendr:hush-hush@127.0.0.1:1/opendr")
    assert status["state"] == "done"
    first = refusing.events(status["session_id"])[0]
    assert (first["kind"], "no history is kept" in first["text"]) == ("warning", True)
    assert "hush-hush" not in first["text"]


def test_interpreter_that_is_missing_is_named(refusing):
    with pytest.raises(RequestError, match="cannot be started"):
        start_worker(["/no/python"], refusing.site.topology(refusing.site.job()))


def test_worker_that_says_nothing_is_ended_and_reaped_after_a_while(refusing, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_process, "ANSWER_SECONDS", 2.0)
    pid_file = tmp_path / "pid"
    silent = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(EngineError, match="did not start: it said nothing") as caught:
        start_worker([sys.executable, "-c", silent], refusing.site.topology(refusing.site.job()))
    assert caught.value.reason == "worker_failed"
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid_file.read_text()}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_library_that_is_missing_on_the_manager_is_named(refusing, tmp_path, monkeypatch):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "sqlalchemy.py").write_text("raise ImportError('not here')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "none"), os.environ["PYTHONPATH"]]))
    with pytest.raises(EngineError) as caught:
        refusing.start()
    assert (caught.value.code, caught.value.reason) == ("library_missing", "SQLAlchemy")
    assert "pip install SQLAlchemy" in caught.value.hint


def test_unknown_session_has_no_status(tmp_path):
    assert read_status(str(tmp_path), "no id") is None
    assert read_status(str(tmp_path), "00000000-0000-0000-0000-000000000001") is None
    assert latest_session(str(tmp_path), "web") is None
