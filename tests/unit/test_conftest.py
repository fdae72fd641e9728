# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A skipped test fails a run that allows no skips, however it was skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SAMPLES = {
    "skip in the body": "def test_it():\n    pytest.skip('no such luck')",
    "mark": "@pytest.mark.skip(reason='no such luck')\ndef test_it(): pass",
    "fixture": "@pytest.fixture\ndef thing():\n    pytest.skip('no such luck')\ndef test_it(thing): pass",
    "module": "pytest.skip('no such luck', allow_module_level=True)",
    "import": "pytest.importorskip('no_such_module', reason='no such luck')",
    "program": "@pytest.mark.needs('no-such-luck')\ndef test_it(): pass",
}


def run(folder: Path, source: str, *options: str, no_skips: bool) -> subprocess.CompletedProcess[str]:
    (folder / "tests").mkdir()
    shutil.copy(CONFTEST, folder / "tests")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = needs\n", encoding="utf-8")
    (folder / "tests" / "test_good.py").write_text("def test_good(): pass\n", encoding="utf-8")
    (folder / "tests" / "test_sample.py").write_text(f"import pytest\n{source}\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "OPENDR"))}
    environment["OPENDR_NO_SKIPS"] = "1" if no_skips else ""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "tests"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("source", SAMPLES.values(), ids=SAMPLES)
def test_skip_fails_the_run_and_is_named(tmp_path, source):
    done = run(tmp_path, source, no_skips=True)
    assert done.returncode == 1, done.stdout
    assert "no such luck" in done.stdout.replace("-", " ")
    assert "skipped" in done.stdout.splitlines()[-1]


def test_skip_in_a_worker_process_fails_the_run(tmp_path):
    done = run(tmp_path, SAMPLES["mark"], "-n1", no_skips=True)
    assert done.returncode == 1, done.stdout
    assert "SKIPPED tests/test_sample.py::test_it: no such luck" in done.stdout


def test_skip_is_only_reported_elsewhere(tmp_path):
    done = run(tmp_path, SAMPLES["mark"], no_skips=False)
    assert done.returncode == 0, done.stdout
    assert "SKIPPED tests/test_sample.py::test_it: no such luck" in done.stdout


def test_run_without_skips_passes_and_expected_failure_is_no_skip(tmp_path):
    done = run(tmp_path, "@pytest.mark.xfail\ndef test_it(): assert False", no_skips=True)
    assert done.returncode == 0, done.stdout
