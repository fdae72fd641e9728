# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery checkpoints, reference points and change queries."""

from __future__ import annotations

import os
from uuid import uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import NewDisk
from ansible_collections.opendr.hyperv.tests.lab.oracles import first_difference
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError
from ansible_collections.opendr.hyperv.tests.unit.lab.scene import SIZE, SLOT


def refusal(scene, function, **parameters):
    with pytest.raises(HostError) as caught:
        scene.call(function, **parameters)
    return caught.value.error_id


def test_checkpoint_freezes_the_disk_while_the_guest_goes_on(scene):
    vm_id = scene.machine()
    scene.write(vm_id, data=b"before" * 256 + bytes(512 * 5))
    checkpoint = scene.checkpoint(vm_id, "point-1")
    scene.write(vm_id, data=os.urandom(64 * KiB))
    [disk] = scene.disks(vm_id, checkpoint)
    [frozen] = scene.admin.shadow_of("point-1").values()
    assert first_difference(scene.chain(disk["ChainPaths"][0]), frozen) is None
    assert scene.live_difference(vm_id) is None
    assert scene.leaf(vm_id) not in disk["ChainPaths"]


def test_checkpoint_of_the_same_name_is_returned_again(scene):
    vm_id = scene.machine()
    assert scene.checkpoint(vm_id, "point-1") == scene.checkpoint(vm_id, "point-1")
    assert len(scene.call("Get-HvrCheckpoint", VmId=vm_id)) == 1


def test_second_checkpoint_is_refused_while_one_exists(scene):
    vm_id = scene.machine()
    scene.checkpoint(vm_id, "of another product")
    assert refusal(scene, "New-HvrCheckpoint", VmId=vm_id, Name="ours", Consistency="Crash") == "Hvr.Busy"


def test_checkpoint_while_merging_is_refused_unless_the_switch_allows_it(scene):
    vm_id = scene.machine()
    scene.convert(vm_id, scene.checkpoint(vm_id, "first"))
    assert refusal(scene, "New-HvrCheckpoint", VmId=vm_id, Name="second", Consistency="Crash") == "Hvr.Busy"
    scene.admin.set_switches({"checkpoint_while_merging": "allowed"})
    checkpoint = scene.checkpoint(vm_id, "second")
    chain = scene.disks(vm_id, checkpoint)[0]["ChainPaths"]
    scene.admin.settle()
    assert scene.disks(vm_id, checkpoint)[0]["ChainPaths"] == chain, "a file that is being read was merged"


@pytest.mark.parametrize(("version", "answer"), [("6.1", "Hvr.VersionTooOld"), ("5.0", "Hvr.VersionTooOld")])
def test_machine_below_6_2_has_no_recovery_checkpoints(scene, version, answer):
    vm_id = scene.machine(version=version)
    assert refusal(scene, "New-HvrCheckpoint", VmId=vm_id, Name="x", Consistency="Crash") == answer


def test_machine_below_8_0_has_checkpoints_without_tracking(scene):
    vm_id = scene.machine(version="7.1")
    checkpoint = scene.checkpoint(vm_id)
    assert refusal(scene, "Convert-HvrCheckpoint", VmId=vm_id, CheckpointId=checkpoint) == "Hvr.WrongState"
    scene.admin.set_switches({"untracked_conversion": "empty"})
    assert scene.convert(vm_id, checkpoint) == {}


def test_disabled_checkpoints_are_refused(scene):
    vm_id = scene.machine()
    scene.host.machines.set_checkpoint_type(vm_id, checkpoint_type="Disabled")
    asked = {"VmId": vm_id, "Name": "x", "Consistency": "Crash"}
    assert refusal(scene, "New-HvrCheckpoint", **asked) == "Hvr.CheckpointsDisabled"


def test_failing_vss_fails_application_consistency_only(scene):
    vm_id = scene.machine()
    scene.admin.fail_vss(count=1)
    asked = {"VmId": vm_id, "Name": "x"}
    assert refusal(scene, "New-HvrCheckpoint", **asked, Consistency="Application") == "Hvr.CheckpointFailed"
    [made] = scene.call("New-HvrCheckpoint", **asked, Consistency="Application")
    assert made["Consistency"] == "Application"


