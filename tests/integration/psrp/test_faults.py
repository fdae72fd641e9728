# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lost connections, busy services, lost sessions, exhausted quotas."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import (
    CONNECTIONS_MAX,
    HostConnectionSettings,
    PsrpHost,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import Cancelled, PeerError, TransportError
from ansible_collections.opendr.hyperv.tests.lab.wsman.faults import FaultKind
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

from .conftest import Connect
from .small_host import SmallHost, StoppableClock

ALL_WAYS = ["basic", "ntlm"]  # a lost connection takes the security context of NTLM with it


@pytest.mark.parametrize("auth", ALL_WAYS)
@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_lost_receive_is_repeated(
    connect: Connect, small_host: SmallHost, server: WsmanServer, kind: FaultKind, auth: str
) -> None:
    host = connect(auth=auth)
    host.call("Get-HvrHost")
    server.faults.add("Receive", kind, count=2)
    assert host.call("Get-HvrHost")[0]["Name"] == "HV-A"
    assert server.faults.pending == 0
    assert len(small_host.calls) == 2
    assert server.shell_count == 1


@pytest.mark.parametrize("operation", ["Create", "Command", "Receive", "Signal"])
def test_request_that_was_turned_away_is_sent_again(
    connect: Connect, small_host: SmallHost, server: WsmanServer, operation: str
) -> None:
    server.faults.add(operation, FaultKind.UNAVAILABLE, count=2)
    connect().call("Get-HvrHost")
    assert server.faults.pending == 0
    assert len(small_host.calls) == 1


def test_service_that_stays_busy_is_given_up(host: PsrpHost, server: WsmanServer, clock: StoppableClock) -> None:
    server.faults.add("Command", FaultKind.UNAVAILABLE, count=100)
    with pytest.raises(TransportError, match="is busy") as caught:
        host.call("Get-HvrHost")
    assert (caught.value.reason, caught.value.retryable) == ("busy", True)
    assert clock.waits == [2, 4, 8, 16]


@pytest.mark.parametrize("kind", [FaultKind.DROP_BEFORE, FaultKind.DROP_AFTER])
def test_lost_command_is_reported_not_repeated(
    host: PsrpHost, small_host: SmallHost, server: WsmanServer, kind: FaultKind
) -> None:
    host.call("Get-HvrHost")
    server.faults.add("Command", kind)
    with pytest.raises(TransportError) as caught:
        host.call("Get-HvrHost")
    assert (caught.value.reason, caught.value.retryable) == ("connection_lost", True)
    ran = 2 if kind is FaultKind.DROP_AFTER else 1
    assert small_host.has_calls(ran)
    assert host.call("Get-HvrHost"), "the next call has a new session"
    assert len(small_host.calls) == ran + 1


def test_connection_that_stays_lost_is_given_up(host: PsrpHost, server: WsmanServer, clock: StoppableClock) -> None:
    host.call("Get-HvrHost")
    server.faults.add("Receive", FaultKind.DROP_BEFORE, count=100)
    with pytest.raises(TransportError) as caught:
        host.call("Get-HvrHost")
    assert caught.value.reason == "connection_lost"
    assert clock.waits == [2, 4, 8, 16]


def test_slow_answer_is_waited_for(connect: Connect, server: WsmanServer, clock: StoppableClock) -> None:
    host = connect()
    host.call("Get-HvrHost")
    server.faults.add("Receive", FaultKind.SLOW, delay_seconds=1.5)
    assert host.call("Get-HvrHost")[0]["Name"] == "HV-A"
    assert clock.waits == []


def test_answer_slower_than_the_read_timeout_is_asked_for_again(
    connect: Connect, small_host: SmallHost, server: WsmanServer, clock: StoppableClock
) -> None:
    host = connect(operation_timeout=1, read_timeout=2)
    host.call("Get-HvrHost")
    server.faults.add("Receive", FaultKind.SLOW, delay_seconds=3)
    assert host.call("Get-HvrHost")[0]["Name"] == "HV-A"
    assert clock.waits == [2]
    assert len(small_host.calls) == 2


