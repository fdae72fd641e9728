# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as a real process: served, controlled, killed and started again."""

from __future__ import annotations

import os
import threading

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.client import LabError
from ansible_collections.opendr.hyperv.tests.lab.hyperv.process import LabHostProcess
from ansible_collections.opendr.hyperv.tests.lab.oracles import first_difference
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority

SLOT = "SCSI 0:0"
FENCE = {"ReplicaId": "5e1f0000-0000-4000-8000-000000000001", "Epoch": 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return LabAuthority(tmp_path_factory.mktemp("pki")).issue("hv-a", role="host")


@pytest.fixture
def process(tmp_path, files):
    # Long enough that a Unix socket cannot be reached by its full path.
    folder = tmp_path / ("deep" * 25) / "hv-a"
    with LabHostProcess(folder, name="hv-a", files=files) as started:
        yield started


@pytest.fixture
def machine(process):
    with process.control() as control:
        disks = [{"size": 8 * MiB}, {"size": 4 * MiB, "location": 1}]
        vm_id = control.create_machine("web", folder="C:\\VMs\\web", disks=disks)
        control.call("Start-VM", vm_id=vm_id)
    return vm_id


def chain_of(control, checkpoint, vm_id):
    disk = control.dispatch("Get-HvrCheckpointDisk", VmId=vm_id, CheckpointId=checkpoint)[0]
    return disk["VirtualDiskId"], [control.local_path(path) for path in disk["ChainPaths"]]


def test_nothing_is_lost_by_a_kill(process, machine):
    with process.control() as control:
        control.write(machine, SLOT, offset=0, data=b"before" * 256 + bytes(512))
        [made] = control.dispatch("New-HvrCheckpoint", **FENCE, VmId=machine, Name="point", Consistency="Application")
        control.write(machine, SLOT, offset=MiB, data=b"x" * 64 * KiB)
        control.switch(no_changes="empty")
    port = process.port
    process.kill()
    process.start()
    assert process.port == port
    with process.control() as control:
        assert control.dispatch("Get-HvrCheckpoint", VmId=machine) == [made]
        assert control.dispatch("Get-HvrVm", VmId=machine)[0]["State"] == "Running"
        assert control.call("guest.read", vm_id=machine, slot=SLOT, offset=MiB, length=512) == b"x" * 512
        assert control.call("lab.switches")["no_changes"] == "empty"
        disk_id, chain = chain_of(control, made["CheckpointId"], machine)
        assert first_difference(chain, control.shadow_of("point")[disk_id]) is None


def test_kill_among_many_writes_leaves_disk_and_shadow_equal(process, machine):
    for _turn in range(3):
        writing = threading.Event()

        def guest(writing=writing):
            try:
                with process.control() as control:
                    for number in range(10_000):
                        control.write(machine, SLOT, offset=number % 64 * 64 * KiB, data=os.urandom(16 * KiB))
                        writing.set()
            except (ConnectionError, ValueError):
                pass  # the host is gone, as planned

        thread = threading.Thread(target=guest)
        thread.start()
        assert writing.wait(20)
        process.kill()
        thread.join()
        process.start()
        with process.control() as control:
            [made] = control.dispatch("New-HvrCheckpoint", **FENCE, VmId=machine, Name="probe", Consistency="Crash")
            disk_id, chain = chain_of(control, made["CheckpointId"], machine)
            assert first_difference(chain, control.shadow_of(made["CheckpointId"])[disk_id]) is None
            control.dispatch("Remove-HvrCheckpoint", **FENCE, VmId=machine, CheckpointId=made["CheckpointId"])
            control.settle()


def test_merges_happen_by_themselves(process, machine):
    with process.control() as control:
        [made] = control.dispatch("New-HvrCheckpoint", **FENCE, VmId=machine, Name="point", Consistency="Crash")
        control.dispatch("Convert-HvrCheckpoint", **FENCE, VmId=machine, CheckpointId=made["CheckpointId"])
        control.wait_until(lambda: control.dispatch("Get-HvrActivity", VmId=machine)[0]["Idle"], "the merge")
        assert [row["Path"].endswith(".vhdx") for row in control.dispatch("Get-HvrLeaf", VmId=machine)] == [True, True]


def test_control_tells_what_was_refused(process, machine):
    with process.control() as control:
        for call, given, kind in [
            ("Resume-VM", {"vm_id": machine}, "wrong_state"),
            ("No-Such", {}, "invalid_argument"),
            ("Start-VM", {"magic": 1}, "control"),
            ("lab.set_switches", {"values": {"magic": 1}}, "invalid_argument"),
        ]:
            with pytest.raises(LabError) as caught:
                control.call(call, **given)
            assert caught.value.kind == kind
        with pytest.raises(LabError) as caught:
            control.dispatch("Get-HvrVm", VmId="00000000-0000-0000-0000-000000000001")
        assert caught.value.kind == "Hvr.VmNotFound"


def test_faults_of_both_layers_can_be_planned(process, machine):
    with process.control() as control:
        control.fault("Get-HvrHost", "fail", error_id="Hvr.Busy")
        with pytest.raises(LabError) as caught:
            control.dispatch("Get-HvrHost")
        assert caught.value.kind == "Hvr.Busy"
        control.call("wsman.fault", operation="Receive", kind="503", count=2)
        control.call("wsman.clear")
        control.call("faults.clear")
        assert control.dispatch("Get-HvrHost")[0]["Name"] == "hv-a"


def test_second_process_on_a_port_in_use_says_so(process, tmp_path, files):
    other = LabHostProcess(tmp_path / "other", name="other", files=files, port=process.port)
    with pytest.raises(RuntimeError, match=r"log\.txt"):
        other.start()
    assert "already in use" in (tmp_path / "other" / "log.txt").read_text(encoding="utf-8")


def test_second_process_on_a_folder_in_use_says_so(process, files):
    other = LabHostProcess(process.folder, name="other", files=files)
    with pytest.raises(RuntimeError, match=r"log\.txt"):
        other.start()
    assert "is in use by another program" in (process.folder / "log.txt").read_text(encoding="utf-8")
