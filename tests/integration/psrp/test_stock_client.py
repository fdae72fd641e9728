# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab server seen by an unmodified pypsrp, the library below Ansible's psrp connection plugin.

The expected ids, categories and targets are those that the PowerShell engine answers in a NoLanguage session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue
from pypsrp.wsman import WSMan

from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError, Notice, Row
from ansible_collections.opendr.hyperv.tests.lab.wsman.faults import FaultKind
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

from .conftest import PASSWORD
from .small_host import SmallHost, activity_row

Run = Callable[..., PowerShell]


@pytest.fixture
def wsman(server: WsmanServer, server_files: Credentials) -> Iterator[WSMan]:
    with WSMan(
        server="localhost",
        port=server.port,
        auth="ntlm",
        username="repl",
        password=PASSWORD,
        cert_validation=str(server_files.ca),
        no_proxy=True,
        operation_timeout=5,
        read_timeout=10,
    ) as client:
        yield client


@pytest.fixture
def pool(wsman: WSMan) -> Iterator[RunspacePool]:
    with RunspacePool(wsman, configuration_name="HvReplication", max_runspaces=2) as opened:
        yield opened


@pytest.fixture
def run(pool: RunspacePool) -> Run:
    def call(command: str, script: bool = False, **parameters: object) -> PowerShell:
        pipeline = PowerShell(pool)
        if script:
            pipeline.add_script(command)
        else:
            pipeline.add_cmdlet(command).add_parameters(parameters)
        pipeline.invoke()
        pipeline.close()
        return pipeline

    return call


def only_error(pipeline: PowerShell) -> Any:
    assert pipeline.state == PSInvocationState.FAILED
    assert len(pipeline.streams.error) == 1
    return pipeline.streams.error[0]


def test_output_is_a_flat_custom_object(run: Run) -> None:
    (output,) = run("Get-HvrHost").output
    assert output.types[0] == "System.Management.Automation.PSCustomObject"
    assert output.adapted_properties == {}
    assert (output.extended_properties["Kind"], output.extended_properties["SchemaVersion"]) == ("host", 1)
    assert output.extended_properties["SupportedVersions"] == ["9.0", "10.0"]


@pytest.mark.parametrize(
    ("command", "parameters", "error_id", "category"),
    [
        ("Get-HvrVm", {"Bogus": 1}, "NamedParameterNotFound", 5),
        ("Get-HvrVmConfig", {}, "MissingMandatoryParameter", 5),
        ("Get-HvrVm", {"VmId": "no GUID"}, "ParameterArgumentTransformationError", 6),
        ("Remove-HvrDisk", {"Controller": "SCSI"}, "AmbiguousParameter", 5),
        ("Remove-HvrDisk", {"ControllerType": "NVMe"}, "ParameterArgumentValidationError", 6),
        ("Get-HvrVolume", {"Path": ""}, "ParameterArgumentValidationErrorEmptyStringNotAllowed", 6),
        ("Get-HvrVolume", {"Path": None}, "ParameterArgumentValidationErrorEmptyStringNotAllowed", 6),
        ("Remove-HvrDisk", {"ControllerNumber": TaggedValue("I64", 2**40)}, "ParameterArgumentTransformationError", 6),
        ("Get-HvrChangedRange", {"Length": -1}, "ParameterArgumentTransformationError", 6),
        ("Set-HvrVm", {"SecureBoot": "yes"}, "ParameterArgumentTransformationError", 6),
    ],
)
def test_binder_refuses_as_powershell_does(
    run: Run, small_host: SmallHost, command: str, parameters: dict[str, object], error_id: str, category: int
) -> None:
    error = only_error(run(command, **parameters))
    assert (error.fq_error, error.category, error.activity) == (f"{error_id},{command}", category, command)
    assert (error.target_object, error.target_name) == (None, "")
    assert small_host.calls == []


def test_positional_argument_is_refused(pool: RunspacePool) -> None:
    pipeline = PowerShell(pool).add_cmdlet("Get-HvrVm").add_argument("web01")
    pipeline.invoke()
    assert only_error(pipeline).fq_error == "PositionalParameterNotFound,Get-HvrVm"


