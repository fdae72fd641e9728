# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to stop, left in the folder of a session by any number of callers."""

from __future__ import annotations

import itertools
import threading
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files, stop_files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.session_files import SessionFiles
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder, held
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.stop_files import (
    ask_to_stop,
    find_request,
    newest_status,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import SystemClock
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.stops import Stop, StopRequest

SESSION = UUID(int=7)


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(str(tmp_path))
    made.make()
    Path(made.session(SESSION)).mkdir()
    return made


def begin(folder: StateFolder) -> None:
    files = SessionFiles(folder, session_id=SESSION, job="web", manager="m", machines=["web"], clock=SystemClock())
    files.tick()
    files.close()


@pytest.mark.parametrize("order", list(itertools.permutations(Stop)))
def test_soonest_request_counts_in_whatever_order_they_come(folder: StateFolder, order: tuple[Stop, ...]) -> None:
    assert find_request(folder, SESSION) is None
    for number, how in enumerate(order):
        ask_to_stop(folder, str(SESSION), request=StopRequest(how, f"caller {number}", float(number)))
    found = find_request(folder, SESSION)
    assert found == StopRequest(Stop.NOW, f"caller {order.index(Stop.NOW)}", float(order.index(Stop.NOW)))


def test_request_counts_whatever_is_in_its_file(folder: StateFolder) -> None:
    Path(folder.session(SESSION, "stop-after_disk.json")).write_text("{")
    found = find_request(folder, SESSION)
    assert found == StopRequest(Stop.AFTER_DISK, "somebody", 0.0)


def test_folder_that_fails_asks_for_nothing(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> bool:
        raise StateError(f"{path}: Input/output error", reason="storage_failed")

    ask_to_stop(folder, str(SESSION), request=StopRequest(Stop.NOW, "caller", 1.0))
    with monkeypatch.context() as failing:
        failing.setattr(files, "exists", fail)
        assert find_request(folder, SESSION) is None
    assert find_request(folder, SESSION) is not None


def test_job_without_a_session_has_no_status(folder: StateFolder) -> None:
    assert newest_status(folder, "web") is None


def test_session_that_is_about_to_begin_is_waited_for(folder: StateFolder) -> None:
    with ExitStack() as worker:
        worker.enter_context(held(folder.session(SESSION, "alive")))
        folder.note_session("web", SESSION)
        timer = threading.Timer(0.2, begin, [folder])
        timer.start()
        found = newest_status(folder, "web")
        timer.join()
    assert found is not None
    assert (found["state"], found["alive"]) == ("running", True)


def test_session_that_never_begins_is_waited_for_only_so_long(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_files, "BEGIN_SECONDS", 0.2)
    folder.note_session("web", SESSION)
    assert newest_status(folder, "web") is None  # its worker is dead
    with held(folder.session(SESSION, "alive")):
        assert newest_status(folder, "web") is None
