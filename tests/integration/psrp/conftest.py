# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab server over TLS in this process, and the real adapter against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import (
    HostConnectionSettings,
    PsrpHost,
)
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials, LabAuthority
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

from .small_host import SmallHost, StoppableClock

PASSWORD = "S3cret!pw"
Connect = Callable[..., PsrpHost]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LabAuthority:
    return LabAuthority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def server_files(authority: LabAuthority) -> Credentials:
    return authority.issue("hv-a", role="hyperv")


@pytest.fixture(scope="session")
def client_files(authority: LabAuthority) -> Credentials:
    return authority.issue("client", role="manager", user="repl@localhost")


@pytest.fixture(scope="session")
def stranger_files(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    """A client certificate, and the file of an authority, that the host has nothing to do with."""
    return LabAuthority(tmp_path_factory.mktemp("stranger")).issue("client", role="manager", user="repl@localhost")


@pytest.fixture
def small_host() -> SmallHost:
    return SmallHost()


@pytest.fixture
def server(small_host: SmallHost, server_files: Credentials) -> Iterator[WsmanServer]:
    with WsmanServer(small_host, files=server_files, users={"repl": PASSWORD, "other": PASSWORD}) as running:
        yield running
        small_host.go_on.set()


@pytest.fixture
def clock() -> StoppableClock:
    return StoppableClock()


@pytest.fixture
def settings(server: WsmanServer, server_files: Credentials) -> Callable[..., HostConnectionSettings]:
    """Build the settings of a good connection, changed by keyword."""

    def build(**changes: object) -> HostConnectionSettings:
        values: dict[str, object] = {
            "address": "localhost",
            "port": server.port,
            "user": "repl",
            "auth": "basic",
            "ca_cert": str(server_files.ca),
            **changes,
        }
        return HostConnectionSettings.from_topology("hv-a", values, password=PASSWORD)

    return build


@pytest.fixture
def connect(settings: Callable[..., HostConnectionSettings], clock: StoppableClock) -> Iterator[Connect]:
    hosts: list[PsrpHost] = []

    def build(**changes: object) -> PsrpHost:
        hosts.append(PsrpHost(settings(**changes), clock=clock))
        return hosts[-1]

    yield build
    for host in hosts:
        host.close()


@pytest.fixture
def host(connect: Connect) -> PsrpHost:
    return connect()


def certificate_settings(files: Credentials) -> dict[str, object]:
    """Return what changes for a connection by client certificate."""
    return {
        "auth": "certificate",
        "certificate_pem": str(files.certificate),
        "certificate_key_pem": str(files.key),
    }


def junk_file(folder: Path) -> str:
    path = folder / "junk.pem"
    path.write_text("no certificate")
    return str(path)
