# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines, hardware, disks and power: what is refused, and what changes."""

from __future__ import annotations

from uuid import uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import NewDisk
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError
from ansible_collections.opendr.hyperv.tests.unit.lab.scene import REPLICA, SIZE, SLOT

HARDWARE = {
    "ProcessorCount": 4,
    "MemoryStartup": 2 * GiB,
    "MemoryDynamic": True,
    "MemoryMinimum": GiB,
    "MemoryMaximum": 4 * GiB,
    "SecureBoot": True,
    "SecureBootTemplate": "MicrosoftUEFICertificateAuthority",
    "BootOrder": ["SCSI 0:0"],
}
NIC = {"Name": "LAN", "MacAddress": "00155D010203", "SwitchName": "Default Switch", "VlanId": 12}


@pytest.fixture
def fence(scene):
    return scene.take_replica()


@pytest.fixture
def replica(scene, fence):
    return scene.replica(fence)


def refusal(scene, function, **parameters):
    with pytest.raises(HostError) as caught:
        scene.call(function, **parameters)
    return caught.value.error_id


def kind_of(call, *arguments, **named):
    with pytest.raises(Refusal) as caught:
        call(*arguments, **named)
    return caught.value.kind


def test_new_machine_has_no_default_devices_and_is_found_by_its_marker(scene, fence):
    asked = {**fence, "Name": "web_replica", "Marker": "opendr:1", "Generation": 2, "Version": "9.0"}
    [made] = scene.call("New-HvrVm", **asked)
    assert (made["Notes"], made["Folder"], made["State"]) == ("opendr:1", REPLICA, "Off")
    assert scene.call("New-HvrVm", **asked) == [made]
    assert [row["Kind"] for row in scene.call("Get-HvrVmConfig", VmId=made["VmId"])] == ["vm"]


def test_machine_that_a_crash_left_without_marker_is_taken_over(scene, fence):
    half = scene.host.machines.new_vm(name="web_replica", generation=2, version="9.0", folder=REPLICA)
    [made] = scene.call("New-HvrVm", **fence, Name="web_replica", Marker="opendr:1", Generation=2, Version="9.0")
    assert (str(made["VmId"]), made["Notes"]) == (half.vm_id, "opendr:1")


def test_new_machine_is_refused_with_a_reason(scene, fence):
    asked = {**fence, "Name": "x", "Marker": "opendr:2", "Generation": 2, "Version": "9.0"}
    assert refusal(scene, "New-HvrVm", **{**asked, "Version": "12.0"}) == "Hvr.VersionNotSupported"
    assert refusal(scene, "New-HvrVm", **{**asked, "Generation": 3}) == "Hvr.InvalidArgument"
    scene.replica(fence)
    assert refusal(scene, "New-HvrVm", **asked) == "Hvr.Exists"
    assert kind_of(scene.host.machines.new_vm, name="x", generation=2, version="9.0", folder="C:\\") is (
        Kind.PATH_INVALID
    )


def test_names_need_not_be_unique(scene):
    scene.admin.create_machine("web", folder="C:\\VMs\\one")
    scene.admin.create_machine("web", folder="C:\\VMs\\two")
    assert len(scene.call("Get-HvrVm", Name="WEB")) == 2
    assert scene.call("Get-HvrVm", Name="none") == []
    assert len(scene.call("Get-HvrVm")) == 2


def test_hardware_is_set_while_the_machine_is_off(scene, fence, replica):
    scene.call("Set-HvrVm", **fence, VmId=replica, Name="renamed", **HARDWARE)
    vm = scene.call("Get-HvrVmConfig", VmId=replica)[0]
    assert {name: vm[name] for name in HARDWARE} == HARDWARE
    assert vm["Name"] == "renamed"
    scene.host.power.start_vm(replica)
    scene.call("Set-HvrVm", **fence, VmId=replica, Name="renamed again", **HARDWARE)
    changes = {"ProcessorCount": 5, "MemoryStartup": 3 * GiB, "SecureBoot": False, "BootOrder": []}
    for name, value in changes.items():
        asked = {**fence, "VmId": replica, "Name": "x", **HARDWARE, name: value}
        assert refusal(scene, "Set-HvrVm", **asked) == "Hvr.WrongState"


