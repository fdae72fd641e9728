# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, and what the others are told."""

from __future__ import annotations

import datetime
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import (
    HostConnectionSettings,
    PsrpHost,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    EngineError,
    LibraryMissing,
    RequestError,
    TransportError,
)
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials, LabAuthority
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

from .conftest import PASSWORD, Connect, certificate_settings, junk_file
from .small_host import SmallHost, StoppableClock


@pytest.mark.parametrize("auth", ["basic", "negotiate", "ntlm"])
def test_password_opens_the_endpoint(connect: Connect, small_host: SmallHost, auth: str) -> None:
    assert connect(auth=auth).call("Get-HvrHost")[0]["Name"] == "HV-A"
    assert small_host.users == ["repl"]


@pytest.mark.parametrize("auth", ["basic", "negotiate", "ntlm"])
def test_password_may_have_any_letters(
    small_host: SmallHost, server_files: Credentials, clock: StoppableClock, auth: str
) -> None:
    password = "Grüße-пароль-密码"
    with WsmanServer(small_host, files=server_files, users={"repl": password}) as server:
        values = {"address": "localhost", "port": server.port, "user": "repl", "auth": auth}
        values["ca_cert"] = str(server_files.ca)
        host = PsrpHost(HostConnectionSettings.from_topology("hv-a", values, password=password), clock=clock)
        assert host.call("Get-HvrHost")[0]["Name"] == "HV-A"
        host.close()


def test_client_certificate_opens_the_endpoint(
    connect: Connect, small_host: SmallHost, client_files: Credentials
) -> None:
    connect(user="", **certificate_settings(client_files)).call("Get-HvrHost")
    assert small_host.users == ["repl"]


@pytest.mark.parametrize("auth", ["basic", "negotiate", "ntlm"])
def test_wrong_password_is_refused_and_not_worth_a_retry(
    settings: Callable[..., HostConnectionSettings], clock: StoppableClock, auth: str
) -> None:
    good = settings(auth=auth)
    values = {"address": good.address, "port": good.port, "user": "repl", "auth": auth, "ca_cert": good.ca_cert}
    host = PsrpHost(HostConnectionSettings.from_topology("hv-a", values, password="wrong"), clock=clock)
    error = failure_of(host)
    assert (error.reason, error.retryable) == ("access_denied", False)
    assert "hv-a" in error.message
    assert "'repl'" in error.message
    assert "ansible_password" in error.hint


def test_unmapped_client_certificate_is_refused(connect: Connect, authority: LabAuthority) -> None:
    unmapped = authority.issue("nobody", role="manager", user="nobody@localhost")
    error = failure_of(connect(user="", **certificate_settings(unmapped)))
    assert error.reason == "access_denied"
    assert "ansible_psrp_certificate_pem" in error.hint


def test_client_certificate_of_a_strange_authority_is_refused(connect: Connect, stranger_files: Credentials) -> None:
    error = failure_of(connect(user="", **certificate_settings(stranger_files)))
    assert error.reason in {"tls_failed", "connection_lost"}  # as the refusal or the reset comes first
    assert "ansible_psrp_certificate_pem" in error.hint


def test_server_certificate_of_a_strange_authority_is_rejected(connect: Connect, stranger_files: Credentials) -> None:
    error = failure_of(connect(ca_cert=str(stranger_files.ca)))
    assert (error.reason, error.retryable) == ("certificate_rejected", False)
    assert "ansible_psrp_ca_cert" in error.hint


def test_authorities_of_the_system_do_not_vouch_for_the_lab(connect: Connect) -> None:
    assert failure_of(connect(ca_cert="")).reason == "certificate_rejected"


def test_expired_server_certificate_is_rejected(
    small_host: SmallHost, authority: LabAuthority, connect: Connect
) -> None:
    expired = authority.issue("old", role="hyperv", valid=datetime.timedelta(days=-1))
    with WsmanServer(small_host, files=expired, users={"repl": PASSWORD}) as server:
        error = failure_of(connect(port=server.port))
    assert error.reason == "certificate_expired"
    assert "expired" in error.message


