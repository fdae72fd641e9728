# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: the tree, needs of the machine, and skips that count as failures where they must.

A test states what it needs of the machine and is skipped, with the reason, where that is missing::

    @pytest.mark.needs("qemu-img", "e2fsck")    # programs
    @pytest.mark.root                           # the rights of root
    @pytest.mark.wine                           # OPENDR_WPYTHON, CPython for Windows under Wine

With ``OPENDR_NO_SKIPS=1``, as in ``.ci/run``, a run with a skipped test fails and names it. Property tests repeat the
same examples in each run, so that a change is judged by what it changes; ``make soak`` sets
``OPENDR_HYPOTHESIS=soak`` for new and many more ones.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]
# Debian keeps e2fsck and mke2fs where an ordinary user has no PATH to, and the PostgreSQL server where nobody has.
_FOLDERS = ["/usr/sbin", "/sbin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"))]
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS])
# Processes that a test starts find the collection too.
os.environ["PYTHONPATH"] = str(ROOT / ".build" / "tree")

# No deadline: this machine may be busy. A lost or hung example is caught by the time limit of the test.
hypothesis.settings.register_profile("test", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=5000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("OPENDR_HYPOTHESIS", "test"))

_skips = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_skips] = {}
    config.pluginmanager.register(_SkipCounter(config), "opendr-skips")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = _missing(item)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
    items.sort(key=_timeout, reverse=True)  # the longest first, so that nobody waits for one of them at the end


def _timeout(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark and mark.args else 0.0


def _missing(item: pytest.Item) -> str:
    programs = [name for mark in item.iter_markers("needs") for name in mark.args if not shutil.which(name)]
    if programs:
        return f"not installed: {', '.join(programs)} (see tools/system_packages.sh)"
    if item.get_closest_marker("root") and getattr(os, "geteuid", lambda: 0)() != 0:
        return "needs root"
    if item.get_closest_marker("wine") and not os.environ.get("OPENDR_WPYTHON"):
        return "OPENDR_WPYTHON names no program (see CONTRIBUTING.md)"
    return ""


class _SkipCounter:
    """Collects skips in the main process, from the workers of pytest-xdist too."""

    def __init__(self, config: pytest.Config) -> None:
        self._skips = config.stash[_skips]
        self._forbidden = os.environ.get("OPENDR_NO_SKIPS") == "1"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._count(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._count(report)

    def _count(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self._skips[report.nodeid] = reason.removeprefix("Skipped: ")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> object:
        # Before the terminal reporter, which prints the summary with the exit status it is given.
        if self._skips and self._forbidden and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return (yield)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        _print_figures(terminalreporter)
        if not self._skips:
            return
        verdict = "a skip is a failure in this run" if self._forbidden else "these tests could not run here"
        terminalreporter.section(f"{len(self._skips)} skipped: {verdict}", red=self._forbidden, bold=True)
        for name, reason in sorted(self._skips.items()):
            terminalreporter.line(f"SKIPPED {name}: {reason}")


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say how much a test did: its figures stand below the results of the run, whether it passed or not."""

    def say(text: str) -> None:
        request.node.user_properties.append(("figures", text))

    return say


def _print_figures(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        each for listed in terminalreporter.stats.values() for each in listed if hasattr(each, "user_properties")
    ]
    figures = {(each.nodeid, text) for each in reports for name, text in each.user_properties if name == "figures"}
    if figures:
        terminalreporter.section("figures")
    for nodeid, text in sorted(figures):
        terminalreporter.line(f"{nodeid.rpartition('::')[2]}: {text}")
