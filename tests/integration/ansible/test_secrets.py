# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords are nowhere but in the inventory and in the memory of the worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.integration.ansible.control import JOB_MODULE, Control
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import count_down, make_job, slow_control
from ansible_collections.opendr.hyperv.tests.lab.site import PASSWORD, ProcessSite

FILE_MAX = 64 * 1024 * 1024
SECRET = PASSWORD.encode()


def processes_that_show(secret: bytes) -> list[str]:
    """Return processes with the secret in arguments or environment; the lab's hosts are told their password so."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            arguments = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"tests.lab.hyperv" not in arguments and secret in arguments + environment:
            found.append(f"{process.name}: {arguments.decode(errors='replace')}")
    return found


def files_that_hold(secret: bytes, folders: list[Path], *, but: set[Path]) -> list[Path]:
    return [path for path in files_below(folders) if path not in but and secret in readable(path)]


def files_below(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path


def readable(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.stat().st_size <= FILE_MAX else b""
    except OSError:  # it is gone by now
        return b""


@pytest.fixture(params=[True, False], ids=["pipelining", "files"])
def pipelining(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.timeout(300)
def test_password_is_seen_nowhere_while_a_session_runs(site: ProcessSite, tmp_path: Path, pipelining: bool) -> None:
    job = make_job(site, tmp_path / "state")
    seen: list[object] = []
    with slow_control(site, tmp_path) as slow:
        slow.control.pipelining = pipelining
        # Where Ansible, its modules and the worker put files: their folders are all in here, see Control.
        folders = [tmp_path, site.folder / "state", site.folder / "movers"]
        inventory = {slow.control.inventory}

        def look() -> None:
            seen.extend(processes_that_show(SECRET))
            seen.extend(files_that_hold(SECRET, folders, but=inventory))
            seen.append(job.status(job.newest_session())["state"])
            slow.open_up()

        outcome = slow.control.run(
            [{JOB_MODULE: job.options}], arguments="-vvvv", on_line=count_down(2, lambda line: " % of " in line, look)
        )
    assert seen == ["running"]
    assert outcome.result["session"]["state"] == "done"
    assert PASSWORD not in outcome.text
    assert ("AnsiballZ_hyperv_replica_job.py" in outcome.text) is not pipelining
    # And afterwards: logs, catalog, status, artifacts of the runner.
    assert files_that_hold(SECRET, folders, but=inventory) == []


def test_search_finds_what_it_looks_for(control: Control, tmp_path: Path) -> None:
    assert files_that_hold(SECRET, [tmp_path], but=set()) == [control.inventory]
