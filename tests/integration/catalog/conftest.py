# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog on both databases: SQLite in a file, and a real PostgreSQL server of the test's own."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import (
    SqlCatalog,
    open_catalog,
    sqlite_url,
)

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
PR_SET_PDEATHSIG = 1  # of Linux
SERVER: dict[str, Any] = {"user": "postgres", "group": "postgres"} if AS_ROOT else {}  # it refuses to run as root


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Run a server that listens on a socket in a folder of its own and ends with this process; give the folder."""
    folder = tempfile.mkdtemp(prefix="opendr-pg-")
    if AS_ROOT:
        shutil.chown(folder, "postgres", "postgres")
    data = f"{folder}/data"
    _call("initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync")
    command = ["postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            cwd="/",
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - it takes no lock
            **SERVER,
        )
    try:
        _wait_until_ready(folder, server)
        yield folder
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(60)
        shutil.rmtree(folder)


def _end_with_parent() -> None:
    """Have the kernel stop the server when the test's process is gone, even when that was killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


def _wait_until_ready(folder: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    ask = ["pg_isready", "--quiet", "--host", folder, "--username", "postgres"]
    while subprocess.run(ask, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {Path(folder, 'log').read_text()}")
        time.sleep(0.05)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=60, **SERVER)


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a function that gives the URL of an empty database; which kind, a test says by parametrizing it."""

    def make() -> str:
        number = len(made)
        made.append(number)
        if request.param == "sqlite":
            return sqlite_url(str(tmp_path / f"catalog-{number}.sqlite"))
        folder = request.getfixturevalue("postgresql")
        name = f"test_{os.getpid()}_{abs(hash(request.node.nodeid))}_{number}"
        _call("createdb", "--host", folder, "--username", "postgres", name)
        return f"postgresql://postgres@/{name}?host={folder}"

    made: list[int] = []
    return make


@pytest.fixture
def catalog(new_database: Callable[[], str]) -> Iterator[SqlCatalog]:
    opened = open_catalog(new_database())
    yield opened
    opened.close()
