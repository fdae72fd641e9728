# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords are nowhere but in the inventory and in the memory of the worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.integration.ansible.connect_proxy import ConnectProxy
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import JOB_MODULE, Control
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import count_down, make_job, slow_control
from ansible_collections.opendr.hyperv.tests.lab.site import PASSWORD, ProcessSite

FILE_MAX = 64 * 1024 * 1024
OF_THE_PROXY, OF_THE_CATALOG = "proxy-hush-hush", "catalog-hush-hush"
SECRETS = (PASSWORD.encode(), OF_THE_PROXY.encode(), OF_THE_CATALOG.encode())


def processes_that_show_secrets() -> list[str]:
    """Return processes with a secret in arguments or environment; the lab's hosts are told their password so."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            arguments = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"tests.lab.hyperv" not in arguments and holds_a_secret(arguments + environment):
            found.append(f"{process.name}: {arguments.decode(errors='replace')}")
    return found


def files_that_hold_secrets(folders: list[Path], *, but: set[Path]) -> list[Path]:
    return [path for path in files_below(folders) if path not in but and holds_a_secret(readable(path))]


def holds_a_secret(data: bytes) -> bool:
    return any(secret in data for secret in SECRETS)


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


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy(user="opendr", password=OF_THE_PROXY) as running:
        yield running


@pytest.mark.timeout(300)
def test_passwords_are_seen_nowhere_while_a_session_runs(
    site: ProcessSite, tmp_path: Path, proxy: ConnectProxy, pipelining: bool
) -> None:
    job = make_job(site, tmp_path / "state")
    catalog = f"postgresql://opendr:{OF_THE_CATALOG}@127.0.0.1:1/opendr"  # not there: errors must not show it either
    source = {"ansible_psrp_proxy": f"http://opendr:{OF_THE_PROXY}@127.0.0.1:{proxy.port}"}
    seen: list[object] = []
    with slow_control(site, tmp_path, source=source) as slow:
        slow.control.pipelining = pipelining
        # Where Ansible, its modules and the worker put files: their folders are all in here, see Control.
        folders = [tmp_path, site.folder / "state", site.folder / "movers"]
        play = [{JOB_MODULE: {**job.options, "catalog_url": "{{ lookup('file', '%s') }}" % (tmp_path / "url")}}]
        (tmp_path / "url").write_text(catalog)
        told = {slow.control.inventory, tmp_path / "url"}

        def look() -> None:
            seen.extend(processes_that_show_secrets())
            seen.extend(files_that_hold_secrets(folders, but=told))
            seen.append(job.status(job.newest_session())["state"])
            slow.open_up()

        second_progress = count_down(2, lambda line: " % of " in line, look)
        outcome = slow.control.run(play, arguments="-vvvv", on_line=second_progress)
    assert seen == ["running"]
    assert outcome.result["session"]["state"] == "done"
    assert proxy.accepted > 0
    assert any("not stored" in warning for warning in outcome.result["warnings"])
    assert not holds_a_secret(outcome.text.encode() + repr(outcome.results).encode())
    assert ("AnsiballZ_hyperv_replica_job.py" in outcome.text) is not pipelining
    # And afterwards: logs, catalog, status, artifacts of the runner.
    assert files_that_hold_secrets(folders, but=told) == []


def test_search_finds_what_it_looks_for(control: Control, tmp_path: Path) -> None:
    assert files_that_hold_secrets([tmp_path], but=set()) == [control.inventory]