@pytest.mark.parametrize(
    "impossible",
    [
        {"ProcessorCount": 0},
        {"ProcessorCount": 241},
        {"MemoryMinimum": 3 * GiB},
        {"MemoryStartup": 1},
        {"SecureBootTemplate": "Linux"},
        {"BootOrder": ["SCSI 3:3"]},
        {"BootOrder": ["SCSI 0:0", "SCSI 0:0"]},
    ],
)
def test_impossible_hardware_is_refused(scene, fence, replica, impossible):
    asked = {**fence, "VmId": replica, "Name": "x", **HARDWARE, **impossible}
    assert refusal(scene, "Set-HvrVm", **asked) == "Hvr.InvalidArgument"


def test_generation_1_has_a_bios_and_no_secure_boot(scene):
    vm_id = scene.machine(generation=1, start=False, disks=[NewDisk(SIZE, controller="IDE")])
    scene.take_replica(folder="C:\\VMs\\web")
    order = ["IDE", "CD", "LegacyNetworkAdapter", "Floppy"]
    asked = {"Folder": "C:\\VMs\\web", "Epoch": 1, "VmId": vm_id, "Name": "x", **HARDWARE, "BootOrder": order}
    assert refusal(scene, "Set-HvrVm", **asked) == "Hvr.InvalidArgument"
    scene.call("Set-HvrVm", **{**asked, "SecureBoot": False, "SecureBootTemplate": ""})
    assert scene.call("Get-HvrVmConfig", VmId=vm_id)[0]["BootOrder"] == order


def test_adapter_is_added_connected_and_removed(scene, fence, replica):
    scene.call("Set-HvrNic", **fence, VmId=replica, **NIC)
    [nic] = [row for row in scene.call("Get-HvrVmConfig", VmId=replica) if row["Kind"] == "nic"]
    assert {name: nic[name] for name in NIC} == NIC
    assert nic["MacIsStatic"]
    scene.call("Set-HvrNic", **fence, VmId=replica, **{**NIC, "SwitchName": ""})
    scene.call("Remove-HvrNic", **fence, VmId=replica, Name="LAN")
    scene.call("Remove-HvrNic", **fence, VmId=replica, Name="LAN")
    assert not [row for row in scene.call("Get-HvrVmConfig", VmId=replica) if row["Kind"] == "nic"]


def test_dynamic_addresses_are_unique_also_after_a_restart(scene):
    first = scene.machine("one", start=False)
    scene.restart()
    second = scene.machine("two", start=False)
    scene.host.hardware.add_vm_network_adapter(second, name="more")
    rows = [*scene.call("Get-HvrVmConfig", VmId=first), *scene.call("Get-HvrVmConfig", VmId=second)]
    addresses = [row["MacAddress"] for row in rows if row["Kind"] == "nic"]
    assert len(set(addresses)) == len(addresses) == 3


def test_adapter_is_refused_with_a_reason(scene, fence, replica):
    asked = {**fence, "VmId": replica}
    assert refusal(scene, "Set-HvrNic", **asked, **{**NIC, "SwitchName": "none"}) == "Hvr.SwitchNotFound"
    assert refusal(scene, "Set-HvrNic", **asked, **{**NIC, "MacAddress": "junk"}) == "Hvr.InvalidArgument"
    assert refusal(scene, "Set-HvrNic", **asked, **{**NIC, "VlanId": 4095}) == "Hvr.InvalidArgument"
    scene.host.hardware.add_vm_network_adapter(replica, name="LAN")
    assert refusal(scene, "Set-HvrNic", **asked, **NIC) == "Hvr.InvalidArgument", "two adapters of one name"
    scene.call("Remove-HvrNic", **asked, Name="LAN")
    scene.call("Set-HvrNic", **asked, **NIC)
    scene.host.power.start_vm(replica)
    assert refusal(scene, "Set-HvrNic", **asked, **{**NIC, "MacAddress": "00155D010204"}) == "Hvr.WrongState"


