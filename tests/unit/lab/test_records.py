# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replica records and the fence they make."""

from __future__ import annotations

import json

import pytest

from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError
from ansible_collections.opendr.hyperv.tests.unit.lab.scene import REPLICA


def refusal(scene, function, **parameters):
    with pytest.raises(HostError) as caught:
        scene.call(function, **parameters)
    return caught.value.error_id


def record(epoch, revision=1, **more):
    return json.dumps({"epoch": epoch, "revision": revision, **more})


def put(scene, expected, text, folder=REPLICA):
    epoch, revision = expected
    return {"Folder": folder, "ExpectedEpoch": epoch, "ExpectedRevision": revision, "Record": text}


def test_record_is_written_read_found_and_removed(scene):
    assert scene.call("Get-HvrReplicaRecord", Folder=REPLICA) == []
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1)))
    scene.call("Set-HvrReplicaRecord", **put(scene, (1, 1), record(1, 2, state="ready")))
    scene.call("Set-HvrReplicaRecord", **put(scene, (1, 2), record(2, 3)))
    [found] = scene.call("Get-HvrReplicaRecord", Folder=REPLICA.upper())
    assert (found["Epoch"], found["Revision"], found["Record"]) == (2, 3, record(2, 3))
    [listed] = scene.call("Find-HvrReplicaRecord", Folder="C:\\Replica")
    assert (listed["Folder"], listed["Epoch"], listed["Revision"]) == (REPLICA, 2, 3)
    scene.call("Remove-HvrReplicaRecord", Folder=REPLICA, Epoch=2)
    scene.call("Remove-HvrReplicaRecord", Folder=REPLICA, Epoch=2)
    assert not scene.host.lab.volumes.exists(REPLICA)
    assert scene.call("Find-HvrReplicaRecord", Folder="C:\\Nowhere") == []


def test_same_record_again_is_success_and_makes_it_young(scene):
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1)))
    scene.time += 100
    assert scene.call("Get-HvrReplicaRecord", Folder=REPLICA)[0]["AgeSeconds"] == 100
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1)))
    assert scene.call("Get-HvrReplicaRecord", Folder=REPLICA)[0]["AgeSeconds"] == 0


def test_record_of_a_clock_that_jumped_back_is_young(scene):
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1)))
    scene.admin.set_clock(offset=-3600)
    assert scene.call("Find-HvrReplicaRecord", Folder="C:\\Replica")[0]["AgeSeconds"] == 0


LATE = [((0, 0), (1, 1)), ((1, 1), (1, 2)), ((2, 2), (2, 3)), ((1, 2), (2, 3)), ((2, 3), (2, 4))]


@pytest.mark.parametrize(("expected", "written"), LATE)
def test_write_that_expects_another_record_than_the_stored_one_is_fenced(scene, expected, written):
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1)))
    scene.call("Set-HvrReplicaRecord", **put(scene, (1, 1), record(1, 2, by="one")))
    scene.call("Set-HvrReplicaRecord", **put(scene, (1, 2), record(1, 3, by="one")))
    asked = put(scene, expected, record(*written, by="another"))
    assert refusal(scene, "Set-HvrReplicaRecord", **asked) == "Hvr.Fenced"
    assert scene.call("Get-HvrReplicaRecord", Folder=REPLICA)[0]["Record"] == record(1, 3, by="one")


ILLEGAL = ["", "{", "[]", "{}", '{"epoch": "1"}', '{"epoch": true, "revision": 2}', '{"epoch": -1, "revision": 2}']


@pytest.mark.parametrize("text", [*ILLEGAL, '{"epoch": 1}', record(1, 1, x=1), record(1, 3), record(3, 2)])
def test_record_without_a_legal_epoch_and_revision_is_refused(scene, text):
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1)))
    wanted = "Hvr.InvalidArgument" if not text else "Hvr.RecordInvalid"
    assert refusal(scene, "Set-HvrReplicaRecord", **put(scene, (1, 1), text)) == wanted


def test_damaged_record_is_told_and_listed(scene):
    scene.take_replica()
    scene.host.lab.volumes.local(f"{REPLICA}\\replica.json").write_text("{", encoding="utf-8")
    assert refusal(scene, "Get-HvrReplicaRecord", Folder=REPLICA) == "Hvr.RecordInvalid"
    assert [row["Epoch"] for row in scene.call("Find-HvrReplicaRecord", Folder="C:\\Replica")] == [0]


def test_record_outside_the_allowed_roots_is_refused(scene):
    scene.admin.set_replica_roots(["C:\\Replica"])
    for folder in ("C:\\Windows\\web", "C:\\Replica\\..\\Windows", "C:\\Replica", "\\\\server\\share\\web", "web"):
        asked = put(scene, (0, 0), record(1), folder)
        assert refusal(scene, "Set-HvrReplicaRecord", **asked) == "Hvr.PathNotAllowed"
    scene.call("Set-HvrReplicaRecord", **put(scene, (0, 0), record(1), "c:\\replica\\WEB"))


def test_full_volume_keeps_the_old_record(scene):
    scene.take_replica()
    scene.admin.fill_volume("C", free=0)
    assert refusal(scene, "Set-HvrReplicaRecord", **put(scene, (1, 1), record(2, 2))) == "Hvr.VolumeFull"
    assert scene.call("Get-HvrReplicaRecord", Folder=REPLICA)[0]["Epoch"] == 1


def test_functions_of_a_replica_are_fenced_by_its_record(scene):
    asked = {"Folder": REPLICA, "Name": "x", "Marker": "m", "Generation": 2, "Version": "9.0"}
    assert refusal(scene, "New-HvrVm", **asked, Epoch=1) == "Hvr.Fenced", "there is no record yet"
    fence = scene.take_replica()
    vm_id = scene.replica(fence)
    for epoch in (0, 2):
        assert refusal(scene, "New-HvrRestorePoint", Folder=REPLICA, Epoch=epoch, VmId=vm_id, Name="x") == "Hvr.Fenced"
    scene.call("New-HvrRestorePoint", **fence, VmId=vm_id, Name="x")


def test_record_of_one_replica_gives_no_right_over_another_machine(scene):
    fence = scene.take_replica()
    stranger = scene.machine("stranger", start=False)
    assert refusal(scene, "Remove-HvrVm", **fence, VmId=stranger) == "Hvr.AccessDenied"


def test_files_are_removed_inside_the_folder_only_and_never_the_record(scene):
    fence = scene.take_replica()
    for path in ("C:\\VMs\\x.vhdx", f"{REPLICA}\\..\\other\\x.vhdx", f"{REPLICA}\\REPLICA.json", REPLICA):
        assert refusal(scene, "Remove-HvrFile", **fence, Path=path) == "Hvr.PathNotAllowed"
