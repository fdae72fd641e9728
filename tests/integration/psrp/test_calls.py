# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes there and comes back in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import CONNECTIONS_MAX, PsrpHost
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    Cancelled,
    HypervisorError,
    PeerError,
    RequestError,
    TransportError,
)
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError, Notice, Row
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

from .small_host import Answer, SmallHost, StoppableClock, activity_row

VM = UUID("2f3a5c7e-0000-4000-8000-123456789abc")
ODD_TEXT = "line 1\r\nline 2\ttab 'quote' \"double\" $(Get-Date) <&> \u2713 \U0001f600 _x0041_ \x07"


def answer(*rows: Row) -> Answer:
    return lambda _parameters: iter(rows)


def test_values_of_each_type_arrive_as_they_are(host: PsrpHost, small_host: SmallHost) -> None:
    small_host.answers["Set-HvrVm"] = answer()
    sent = {
        "Folder": r"C:\Replicas\web01",
        "Epoch": 2**40,
        "VmId": VM,
        "Name": ODD_TEXT,
        "ProcessorCount": 4,
        "MemoryStartup": 2**63,
        "MemoryDynamic": False,
        "MemoryMinimum": 0,
        "MemoryMaximum": 2**64 - 1,
        "SecureBoot": True,
        "SecureBootTemplate": "",
        "BootOrder": ("SCSI 0:0", "Nic:LAN"),
    }
    assert host.call("Set-HvrVm", **sent) == []
    assert small_host.calls == [("Set-HvrVm", sent)]


def test_optional_parameter_is_left_out(host: PsrpHost, small_host: SmallHost) -> None:
    small_host.answers["Get-HvrVm"] = answer()
    host.call("Get-HvrVm", Name="web01", VmId=None)
    assert small_host.calls == [("Get-HvrVm", {"Name": "web01"})]


def test_members_of_each_type_arrive_as_they_are(host: PsrpHost, small_host: SmallHost) -> None:
    row: dict[str, object] = {
        "Kind": "disk",
        "ControllerType": "SCSI",
        "ControllerNumber": 0,
        "ControllerLocation": 1,
        "VirtualDiskId": VM,
        "VirtualSize": 2**46,
        "BlockSize": 2**25,
        "LogicalSectorSize": 512,
        "PhysicalSectorSize": 4096,
        "Allocation": ODD_TEXT,
        "FileSize": 2**40,
        "ChainPaths": [r"C:\a.avhdx", ODD_TEXT],
    }
    small_host.answers["Get-HvrCheckpointDisk"] = answer(row, row)
    expected = {**row, "ChainPaths": (r"C:\a.avhdx", ODD_TEXT)}
    assert host.call("Get-HvrCheckpointDisk", VmId=VM, CheckpointId="x") == [expected, expected]


@pytest.mark.parametrize("items", [[], [""], ["one"]], ids=["none", "empty", "one"])
def test_short_list_stays_a_list(host: PsrpHost, small_host: SmallHost, items: list[str]) -> None:
    small_host.answers["Get-HvrActivity"] = answer(activity_row(Operations=items))
    assert host.call("Get-HvrActivity", VmId=VM)[0]["Operations"] == tuple(items)


@pytest.mark.parametrize("data", [b"", b"\x00\xff", bytes(range(256)) * 4096], ids=["empty", "two", "1 MiB"])
def test_bytes_arrive_as_they_are(host: PsrpHost, small_host: SmallHost, data: bytes) -> None:
    row: dict[str, object] = {"Kind": "changedRange", "Encoding": "u64-le-pairs", "NextOffset": 2**63, "Extents": data}
    small_host.answers["Get-HvrChangedRange"] = answer(row)
    assert host.call("Get-HvrChangedRange", Path="C:\\x", RctId="r", Offset=0, Length=2**40) == [row]


def test_long_text_goes_there_and_back(host: PsrpHost, small_host: SmallHost) -> None:
    record = "x\u2713" * 300_000  # more than an envelope holds
    small_host.answers["Set-HvrReplicaRecord"] = answer()
    small_host.answers["Get-HvrReplicaRecord"] = answer(
        {"Kind": "record", "Epoch": 7, "Revision": 9, "AgeSeconds": 3, "Record": record}
    )
    host.call("Set-HvrReplicaRecord", Folder="C:\\R", ExpectedEpoch=6, ExpectedRevision=8, Record=record)
    assert small_host.calls[0][1]["Record"] == record
    assert host.call("Get-HvrReplicaRecord", Folder="C:\\R")[0]["Record"] == record


def test_refusal_carries_function_and_error_id(host: PsrpHost, small_host: SmallHost) -> None:
    def refuse(_parameters: Mapping[str, object]) -> Iterator[Row]:
        yield from ()
        raise HostError("Hvr.VmNotFound", "no machine of that id", category=Category.OBJECT_NOT_FOUND, target=str(VM))

    small_host.answers["Get-HvrVm"] = refuse
    with pytest.raises(HypervisorError, match="host hv-a: Get-HvrVm: no machine of that id") as caught:
        host.call("Get-HvrVm", VmId=VM)
    assert (caught.value.function, caught.value.error_id) == ("Get-HvrVm", "Hvr.VmNotFound")
    assert host.call("Get-HvrHost"), "the session goes on"