def test_disk_is_attached_once_and_refused_with_a_reason(scene, fence, replica):
    slot = {"ControllerType": "SCSI", "ControllerNumber": 0, "ControllerLocation": 0}
    asked = {**fence, "VmId": replica}
    path = scene.leaf(replica)
    scene.call("Add-HvrDisk", **asked, **slot, Path=path.upper())
    assert refusal(scene, "Add-HvrDisk", **asked, **slot, Path="C:\\other.vhdx") == "Hvr.SlotInUse"
    slot["ControllerLocation"] = 1
    assert refusal(scene, "Add-HvrDisk", **asked, **slot, Path="C:\\none.vhdx") == "Hvr.FileNotFound"
    assert refusal(scene, "Add-HvrDisk", **asked, **slot, Path=path) == "Hvr.InUse"
    scene.host.lab.volumes.local("C:\\junk.vhdx").write_bytes(b"junk" * 1024 * 1024)
    assert refusal(scene, "Add-HvrDisk", **asked, **slot, Path="C:\\junk.vhdx") == "Hvr.ChainBroken"
    ide = {**slot, "ControllerType": "IDE"}
    assert refusal(scene, "Add-HvrDisk", **asked, **ide, Path=path) == "Hvr.InvalidArgument"


def test_attached_path_of_an_older_leaf_is_still_the_same_disk(scene, fence, replica):
    slot = {"ControllerType": "SCSI", "ControllerNumber": 0, "ControllerLocation": 0}
    base = scene.leaf(replica)
    scene.call("New-HvrRestorePoint", **fence, VmId=replica, Name="rp")
    assert scene.call("Add-HvrDisk", **fence, VmId=replica, **slot, Path=base) == []


def test_detached_disk_keeps_its_file(scene, fence, replica):
    slot = {"ControllerType": "SCSI", "ControllerNumber": 0, "ControllerLocation": 0}
    path = scene.leaf(replica)
    scene.call("Remove-HvrDisk", **fence, VmId=replica, **slot)
    scene.call("Remove-HvrDisk", **fence, VmId=replica, **slot)
    scene.admin.settle()
    assert scene.host.lab.volumes.exists(path)
    scene.call("Add-HvrDisk", **fence, VmId=replica, **slot, Path=path)
    assert scene.leaf(replica) == path


