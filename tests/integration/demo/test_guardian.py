# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo leaves nothing behind, however it ends. A small program stands for it, with the same guardian."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.demo import guardian

# It starts one process in its group, and one that is detached as a session worker is; then it waits, or ends.
PROGRAM = """
import subprocess, sys
from ansible_collections.opendr.hyperv.tests.demo.__main__ import workplace

with workplace() as folder:
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    children = [subprocess.Popen(sleeper), subprocess.Popen(sleeper, start_new_session=True)]
    print(folder, *(child.pid for child in children), flush=True)
    if "{how}" == "error":
        raise RuntimeError("something went wrong")
    sys.stdin.read()
"""


class Demo:
    def __init__(self, how: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(how=how)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        folder, *pids = self.process.stdout.readline().split()  # type: ignore[union-attr]
        self.folder = Path(folder)
        self.pids = [int(pid) for pid in pids]

    def is_gone(self) -> bool:
        return not self.folder.exists() and not any(alive(pid) for pid in self.pids)


def alive(pid: int) -> bool:
    """A zombie is dead: its parent just has not asked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(demo: Demo, *, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not demo.is_gone():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def demo(request: pytest.FixtureRequest) -> Iterator[Demo]:
    started = Demo(getattr(request, "param", "waits"))
    yield started
    started.process.kill()
    started.process.communicate()
    assert wait_until_gone(started)


def test_end_stops_everything_and_removes_the_folder(demo: Demo) -> None:
    assert all(alive(pid) for pid in demo.pids)
    demo.process.communicate("")
    assert demo.process.returncode == 0
    assert demo.is_gone()


@pytest.mark.parametrize("demo", ["error"], indirect=True)
def test_error_stops_everything(demo: Demo) -> None:
    demo.process.communicate()
    assert demo.process.returncode == 1
    assert demo.is_gone()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_to_the_whole_group_stops_everything(demo: Demo, number: signal.Signals) -> None:
    os.killpg(demo.process.pid, number)
    demo.process.communicate()
    assert demo.is_gone()


def test_kill_that_cannot_be_caught_stops_everything(demo: Demo) -> None:
    demo.process.kill()
    demo.process.wait()
    assert wait_until_gone(demo)


def test_process_that_ignores_the_request_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian, "GRACE_SECONDS", 0.2)
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
    with subprocess.Popen(
        [sys.executable, "-c", stubborn, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        guardian.stop(str(tmp_path))
        assert process.wait() == -signal.SIGKILL


def test_other_processes_are_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        assert guardian.belonging(str(tmp_path)) == set()
        guardian.stop(str(tmp_path))
        assert process.poll() is None
