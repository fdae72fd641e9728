# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two starts of one job, one a moment after the other: whose session it is, is never guessed from an old one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine import worker
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.session_files import SessionFiles
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder, held
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import SystemClock
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import running_session
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Kind, Outcome, SessionReport

OLD, OTHER, MINE = (UUID(int=number) for number in (1, 2, 3))


class Starts:
    """Starts of job ``web``, which has a session that ended long ago; ``take`` is what each worker begins with."""

    def __init__(self, path: str) -> None:
        self.folder = StateFolder(path)
        self.kind = Kind.REPLICATE
        self.folder.make()
        with self.session(OLD) as files:
            files.finish(Outcome.DONE, report=SessionReport(OLD, "web", 1.0, 2.0))

    @contextmanager
    def session(self, session_id: UUID) -> Iterator[SessionFiles]:
        """Be the newest session of the job, alive."""
        os.makedirs(self.folder.session(session_id))
        with held(self.folder.session(session_id, "alive")):
            self.folder.note_session("web", session_id)
            files = SessionFiles(
                self.folder, session_id=session_id, job="web", manager="m", machines=["a"], clock=SystemClock()
            )
            yield files
            files.close()

    def take(self) -> str | None:
        topology: Any = SimpleNamespace(job=SimpleNamespace(name="web"), session_id=MINE, kind=self.kind)
        os.makedirs(self.folder.session(MINE), exist_ok=True)
        with ExitStack() as stack:
            return worker._take_job(stack, self.folder, topology=topology)


@pytest.fixture
def starts(tmp_path: Path) -> Starts:
    return Starts(str(tmp_path / "state"))


@pytest.fixture
def later(starts: Starts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Future[str | None]]]:
    """Return a function that lets ``take`` run beside the test, and comes back when it has looked for a session."""
    looked = threading.Event()

    def look(state_dir: str, job: str) -> str | None:
        try:
            return running_session(state_dir, job)
        finally:
            looked.set()

    monkeypatch.setattr(worker, "running_session", look)
    with ThreadPoolExecutor(1) as pool:

        def start() -> Future[str | None]:
            future = pool.submit(starts.take)
            assert looked.wait(30)
            return future

        yield start


def test_start_that_has_not_noted_its_session_yet_is_waited_for(starts, later):
    with starts.folder.hold("job-web"):
        mine = later()
        assert not mine.done()
        with starts.session(OTHER) as files:
            files.tick()
            assert mine.result(30) == str(OTHER)


def test_session_without_a_status_is_not_attached_to(starts, later):
    with starts.folder.hold("job-web"), starts.session(OTHER) as files:
        mine = later()
        assert not mine.done()
        files.tick()
        assert mine.result(30) == str(OTHER)


def test_start_that_is_refused_leaves_the_job_to_the_next(starts, later):
    with starts.folder.hold("job-web"), starts.session(OTHER):
        mine = later()
    assert mine.result(30) is None
    assert starts.folder.newest_session("web") == str(MINE)


def test_session_that_has_ended_lets_go_of_the_job_first(starts, later):
    with starts.folder.hold("job-web"), starts.session(OTHER) as files:
        files.finish(Outcome.DONE, report=SessionReport(OTHER, "web", 3.0, 4.0))
        mine = later()
        assert not mine.done()
    assert mine.result(30) is None


def test_job_that_nobody_runs_but_somebody_holds_is_an_error_with_a_way_out(starts, monkeypatch):
    monkeypatch.setattr(worker, "ATTACH_SECONDS", 0.1)
    with starts.folder.hold("job-web"), pytest.raises(StateError) as caught:
        starts.take()
    assert (caught.value.reason, caught.value.current) == ("job_locked", "processing")
    assert f"{starts.folder.path}/locks" in caught.value.hint
    assert starts.folder.newest_session("web") == str(OLD)


def test_session_of_another_kind_is_not_attached_to(starts):
    starts.kind = Kind.VERIFY
    with starts.session(OTHER) as files, starts.folder.hold("job-web"):
        files.tick()
        with pytest.raises(StateError, match="is to replicate, not to verify") as caught:
            starts.take()
    assert caught.value.reason == "session_running"