def test_certificate_for_another_name_is_rejected(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda name, *rest, **options: resolve("127.0.0.1" if name == "hv-b.example" else name, *rest, **options),
    )
    error = failure_of(connect(address="hv-b.example"))
    assert error.reason == "certificate_rejected"
    assert "hv-b.example" in error.message


def test_closed_port_is_unreachable(connect: Connect) -> None:
    with unused_port() as port:
        error = failure_of(connect(port=port))
    assert (error.reason, error.retryable) == ("unreachable", True)
    assert f"localhost:{port}" in error.message
    assert "ansible_psrp_port" in error.hint


def test_unknown_name_is_unreachable(connect: Connect) -> None:
    error = failure_of(connect(address="no-such-host.invalid"))
    assert error.reason == "unreachable"
    assert "ansible_host" in error.hint


def test_port_of_another_service_is_no_tls(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(10)
        host = connect(port=port, connection_timeout=1, operation_timeout=1, read_timeout=2)
        error = failure_of(host)  # the listener accepts in its backlog and never answers
    assert error.reason in {"timeout", "unreachable"}


def test_unknown_endpoint_is_named(connect: Connect) -> None:
    error = failure_of(connect(configuration_name="HvReplica"))
    assert (error.reason, error.retryable) == ("endpoint_missing", False)
    assert "HvReplica" in error.message
    assert "ansible_psrp_configuration_name" in error.hint


def test_wrong_path_is_named(connect: Connect) -> None:
    error = failure_of(connect(path="wsmann"))
    assert error.reason == "http_error"
    assert "ansible_psrp_path" in error.hint


@pytest.mark.parametrize("word", ["ca_cert", "certificate_pem", "certificate_key_pem"])
@pytest.mark.parametrize("missing", [True, False], ids=["missing", "junk"])
def test_bad_certificate_file_is_named(
    connect: Connect, client_files: Credentials, tmp_path: Path, word: str, missing: bool
) -> None:
    path = str(tmp_path / "none.pem") if missing else junk_file(tmp_path)
    host = connect(user="", **{**certificate_settings(client_files), word: path})
    with pytest.raises(RequestError, match=r"ansible_psrp_(ca_cert|certificate_)") as caught:
        host.call("Get-HvrHost")
    assert caught.value.reason == "host_settings"


@pytest.mark.parametrize("auth", ["kerberos", "credssp"])
def test_missing_mechanism_is_a_missing_library(connect: Connect, auth: str) -> None:
    if auth == "kerberos" and _has("gssapi"):
        pytest.fail("gssapi is installed here: this test needs an environment without it")
    with pytest.raises(LibraryMissing, match=rf"pypsrp\[{auth}\]"):
        connect(auth=auth).call("Get-HvrHost")


def test_missing_pypsrp_is_named_when_it_is_needed() -> None:
    """In another process: here the library has been imported already."""
    engine = "ansible_collections.opendr.hyperv.plugins.module_utils._engine"
    program = f"""
import sys, time
sys.modules.update(dict.fromkeys(["pypsrp", "requests", "spnego"]))  # None: the import fails
from {engine}.adapters.psrp import HostConnectionSettings, PsrpHost
from {engine}.errors import LibraryMissing
class Clock:
    now = monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
settings = HostConnectionSettings(name="hv-a", address="localhost", user="u", password="p", auth="basic")
try:
    PsrpHost(settings, clock=Clock()).call("Get-HvrHost")
except LibraryMissing as error:
    print(error.reason, error.hint)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"pypsrp {sys.executable} -m pip install pypsrp; ")


def failure_of(host: PsrpHost) -> EngineError:
    with pytest.raises(TransportError) as caught:
        host.call("Get-HvrHost")
    return caught.value


@contextmanager
def unused_port() -> Iterator[int]:
    """Hold a port that nobody listens on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _has(module: str) -> bool:
    try:
        __import__(module)
    except ImportError:
        return False
    return True