def test_start_is_refused_with_a_broken_chain_or_too_little_memory(scene):
    vm_id = scene.machine(start=False)
    scene.host.snapshots.checkpoint_vm(vm_id, snapshot_name="user")
    base = scene.host.lab.images.walk(scene.leaf(vm_id))[-1]
    scene.admin.set_memory(GiB // 2)
    assert kind_of(scene.host.power.start_vm, vm_id) is Kind.OUT_OF_MEMORY
    scene.admin.set_memory(GiB)
    chain = scene.host.lab.images.open([base], writable=True)
    chain.write(0, bytes(512))
    chain.flush()
    chain.close()
    assert kind_of(scene.host.power.start_vm, vm_id) is Kind.CHAIN_BROKEN
    [verdict] = scene.call("Test-HvrChain", Path=scene.leaf(vm_id))
    assert (verdict["Valid"], verdict["Paths"]) == (False, [])


def test_running_machine_holds_its_leaf_and_lets_go_when_stopped(scene):
    vm_id = scene.machine()
    leaf = str(scene.host.lab.volumes.local(scene.leaf(vm_id)))
    assert files.is_locked(leaf)
    scene.host.power.stop_vm(vm_id)
    assert not files.is_locked(leaf)


def test_power_moves_that_make_no_sense_are_refused(scene):
    vm_id = scene.machine()
    assert kind_of(scene.host.power.resume_vm, vm_id) is Kind.WRONG_STATE
    scene.host.power.suspend_vm(vm_id)
    assert kind_of(scene.host.power.start_vm, vm_id) is Kind.WRONG_STATE
    assert kind_of(scene.host.power.stop_vm, vm_id, save=True) is Kind.WRONG_STATE
    scene.host.power.resume_vm(vm_id)
    scene.host.power.start_vm(vm_id)
    assert kind_of(scene.host.machines.remove_vm, vm_id) is Kind.WRONG_STATE
    assert kind_of(scene.host.power.start_vm, str(uuid4())) is Kind.VM_NOT_FOUND


def test_guest_writes_only_while_the_machine_runs(scene):
    vm_id = scene.machine(start=False)
    assert kind_of(scene.write, vm_id) is Kind.WRONG_STATE
    scene.host.power.start_vm(vm_id)
    assert kind_of(scene.write, vm_id, offset=1) is Kind.INVALID_ARGUMENT
    assert kind_of(scene.write, vm_id, offset=SIZE) is Kind.INVALID_ARGUMENT
    scene.write(vm_id)
    assert scene.live_difference(vm_id) is None


def test_guest_writes_only_the_pages_of_an_image_that_differ(scene, tmp_path):
    vm_id = scene.machine()
    image = tmp_path / "image.raw"
    image.write_bytes(b"a" * 4096 + bytes(MiB) + b"b" * 8192)
    assert scene.host.guest.write_image(vm_id, SLOT, image=image) == 3 * 4096
    image.write_bytes(b"a" * 4096 + bytes(MiB) + b"b" * 4096 + b"c" * 4096)
    assert scene.host.guest.write_image(vm_id, SLOT, image=image) == 4096
    image.write_bytes(bytes(4096 + MiB) + b"b" * 4096 + b"c" * 4096)
    assert scene.host.guest.write_image(vm_id, SLOT, image=image) == 4096
    assert scene.live_difference(vm_id) is None


def test_guest_is_paused_when_its_volume_is_full_and_loses_nothing(scene):
    vm_id = scene.machine()
    scene.admin.fill_volume("C", free=MiB)
    assert kind_of(scene.write, vm_id, data=b"x" * 4 * MiB) is Kind.VOLUME_FULL
    assert scene.call("Get-HvrVm", VmId=vm_id)[0]["State"] == "Paused"
    scene.admin.fill_volume("C", free=1 << 40)
    scene.host.power.resume_vm(vm_id)
    scene.write(vm_id, offset=5 * MiB)
    assert scene.host.guest.read(vm_id, SLOT, offset=0, length=4 * MiB) == b"x" * 4 * MiB
    assert scene.live_difference(vm_id) is None


def test_write_that_waits_for_room_is_no_concern_of_another_machine(scene):
    full = scene.machine("full")
    scene.admin.fill_volume("C", free=MiB)
    assert kind_of(scene.write, full, data=b"x" * 4 * MiB) is Kind.VOLUME_FULL
    scene.restart()
    scene.admin.fill_volume("C", free=1 << 40)
    scene.write(scene.machine("other"))
    scene.restart()
    assert scene.live_difference(full) is None, "the restart has done it"


def test_machine_whose_disk_was_taken_while_the_host_was_down_is_off(scene):
    vm_id = scene.machine()
    path = str(scene.host.lab.volumes.local(scene.leaf(vm_id)))
    scene.close()
    with files.open_leaf(path):
        scene.restart()
        assert scene.call("Get-HvrVm", VmId=vm_id)[0]["State"] == "Off"
    scene.host.power.start_vm(vm_id)


def test_started_replica_gets_a_shadow_of_what_it_holds(scene, fence, replica):
    scene.admin.edit_offline(replica, SLOT, offset=MiB, data=b"sent" * 1024)
    drive = scene.host.disks.get_vm_hard_disk_drive(replica)[0]
    scene.host.lab.shadows.live(replica, drive.disk_id).unlink()
    scene.host.power.start_vm(replica)
    scene.write(replica, offset=0)
    assert scene.live_difference(replica) is None


def test_disk_of_a_new_machine_can_begin_with_an_image(scene, tmp_path):
    image = tmp_path / "image.raw"
    image.write_bytes(b"content!" * 4096)
    vm_id = scene.machine(disks=[NewDisk(SIZE, image=str(image), fixed=True)])
    assert scene.live_difference(vm_id) is None
    assert scene.call("Get-HvrVmConfig", VmId=vm_id)[1]["Allocation"] == "Fixed"
