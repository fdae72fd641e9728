# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker removes from the state folder at its end, and what it leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import tidying
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder, held
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tidying import DAY, engine_in_use, tidy

NOW = 1_800_000_000.0


class State:
    """A state folder with sessions and engines of any age; a session of number n has the UUID n."""

    def __init__(self, path: Path) -> None:
        self.folder = StateFolder(str(path))
        self.folder.make()
        self.engines = path / "engine"
        self.engines.mkdir()

    def session(self, number: int, *, days: float, job: str | None = "web") -> None:
        session_id = UUID(int=number)
        path = Path(self.folder.session(session_id))
        path.mkdir()
        (path / "alive").touch()
        if job is not None:
            (path / "status.json").write_text(json.dumps({"job": job, "state": "done"}))
            self.folder.note_session(job, session_id)
        os.utime(path, (NOW - days * DAY,) * 2)

    def sessions(self) -> list[int]:
        return sorted(UUID(path.name).int for path in Path(self.folder.session_root).iterdir())

    def engine(self, name: str, *, days: float) -> str:
        path = self.engines / name
        path.touch()
        os.utime(path, (NOW - days * DAY,) * 2)
        return str(path)

    def tidy(self) -> None:
        tidy(self.folder, now=NOW)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


def test_newest_sessions_of_each_job_stay(state: State) -> None:
    for number in range(1, 31):
        state.session(number, days=31 - number)
    state.session(100, days=50, job="other/job")
    state.tidy()
    assert state.sessions() == [*range(11, 31), 100]
    assert state.folder.newest_session("web") == str(UUID(int=30))


def test_sessions_that_never_began_count_among_themselves(state: State) -> None:
    for number in range(1, 23):
        state.session(number, days=30 - number, job=None)
    state.session(100, days=40)
    state.tidy()
    assert state.sessions() == [*range(3, 23), 100]


def test_job_that_has_not_run_for_months_is_forgotten(state: State) -> None:
    state.session(1, days=91)
    state.session(2, days=92, job="other")
    state.session(3, days=89, job="other")
    state.tidy()
    assert state.sessions() == [3]
    assert [path.name for path in Path(state.folder.path, "jobs").iterdir()] == ["other.json"]


def test_live_session_and_one_that_is_being_started_stay(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidying, "SESSIONS_KEPT", 0)
    state.session(1, days=100)
    state.session(2, days=0.001, job=None)
    state.session(3, days=1)
    with held(state.folder.session(UUID(int=1), "alive")):
        state.tidy()
    assert state.sessions() == [1, 2]


def test_what_is_no_session_is_left_alone(state: State) -> None:
    (Path(state.folder.session_root) / "notes").mkdir()
    state.engine("readme", days=99)
    state.tidy()
    assert os.listdir(state.folder.session_root) == ["notes"]
    assert os.listdir(state.engines) == ["readme"]


def test_engines_that_nobody_used_for_a_month_go_except_those_that_run(state: State) -> None:
    state.engine("new.pyz", days=29)
    state.engine("old.pyz", days=31)
    runs = state.engine("runs.pyz", days=31)
    with engine_in_use(runs):
        os.utime(runs, (NOW - 31 * DAY,) * 2)
        state.tidy()
    assert sorted(os.listdir(state.engines)) == ["new.pyz", "runs.pyz"]


def test_using_an_engine_makes_it_young_again(state: State) -> None:
    path = state.engine("old.pyz", days=1)
    os.utime(path, (0, 0))
    with engine_in_use(path):
        assert os.stat(path).st_mtime > 0
    with engine_in_use("/usr/lib/python/cli.py"):
        pass
