# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User checkpoints and restore points: the tree, applying, removing, and the merges that come late."""

from __future__ import annotations

import os

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.oracles import first_difference, qemu_img_check
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError


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


def write_leaf(scene, vm_id, *, offset, data):
    """Write the leaf of a machine that is off, as a mover does."""
    scene.admin.edit_offline(vm_id, "SCSI 0:0", offset=offset, data=data)


def restore_points(scene, fence, vm_id, *, count):
    """Make restore points with growing content; return their ids and the truth of each."""
    made, truths = [], []
    drive = scene.host.disks.get_vm_hard_disk_drive(vm_id)[0]
    for number in range(count):
        write_leaf(scene, vm_id, offset=number * 64 * KiB, data=os.urandom(96 * KiB))
        truths.append(scene.host.lab.shadows.live(vm_id, drive.disk_id).read_bytes())
        [point] = scene.call("New-HvrRestorePoint", **fence, VmId=vm_id, Name=f"rp-{number}")
        made.append(point["RestorePointId"])
    return made, truths


def content_differs(scene, vm_id, restore_point, truth, tmp_path):
    checkpoint = scene.host.lab.machine(vm_id).checkpoint(str(restore_point).upper())
    (tmp_path / "truth.raw").write_bytes(truth)
    return first_difference(scene.chain(checkpoint.settings.drives[0].path), tmp_path / "truth.raw")


def test_restore_point_is_returned_again_and_has_a_new_leaf(scene, fence, replica):
    before = scene.leaf(replica)
    [first] = scene.call("New-HvrRestorePoint", **fence, VmId=replica, Name="rp")
    [again] = scene.call("New-HvrRestorePoint", **fence, VmId=replica, Name="rp")
    assert first == again
    [leaf] = scene.call("Get-HvrLeaf", VmId=replica)
    assert leaf["Path"] != before
    assert leaf["Path"].endswith(".avhdx")
    assert len(scene.chain(leaf["Path"])) == 2


def test_points_keep_their_content_while_the_oldest_are_merged(scene, fence, replica, tmp_path):
    points, truths = restore_points(scene, fence, replica, count=4)
    for removed in range(2):
        scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[removed])
        assert not scene.call("Get-HvrActivity", VmId=replica)[0]["Idle"]
        assert scene.admin.settle()
        assert scene.call("Get-HvrActivity", VmId=replica)[0]["Idle"]
        for point, truth in list(zip(points, truths, strict=True))[removed + 1 :]:
            assert content_differs(scene, replica, point, truth, tmp_path) is None
    base = scene.chain(scene.leaf(replica))[-1]
    assert len(scene.chain(scene.leaf(replica))) == 3
    assert len(list(base.parent.glob("*.avhdx"))) == 2
    assert qemu_img_check(base) == ""


def test_apply_discards_the_leaf_and_stands_on_the_point(scene, fence, replica, tmp_path):
    points, truths = restore_points(scene, fence, replica, count=2)
    dirty = scene.leaf(replica)
    write_leaf(scene, replica, offset=0, data=os.urandom(MiB))
    scene.call("Restore-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[1])
    scene.admin.settle()
    assert not scene.host.lab.volumes.exists(dirty)
    (tmp_path / "truth.raw").write_bytes(truths[1])
    assert first_difference(scene.chain(scene.leaf(replica)), tmp_path / "truth.raw") is None
    assert scene.live_difference(replica) is None, "the shadow has gone back as well"


def test_apply_of_an_older_point_keeps_the_newer_ones(scene, fence, replica, tmp_path):
    points, truths = restore_points(scene, fence, replica, count=3)
    scene.call("Restore-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])
    scene.admin.settle()
    for point, truth in zip(points, truths, strict=True):
        assert content_differs(scene, replica, point, truth, tmp_path) is None
    scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])
    scene.admin.settle()
    assert len(scene.chain(scene.leaf(replica))) == 2, "two branches stand on the base: it has to stay"


def test_apply_brings_hardware_notes_and_adapters_back(scene):
    vm_id = scene.machine(start=False)
    scene.host.machines.set_notes(vm_id, notes="before")
    point = scene.host.snapshots.checkpoint_vm(vm_id, snapshot_name="user")
    scene.host.machines.set_notes(vm_id, notes="after")
    scene.host.hardware.set_vm_processor(vm_id, count=8)
    scene.host.hardware.add_vm_network_adapter(vm_id, name="second")
    scene.host.snapshots.restore_vm_snapshot(vm_id, checkpoint_id=point.checkpoint_id)
    [vm, _disk, nic] = scene.call("Get-HvrVmConfig", VmId=vm_id)
    assert (vm["Notes"], vm["ProcessorCount"], nic["Name"]) == ("before", 1, "Network Adapter")


