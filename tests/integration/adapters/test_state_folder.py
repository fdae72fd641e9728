# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state folder of a manager: locks that end with their process, ids, and what followers read."""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.session_files import SessionFiles
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import (
    StateFolder,
    held,
    plain_name,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import (
    StoppableClock,
    ThreadExecutor,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import (
    read_events,
    read_status,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    Cancelled,
    FormatError,
    RequestError,
    StateError,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import (
    Amount,
    DiskStatus,
    Event,
    EventKind,
    MachineStatus,
    Phase,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import MachineReport, Outcome, SessionReport

SESSION = UUID(int=7)
HOLDER = """
import sys
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
with StateFolder(sys.argv[1]).hold("vm-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    made = StateFolder(str(tmp_path / "state"))
    made.make()
    return made


class Clock(StoppableClock):
    """A clock that a test moves."""

    time = 1000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


@pytest.fixture
def session(folder, tmp_path):
    (tmp_path / "state" / "sessions" / str(SESSION)).mkdir()
    clock = Clock()
    files = SessionFiles(folder, session_id=SESSION, job="web", manager="m", machines=["a", "b"], clock=clock)
    files.clock = clock
    yield files
    files.close()


def status_of(folder):
    status = read_status(folder.path, str(SESSION))
    assert status is not None
    return status


def test_lock_excludes_and_ends_with_its_process(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StateError) as caught, folder.hold("vm-1"):
        pass
    assert caught.value.reason == "locked"
    with folder.hold("vm-2"):
        pass
    process.kill()
    process.communicate()
    with folder.hold("vm-1"):
        pass


def test_lock_excludes_within_a_process_too(folder):
    with folder.hold("vm-1"), pytest.raises(StateError), folder.hold("vm-1"):
        pass


def test_identity_is_made_once_whoever_asks_first(folder):
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _number: StateFolder(folder.path).manager_id(), range(16)))
    assert len(ids) == 1


def test_damaged_identity_is_an_error(folder, tmp_path):
    (tmp_path / "state" / "manager.id").write_text("nobody")
    with pytest.raises(FormatError, match="holds no UUID"):
        folder.manager_id()


def test_newest_session_of_a_job(folder):
    assert folder.newest_session("web") is None
    folder.note_session("web", SESSION)
    folder.note_session("a/b", UUID(int=8))
    assert folder.newest_session("web") == str(SESSION)
    assert folder.newest_session("a/b") == str(UUID(int=8))


def test_names_become_file_names():
    assert plain_name("web-1.x_y") == "web-1.x_y"
    odd = [plain_name(name) for name in ("../x", "", "a b", ".hidden", "x" * 65, "~y")]
    assert len(set(odd)) == len(odd)
    assert all("/" not in name and name.startswith("~") for name in odd)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError) as caught:
        StateFolder(str(tmp_path / "file" / "state")).make()
    assert caught.value.reason == "state_dir_unusable"


def test_id_of_a_session_cannot_leave_the_folder(folder):
    with pytest.raises(RequestError):
        folder.session("../../etc")


def test_status_follows_machines_and_ends_with_the_report(folder, session):
    disk = DiskStatus("SCSI 0:0", UUID(int=3), "changed", "tracked", Outcome.RUNNING, Amount(100, 40, 10, 5))
    session.publish(MachineStatus("a", Outcome.RUNNING, Phase.TRANSFER, disks=(disk,)))
    session.tick()
    status = status_of(folder)
    assert (status["state"], status["percent"], status["bytes_processed"]) == ("running", 20, 40)
    assert status["alive"] is False
    assert [machine["state"] for machine in status["machines"]] == ["running", "waiting"]
    report = SessionReport(SESSION, "web", 1000.0, 1001.0, (MachineReport("a", Outcome.DONE),))
    session.finish(Outcome.DONE, report=report)
    status = status_of(folder)
    assert (status["state"], status["ended_at"], status["result"]) == ("done", 1000.0, report.as_dict())


def test_percent_never_falls(folder, session):
    done = MachineStatus("a", Outcome.DONE)
    for machine in (done, MachineStatus("a", Outcome.RUNNING)):
        session.publish(machine)
        session.tick()
    assert status_of(folder)["percent"] == 50


def test_unchanged_status_is_not_written_again(folder, session):
    session.tick()
    before = status_of(folder)
    session.clock.time += 10
    session.tick()
    assert status_of(folder) == before


def test_silence_of_a_minute_is_broken_by_a_heartbeat(folder, session):
    session.say(Event(EventKind.PHASE, "a: begins", "a", phase=Phase.CHECKPOINT))
    session.publish(MachineStatus("a", Outcome.RUNNING, Phase.CHECKPOINT))
    for _second in range(130):
        session.clock.time += 1
        session.tick()
    events = read_events(folder.path, str(SESSION))
    assert [event["kind"] for event in events] == ["phase", "heartbeat", "heartbeat"]
    assert [event["sequence"] for event in events] == [1, 2, 3]
    assert events[1]["text"] == "a: checkpoint"
    assert all(later["time"] - earlier["time"] < 60 for earlier, later in itertools.pairwise(events))


def test_events_are_read_from_a_number_on_and_never_half(folder, session, tmp_path):
    for number in range(5):
        session.say(Event(EventKind.WARNING, f"event {number}"))
    path = tmp_path / "state" / "sessions" / str(SESSION) / "events.jsonl"
    with path.open("a") as file:
        file.write('{"sequence": 6, "te')
    assert [event["text"] for event in read_events(folder.path, str(SESSION), after=3)] == ["event 3", "event 4"]
    assert read_events(folder.path, str(uuid4())) == []


@pytest.fixture
def full_volume():
    """Let no file of this process grow beyond 700 bytes: a status fits no more, a few events do."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, before[1]))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_volume_loses_lines_whole_and_the_status_follows_when_there_is_room(folder, session, full_volume, capfd):
    session.tick()
    for number in range(9):
        session.say(Event(EventKind.WARNING, f"event {number}"))
    session.tick()
    assert capfd.readouterr().err.count("cannot be written") >= 1
    kept = read_events(folder.path, str(SESSION))
    assert 0 < len(kept) < 9
    full_volume()
    session.say(Event(EventKind.WARNING, "room again"))
    session.tick()
    events = read_events(folder.path, str(SESSION))
    assert [event["sequence"] for event in events] == list(range(1, len(kept) + 2))
    assert (events[-1]["text"], status_of(folder)["sequence"]) == ("room again", len(events))


def test_alive_is_who_holds_the_session(folder, session):
    session.tick()
    with held(folder.session(SESSION, "alive")):
        assert status_of(folder)["alive"] is True
    assert status_of(folder)["alive"] is False


def test_damaged_status_is_an_error(folder, session, tmp_path):
    (tmp_path / "state" / "sessions" / str(SESSION) / "status.json").write_text("{")
    with pytest.raises(FormatError):
        status_of(folder)


def test_stopped_clock_wakes_who_sleeps():
    clock = StoppableClock()
    clock.sleep(0)
    clock.stop()
    with pytest.raises(Cancelled):
        clock.sleep(60)


def test_executor_keeps_its_limit_and_passes_errors_on():
    running, most = [], []

    def task():
        running.append(1)
        most.append(len(running))
        running.pop()

    ThreadExecutor().run([task] * 20, limit=2)
    assert max(most) <= 2
    with pytest.raises(ZeroDivisionError):
        ThreadExecutor().run([lambda: json.dumps(1 / 0)], limit=1)