def test_session_lost_while_idle_is_replaced(host: PsrpHost, small_host: SmallHost, server: WsmanServer) -> None:
    host.call("Get-HvrHost")
    server.faults.add("Command", FaultKind.LOSE_SHELLS)
    assert host.call("Get-HvrHost")[0]["Name"] == "HV-A"
    assert len(small_host.calls) == 2


def test_session_lost_in_a_call_is_reported(host: PsrpHost, server: WsmanServer) -> None:
    host.call("Get-HvrHost")
    server.faults.add("Receive", FaultKind.LOSE_SHELLS)
    with pytest.raises(TransportError) as caught:
        host.call("Get-HvrHost")
    assert (caught.value.reason, caught.value.retryable) == ("session_lost", True)
    assert host.call("Get-HvrHost")


def test_session_is_checked_after_a_pause(
    host: PsrpHost, small_host: SmallHost, server: WsmanServer, clock: StoppableClock
) -> None:
    host.call("Get-HvrHost")
    server.faults.add("Get", FaultKind.LOSE_SHELLS)
    clock.skip(3600)
    assert host.call("Get-HvrHost")
    assert server.faults.pending == 0
    assert len(small_host.calls) == 2


def test_quota_of_sessions_is_waited_for(
    settings: Callable[..., HostConnectionSettings], server: WsmanServer, clock: StoppableClock
) -> None:
    server.quotas.shells_per_user = 1
    first, second = PsrpHost(settings(), clock=clock), PsrpHost(settings(), clock=clock)
    first.call("Get-HvrHost")
    waited = threading.Event()
    original = clock.sleep

    def sleep(seconds: float) -> None:
        if seconds and not waited.is_set():
            waited.set()
            first.close()
        original(seconds)

    clock.sleep = sleep  # type: ignore[method-assign]
    assert second.call("Get-HvrHost")
    assert waited.is_set()
    second.close()


@pytest.mark.parametrize("quota", ["shells_per_user", "operations_per_user"])
def test_quota_that_stays_exhausted_is_reported(
    host: PsrpHost, server: WsmanServer, clock: StoppableClock, quota: str
) -> None:
    setattr(server.quotas, quota, 0)
    with pytest.raises(TransportError, match="'repl'") as caught:
        host.call("Get-HvrHost")
    assert (caught.value.reason, caught.value.retryable) == ("quota_reached", True)
    assert "quota" in caught.value.hint
    assert 200 < sum(clock.waits) <= 300


def test_waiting_for_a_quota_can_be_cancelled(host: PsrpHost, server: WsmanServer, clock: StoppableClock) -> None:
    server.quotas.shells_per_user = 0
    clock.stop_at_wait(3)
    with pytest.raises(Cancelled):
        host.call("Get-HvrHost")
    assert clock.waits == [2, 4, 8]


def test_all_sessions_lost_at_once_are_replaced(host: PsrpHost, small_host: SmallHost, server: WsmanServer) -> None:
    with ThreadPoolExecutor(CONNECTIONS_MAX) as threads:
        calls = [threads.submit(host.call, "Get-HvrActivity", VmId=uuid4()) for _n in range(CONNECTIONS_MAX)]
        for _running in range(CONNECTIONS_MAX):
            assert small_host.entered.acquire(timeout=20)
        small_host.go_on.set()
        for call in calls:
            call.result(timeout=30)
    assert server.shell_count == CONNECTIONS_MAX
    server.faults.add("Command", FaultKind.LOSE_SHELLS)
    assert host.call("Get-HvrHost")
    assert len(small_host.calls) == CONNECTIONS_MAX + 1
    assert server.shell_count == 1


def test_answer_to_another_request_breaks_the_protocol(host: PsrpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.call("Get-HvrHost")
    envelope = "ansible_collections.opendr.hyperv.tests.lab.wsman.service._response"
    monkeypatch.setattr(envelope, lambda *_request, **_content: b"<junk/>")
    with pytest.raises(PeerError) as caught:
        host.call("Get-HvrHost")
    assert caught.value.reason == "psrp"
