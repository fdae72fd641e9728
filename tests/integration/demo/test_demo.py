# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo itself, as ``make demo`` runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.demo import guardian

DEMO = [sys.executable, "-m", "ansible_collections.opendr.hyperv.tests.demo"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has begun, with its folder below the test's."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        yield process
        process.kill()
    assert guardian.belonging(str(tmp_path)) == set()
    assert list(tmp_path.iterdir()) == []


def output(demo: subprocess.Popen[str]) -> Iterator[str]:
    assert demo.stdout is not None
    yield from demo.stdout


@pytest.mark.timeout(400)
@pytest.mark.needs("qemu-img", "mke2fs", "debugfs", "e2fsck")
def test_demo_proves_four_sessions(demo: subprocess.Popen[str]) -> None:
    text = "".join(output(demo))
    assert demo.wait() == 0, text
    assert text.count("equals the source of its moment") == 6  # each session's, and the two that are left
    assert "2 restore points are left, 2 were asked for" in text
    assert " % of " in text
    assert [f"    {number}  " in text for number in range(1, 6)] == [True] * 4 + [False]


@pytest.mark.timeout(200)
def test_control_c_in_the_middle_of_a_session_leaves_nothing(demo: subprocess.Popen[str]) -> None:
    lines = output(demo)
    assert any(" % of " in line for line in lines)
    os.killpg(demo.pid, signal.SIGINT)  # a terminal tells everybody in front of it
    assert "interrupted" in "".join(lines)
    assert demo.wait() == 130