@pytest.mark.parametrize("command", ["Get-Process", "Invoke-Expression", "Get-HvrNothing"])
def test_other_commands_do_not_exist(run: Run, command: str) -> None:
    error = only_error(run(command))
    assert (error.fq_error, error.category, error.activity) == ("CommandNotFoundException", 13, "")
    assert (error.target_object, error.target_type) == (command, "String")


def test_script_is_refused(run: Run, small_host: SmallHost) -> None:
    error = only_error(run("Get-HvrHost; Get-Process", script=True))
    assert (error.fq_error, error.target_object, error.target_type) == (
        "ScriptsNotAllowed",
        "Get-HvrHost; Get-Process",
        "String",
    )
    assert small_host.calls == []


def test_names_are_found_without_regard_to_case_and_by_their_begin(run: Run, small_host: SmallHost) -> None:
    small_host.answers["Get-HvrVolume"] = lambda _parameters: iter(())
    run("get-hvrvolume", pa="C:\\")
    assert small_host.calls == [("Get-HvrVolume", {"Path": "C:\\"})]


def test_values_are_converted_as_powershell_does(run: Run, small_host: SmallHost) -> None:
    vm_id = uuid4()
    small_host.answers["Set-HvrVm"] = lambda _parameters: iter(())
    run(
        "Set-HvrVm",
        Folder="C:\\R",
        Epoch="5",
        VmId=f"{{{vm_id}}}",
        Name=7,
        ProcessorCount="4",
        MemoryStartup=1,
        MemoryDynamic=0,
        MemoryMinimum=None,
        MemoryMaximum=TaggedValue("U64", 2**64 - 1),
        SecureBoot=True,
        SecureBootTemplate=None,
        BootOrder="SCSI 0:0",
    )
    (_name, bound), *rest = small_host.calls
    assert not rest
    assert (bound["Epoch"], bound["VmId"], bound["Name"], bound["ProcessorCount"]) == (5, vm_id, "7", 4)
    assert (bound["MemoryDynamic"], bound["MemoryMinimum"], bound["MemoryMaximum"]) == (False, 0, 2**64 - 1)
    assert (bound["SecureBootTemplate"], bound["BootOrder"]) == ("", ("SCSI 0:0",))
    assert {type(value) for value in bound.values()} == {str, int, bool, type(vm_id), tuple}


def test_terminating_error_has_the_function_as_activity(run: Run, small_host: SmallHost) -> None:
    def refuse(_parameters: Mapping[str, object]) -> Iterator[Row]:
        yield activity_row()
        raise HostError("Hvr.VmNotFound", "no such machine", category=Category.OBJECT_NOT_FOUND, target="web01")

    small_host.answers["Get-HvrActivity"] = refuse
    pipeline = run("Get-HvrActivity", VmId=uuid4())
    error = only_error(pipeline)
    assert len(pipeline.output) == 1
    assert (error.fq_error, error.category, error.activity) == ("Hvr.VmNotFound,Get-HvrActivity", 13, "Get-HvrActivity")
    assert (error.target_object, error.target_name, error.reason) == ("web01", "web01", "RuntimeException")
    assert str(error) == "no such machine"
    assert error.exception.types[0] == "System.Management.Automation.RuntimeException"
    assert error.message == "ObjectNotFound: (web01:String) [Get-HvrActivity], RuntimeException"


@pytest.mark.parametrize("action", ["Continue", "SilentlyContinue", "Stop"])
def test_written_error_obeys_error_action(run: Run, small_host: SmallHost, action: str) -> None:
    rows: list[Row] = [HostError("Hvr.Failed", "one is broken"), activity_row()]
    small_host.answers["Get-HvrActivity"] = lambda _parameters: iter(rows)
    pipeline = run("Get-HvrActivity", VmId=uuid4(), ErrorAction=action)
    assert pipeline.state == (PSInvocationState.FAILED if action == "Stop" else PSInvocationState.COMPLETED)
    assert len(pipeline.output) == (0 if action == "Stop" else 1)
    found = [(e.fq_error, e.activity, e.reason) for e in pipeline.streams.error]
    written = [("Hvr.Failed,Get-HvrActivity", "Write-Error", "WriteErrorException")]
    assert found == ([] if action == "SilentlyContinue" else written)