def test_error_beside_output_is_an_error(host: PsrpHost, small_host: SmallHost) -> None:
    rows: tuple[Row, ...] = (
        HostError("Hvr.Failed", "one machine is broken"),
        activity_row(),
    )
    small_host.answers["Get-HvrActivity"] = answer(*rows)
    with pytest.raises(HypervisorError, match="one machine is broken") as caught:
        host.call("Get-HvrActivity", VmId=VM)
    assert caught.value.error_id == "Hvr.Failed"


def test_other_streams_are_no_errors(host: PsrpHost, small_host: SmallHost) -> None:
    notices = [Notice(stream, "by the way") for stream in ("verbose", "debug", "warning", "information")]
    small_host.answers["Get-HvrActivity"] = answer(*notices, activity_row())
    assert host.call("Get-HvrActivity", VmId=VM)[0]["Idle"] is True


@pytest.mark.parametrize(
    "wrong",
    [
        {"VmId": str(VM)},
        {"VmId": VM, "Extra": 1},
        {},
        {"VmId": VM, "Name": "n", "Consistency": "Perfect"},
        {"VmId": VM, "Name": "", "Consistency": "Crash"},
        {"VmId": VM, "Name": 5, "Consistency": "Crash"},
    ],
)
def test_call_that_breaks_the_contract_is_not_sent(
    host: PsrpHost, small_host: SmallHost, wrong: dict[str, object]
) -> None:
    with pytest.raises(RequestError) as caught:
        host.call("New-HvrCheckpoint", **wrong)
    assert caught.value.reason == "contract"
    assert small_host.calls == []


@pytest.mark.parametrize("number", [-1, 2**64, True, "5"])
def test_number_that_does_not_fit_is_not_sent(host: PsrpHost, small_host: SmallHost, number: object) -> None:
    with pytest.raises(RequestError, match="-Length"):
        host.call("Get-HvrChangedRange", Path="C:\\x", RctId="r", Offset=0, Length=number)
    assert small_host.calls == []


def test_fault_of_the_lab_itself_is_an_error_not_a_hang(host: PsrpHost, small_host: SmallHost) -> None:
    small_host.answers["Get-HvrActivity"] = answer(activity_row(Idle="yes"))
    with pytest.raises(HypervisorError, match="RowMismatch") as caught:
        host.call("Get-HvrActivity", VmId=VM)
    assert caught.value.error_id == "Lab.Failed"


@pytest.mark.timeout(300)
def test_a_thousand_calls_and_more_use_one_session(host: PsrpHost, small_host: SmallHost, server: WsmanServer) -> None:
    for _call in range(1010):  # an endpoint takes 1000 pipelines that are not closed
        host.call("Get-HvrHost")
    assert len(small_host.calls) == 1010
    assert server.shell_count == 1


def test_threads_have_four_sessions_and_wait_for_them(
    host: PsrpHost, small_host: SmallHost, server: WsmanServer
) -> None:
    with ThreadPoolExecutor(CONNECTIONS_MAX + 2) as threads:
        calls = [threads.submit(host.call, "Get-HvrActivity", VmId=uuid4()) for _n in range(CONNECTIONS_MAX + 2)]
        for _running in range(CONNECTIONS_MAX):
            assert small_host.entered.acquire(timeout=20)
        assert server.shell_count == CONNECTIONS_MAX
        assert len(small_host.calls) == CONNECTIONS_MAX
        small_host.go_on.set()
        assert all(call.result(timeout=30)[0]["Idle"] for call in calls)
    assert server.shell_count == CONNECTIONS_MAX
    assert len(small_host.calls) == CONNECTIONS_MAX + 2


def test_many_calls_from_many_threads_keep_apart(host: PsrpHost, small_host: SmallHost) -> None:
    def echo(parameters: Mapping[str, object]) -> Iterator[Row]:
        yield {"Kind": "volume", "Root": "C:\\", "Size": int(str(parameters["Path"])), "Free": 0}

    small_host.answers["Get-HvrVolume"] = echo
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: host.call("Get-HvrVolume", Path=str(n))[0]["Size"], range(200)))
    assert found == list(range(200))


def test_cancellation_ends_a_long_call_and_keeps_the_session(
    host: PsrpHost, small_host: SmallHost, clock: StoppableClock, server: WsmanServer
) -> None:
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(host.call, "Get-HvrActivity", VmId=VM)
        assert small_host.entered.acquire(timeout=20)
        clock.stop()
        with pytest.raises(Cancelled):
            call.result(timeout=30)
    assert server.shell_count == 1


def test_call_after_the_cancellation_is_tidying_up_and_runs(
    host: PsrpHost, small_host: SmallHost, clock: StoppableClock
) -> None:
    clock.stop()
    assert host.call("Get-HvrHost")[0]["Name"] == "HV-A"
    assert len(small_host.calls) == 1


def test_call_that_takes_too_long_is_stopped(host: PsrpHost, small_host: SmallHost, clock: StoppableClock) -> None:
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(host.call, "Get-HvrActivity", VmId=VM)
        assert small_host.entered.acquire(timeout=20)
        clock.skip(3600)
        with pytest.raises(TransportError, match="Get-HvrActivity did not end in time") as caught:
            call.result(timeout=30)
    assert caught.value.reason == "timeout"


def test_closed_host_leaves_no_session_behind(host: PsrpHost, server: WsmanServer) -> None:
    host.call("Get-HvrHost")
    host.close()
    assert server.shell_count == 0


def test_answer_of_a_newer_host_is_refused(host: PsrpHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.opendr.hyperv.tests.lab.wsman.objects.SCHEMA_VERSION", 2)
    with pytest.raises(PeerError, match="schema version 2, want 1"):
        host.call("Get-HvrHost")