@pytest.mark.parametrize("state", ["Off", "Saved", "Paused"])
@pytest.mark.parametrize("answer", ["allowed", "refused"])
def test_checkpoint_of_a_machine_that_does_not_run_follows_its_switch(scene, state, answer):
    vm_id = scene.machine()
    scene.write(vm_id)
    stop = {"Off": {}, "Saved": {"save": True}}
    scene.host.power.suspend_vm(vm_id) if state == "Paused" else scene.host.power.stop_vm(vm_id, **stop[state])
    scene.admin.set_switches({f"recovery_on_{state.lower()}": answer})
    asked = {"VmId": vm_id, "Name": "x", "Consistency": "Application"}
    if answer == "refused":
        assert refusal(scene, "New-HvrCheckpoint", **asked) == "Hvr.WrongState"
    else:
        assert scene.call("New-HvrCheckpoint", **asked)[0]["Consistency"] == "Crash"


def test_disks_that_cannot_be_frozen_are_named(scene):
    odd = [NewDisk(0, location=n, kind=k, path=f"\\\\.\\{k}") for n, k in enumerate(["PassThrough", "VhdSet"], start=1)]
    vm_id = scene.machine(disks=[NewDisk(SIZE), *odd])
    [made] = scene.call("New-HvrCheckpoint", VmId=vm_id, Name="x", Consistency="Crash")
    assert made["IgnoredDisks"] == ["SCSI 0:1", "SCSI 0:2"]
    assert len(scene.disks(vm_id, made["CheckpointId"])) == 1


def test_conversion_is_repeatable_while_the_reference_point_lives(scene):
    vm_id = scene.machine()
    checkpoint = scene.checkpoint(vm_id)
    assert scene.convert(vm_id, checkpoint) == scene.convert(vm_id, checkpoint)
    [point] = scene.call("Get-HvrReferencePoint", VmId=vm_id)
    scene.call("Remove-HvrReferencePoint", VmId=vm_id, ReferencePointId=point["ReferencePointId"])
    scene.call("Remove-HvrReferencePoint", VmId=vm_id, ReferencePointId=point["ReferencePointId"])
    assert refusal(scene, "Convert-HvrCheckpoint", VmId=vm_id, CheckpointId=checkpoint) == "Hvr.CheckpointNotFound"


def test_pairs_belong_together_in_any_order(scene):
    vm_id = scene.machine(disks=[NewDisk(SIZE, location=number) for number in range(5)])
    checkpoint = scene.checkpoint(vm_id)
    expected = scene.host.lab.state.machines[vm_id].checkpoints[0].rct_ids
    assert scene.convert(vm_id, checkpoint) == expected


def test_query_lists_what_was_written_since_the_point(scene):
    vm_id = scene.machine()
    scene.write(vm_id, offset=0)
    before = scene.tracking_point(vm_id, "first")
    scene.write(vm_id, offset=3 * MiB + 512, data=b"x" * 512)
    checkpoint = scene.checkpoint(vm_id, "second")
    assert scene.changes(vm_id, checkpoint, before) == [Extent(3 * MiB, 128 * KiB)]