def test_null_leaves_a_switch_off(run: Run, small_host: SmallHost) -> None:
    small_host.answers["Get-HvrSwitch"] = lambda _parameters: iter([Notice("verbose", "v"), Notice("warning", "w")])
    asked, not_asked = run("Get-HvrSwitch", Verbose=True), run("Get-HvrSwitch", Verbose=None)
    assert [str(record) for record in asked.streams.verbose] == ["v"]
    assert not_asked.streams.verbose == []
    assert [str(record) for record in not_asked.streams.warning] == ["w"]


def test_more_pipelines_than_runspaces_wait(pool: RunspacePool, small_host: SmallHost) -> None:
    pipelines = [PowerShell(pool).add_cmdlet("Get-HvrActivity").add_parameter("VmId", uuid4()) for _n in range(3)]
    for pipeline in pipelines:
        pipeline.begin_invoke()
    assert small_host.entered.acquire(timeout=20)
    assert small_host.entered.acquire(timeout=20)
    assert pool.get_available_runspaces() == 0
    assert len(small_host.calls) == 2
    small_host.go_on.set()
    assert [len(pipeline.end_invoke()) for pipeline in pipelines] == [1, 1, 1]


def test_stop_ends_a_pipeline_that_runs_and_one_that_waits(pool: RunspacePool, small_host: SmallHost) -> None:
    pipelines = [PowerShell(pool).add_cmdlet("Get-HvrActivity").add_parameter("VmId", uuid4()) for _n in range(3)]
    for pipeline in pipelines:
        pipeline.begin_invoke()
    assert small_host.entered.acquire(timeout=20)
    for pipeline in reversed(pipelines):
        pipeline.stop()
        pipeline.close()
    assert [pipeline.output for pipeline in pipelines] == [[], [], []]


def test_disconnected_session_comes_back(pool: RunspacePool, run: Run) -> None:
    pool.disconnect()
    pool.connect()
    assert pool.is_alive(timeout=5)
    assert run("Get-HvrHost").output


def test_session_of_another_user_is_out_of_reach(
    pool: RunspacePool, server: WsmanServer, server_files: Credentials
) -> None:
    other = WSMan(
        server="localhost", port=server.port, auth="basic", username="other", password=PASSWORD, no_proxy=True,
        cert_validation=str(server_files.ca),
    )  # fmt: skip
    pool.connection.transport, own = other.transport, pool.connection.transport
    with pytest.raises(WSManFaultError) as caught:
        PowerShell(pool).add_cmdlet("Get-HvrHost").invoke()
    pool.connection.transport = own
    other.close()
    assert caught.value.code == 5


def test_lost_connection_forgets_who_it_was(wsman: WSMan, server: WsmanServer, small_host: SmallHost) -> None:
    server.faults.add("Create", FaultKind.DROP_BEFORE)
    with pytest.raises(OSError, match="Connection aborted"):
        RunspacePool(wsman, configuration_name="HvReplication").open()
    wsman.transport.session.auth.password = "wrong"
    with pytest.raises(AuthenticationError):
        RunspacePool(wsman, configuration_name="HvReplication").open()


def test_too_many_open_pipelines_exhaust_the_quota(pool: RunspacePool, server: WsmanServer) -> None:
    server.quotas.commands_per_shell = 3
    for _n in range(3):
        PowerShell(pool).add_cmdlet("Get-HvrHost").invoke()  # never closed: the trap of pypsrp
    with pytest.raises(WSManFaultError) as caught:
        PowerShell(pool).add_cmdlet("Get-HvrHost").invoke()
    assert caught.value.code == 2150859074