def test_removal_returns_early_or_merged_by_the_switch(scene, fence, replica):
    points, _unused = restore_points(scene, fence, replica, count=2)
    scene.admin.set_switches({"removal_returns": "merged"})
    scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])
    assert scene.call("Get-HvrActivity", VmId=replica)[0]["Idle"]
    scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])


def test_new_point_and_apply_are_refused_while_merging(scene, fence, replica):
    points, _unused = restore_points(scene, fence, replica, count=2)
    scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])
    asked = {**fence, "VmId": replica}
    assert refusal(scene, "New-HvrRestorePoint", **asked, Name="third") == "Hvr.Busy"
    assert refusal(scene, "Restore-HvrRestorePoint", **asked, RestorePointId=points[1]) == "Hvr.WrongState"


def test_leaf_held_by_a_mover_refuses_everything_that_would_move_it(scene, fence, replica):
    points, _unused = restore_points(scene, fence, replica, count=1)
    asked = {**fence, "VmId": replica}
    with files.open_leaf(str(scene.host.lab.volumes.local(scene.leaf(replica)))):
        assert refusal(scene, "New-HvrRestorePoint", **asked, Name="second") == "Hvr.InUse"
        assert refusal(scene, "Restore-HvrRestorePoint", **asked, RestorePointId=points[0]) == "Hvr.InUse"
        assert refusal(scene, "Remove-HvrRestorePoint", **asked, RestorePointId=points[0]) == "Hvr.InUse"
        with pytest.raises(Refusal) as caught:
            scene.host.power.start_vm(replica)
    assert caught.value.kind is Kind.IN_USE


def test_merge_waits_while_somebody_holds_a_file(scene, fence, replica):
    points, _unused = restore_points(scene, fence, replica, count=2)
    base = scene.chain(scene.leaf(replica))[-1]
    scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])
    with files.open_leaf(str(base)):
        assert not scene.admin.settle()
    assert scene.admin.settle()


def test_merge_waits_for_room_on_the_volume(scene, fence, replica, tmp_path):
    points, truths = restore_points(scene, fence, replica, count=2)
    scene.call("Remove-HvrRestorePoint", **fence, VmId=replica, RestorePointId=points[0])
    scene.admin.fill_volume("C", free=64 * KiB)
    assert not scene.admin.settle()
    assert content_differs(scene, replica, points[1], truths[1], tmp_path) is None
    scene.admin.fill_volume("C", free=1 << 40)
    assert scene.admin.settle()
    assert content_differs(scene, replica, points[1], truths[1], tmp_path) is None


def test_running_machine_is_neither_checkpointed_nor_restored_as_a_replica(scene, fence, replica):
    points, _unused = restore_points(scene, fence, replica, count=1)
    scene.host.power.start_vm(replica)
    asked = {**fence, "VmId": replica}
    assert refusal(scene, "New-HvrRestorePoint", **asked, Name="second") == "Hvr.WrongState"
    assert refusal(scene, "Restore-HvrRestorePoint", **asked, RestorePointId=points[0]) == "Hvr.WrongState"
    assert refusal(scene, "Remove-HvrRestorePoint", **asked, RestorePointId=points[0]) == "Hvr.WrongState"


def test_unknown_restore_point_is_an_error_to_apply_and_success_to_remove(scene, fence, replica):
    unknown = {**fence, "VmId": replica, "RestorePointId": "00000000-0000-0000-0000-000000000001"}
    assert refusal(scene, "Restore-HvrRestorePoint", **unknown) == "Hvr.RestorePointNotFound"
    assert scene.call("Remove-HvrRestorePoint", **unknown) == []


def test_removed_machine_is_gone_while_its_files_are_still_merged(scene, fence, replica, tmp_path):
    _unused, truths = restore_points(scene, fence, replica, count=2)
    base = scene.host.lab.images.walk(scene.leaf(replica))[-1]
    scene.call("Remove-HvrVm", **fence, VmId=replica)
    assert scene.call("Get-HvrVm", Name="web_replica") == []
    assert refusal(scene, "Remove-HvrFile", **fence, Path=base) == "Hvr.InUse"
    scene.admin.settle()
    (tmp_path / "truth.raw").write_bytes(truths[1])
    assert first_difference([scene.host.lab.volumes.local(base)], tmp_path / "truth.raw") is None
    scene.call("Remove-HvrFile", **fence, Path=base)
    scene.call("Remove-HvrFile", **fence, Path=base)
    assert not scene.host.lab.volumes.exists(base)