def test_writes_after_the_checkpoint_are_listed_only_by_the_switch(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    checkpoint = scene.checkpoint(vm_id, "second")
    scene.write(vm_id, offset=MiB)
    assert scene.changes(vm_id, checkpoint, before) == [Extent(MiB, 128 * KiB)]
    scene.admin.set_switches({"changed_until": "checkpoint"})
    assert scene.changes(vm_id, checkpoint, before) == []


def test_removed_checkpoint_leaves_the_older_point_valid(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    scene.write(vm_id, offset=MiB)
    scene.call("Remove-HvrCheckpoint", VmId=vm_id, CheckpointId=scene.checkpoint(vm_id, "failed"))
    assert scene.admin.settle()
    scene.write(vm_id, offset=2 * MiB)
    assert [e.offset for e in scene.changes(vm_id, scene.checkpoint(vm_id, "x"), before)] == [MiB, 2 * MiB]


def tracking_error(scene, vm_id, rct_ids):
    scene.admin.settle()
    checkpoint = scene.checkpoint(vm_id, f"probe-{uuid4()}")
    with pytest.raises(HostError) as caught:
        scene.changes(vm_id, checkpoint, rct_ids)
    assert caught.value.error_id == "Hvr.TrackingLost"
    return caught.value.target


def test_tracking_is_lost_with_the_point_that_somebody_destroyed(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    [point] = scene.call("Get-HvrReferencePoint", VmId=vm_id)
    scene.host.checkpoints.destroy_reference_point(vm_id, reference_point_id=point["ReferencePointId"])
    assert tracking_error(scene, vm_id, before) == "0xC03A0029"


def test_tracking_lost_on_order_answers_with_the_code_of_the_order_then_with_an_unknown_id(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    checkpoint = scene.checkpoint(vm_id, "second")
    scene.admin.lose_tracking(vm_id, code=0xC03A0024)
    with pytest.raises(HostError) as caught:
        scene.changes(vm_id, checkpoint, before)
    assert (caught.value.error_id, caught.value.target) == ("Hvr.TrackingLost", "0xC03A0024")
    scene.call("Remove-HvrCheckpoint", VmId=vm_id, CheckpointId=checkpoint)
    assert tracking_error(scene, vm_id, before) == "0xC03A0029", "the next checkpoint begins anew"


def test_tracking_is_lost_by_an_edit_while_the_machine_is_off(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    scene.host.power.stop_vm(vm_id)
    scene.admin.edit_offline(vm_id, SLOT, offset=0, data=b"edited" * 256 + bytes(512))
    scene.host.power.start_vm(vm_id)
    tracking_error(scene, vm_id, before)


def test_stop_and_start_keep_tracking(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    scene.write(vm_id)
    scene.host.power.stop_vm(vm_id)
    scene.host.power.start_vm(vm_id)
    scene.write(vm_id, offset=MiB)
    assert [e.offset for e in scene.changes(vm_id, scene.checkpoint(vm_id, "x"), before)] == [0, MiB]


def test_restart_of_the_host_makes_tracking_coarser_and_forgets_nothing(scene):
    vm_id = scene.machine()
    before = scene.tracking_point(vm_id, "first")
    scene.write(vm_id, offset=3 * MiB + 64 * KiB, data=b"x" * 512)
    scene.restart()
    scene.write(vm_id, offset=0, data=b"x" * 512)
    assert scene.changes(vm_id, scene.checkpoint(vm_id, "x"), before) == [
        Extent(0, 128 * KiB),
        Extent(3 * MiB, MiB),
    ]


def test_file_that_is_cut_short_is_told_in_the_hosts_own_words(scene):
    vm_id = scene.machine()
    checkpoint = scene.checkpoint(vm_id)
    [path] = scene.disks(vm_id, checkpoint)[0]["ChainPaths"]
    os.truncate(scene.host.lab.volumes.local(path), 3 * MiB + 1)
    assert refusal(scene, "Get-HvrCheckpointDisk", VmId=vm_id, CheckpointId=checkpoint) == "Hvr.ChainBroken"


def test_unknown_path_machine_and_checkpoint_have_their_own_errors(scene):
    vm_id = scene.machine()
    asked = {"RctId": "rctX", "Offset": 0, "Length": MiB}
    assert refusal(scene, "Get-HvrChangedRange", Path="C:\\none.vhdx", **asked) == "Hvr.FileNotFound"
    scene.host.lab.volumes.local("C:\\alone.vhdx").write_bytes(b"")
    assert refusal(scene, "Get-HvrChangedRange", Path="C:\\alone.vhdx", **asked) == "Hvr.TrackingLost"
    assert refusal(scene, "Get-HvrCheckpointDisk", VmId=vm_id, CheckpointId="Microsoft:X") == "Hvr.CheckpointNotFound"
    assert refusal(scene, "Get-HvrCheckpoint", VmId=str(uuid4())) == "Hvr.VmNotFound"


def test_full_volume_refuses_the_checkpoint_and_leaves_nothing(scene):
    vm_id = scene.machine()
    scene.admin.fill_volume("C", free=64 * KiB)
    before = scene.host.lab.volumes.local("C:\\VMs\\web")
    names = sorted(path.name for path in before.iterdir())
    assert refusal(scene, "New-HvrCheckpoint", VmId=vm_id, Name="x", Consistency="Crash") == "Hvr.VolumeFull"
    assert sorted(path.name for path in before.iterdir()) == names
    scene.admin.fill_volume("C", free=1 << 40)
    scene.write(vm_id)
    scene.checkpoint(vm_id)
    assert scene.live_difference(vm_id) is None
