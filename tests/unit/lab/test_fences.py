# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source host remembers of replicas: epochs, and leases of checkpoints."""

from __future__ import annotations

from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError
from ansible_collections.opendr.hyperv.tests.unit.lab.scene import REPLICA_ID

OTHER = "5e1f0000-0000-4000-8000-000000000002"
NAME = str(CheckpointName(UUID(REPLICA_ID), UUID(int=1)))
DAY = 24 * 3600


def refusal(scene, function, **parameters):
    with pytest.raises(HostError) as caught:
        scene.call(function, **parameters)
    return caught.value.error_id


def hold(scene, vm_id, seconds=100, **fence):
    scene.call("Set-HvrCheckpointLease", VmId=vm_id, Seconds=seconds, **fence)


def lease(scene, vm_id):
    return [row["LeaseSeconds"] for row in scene.call("Get-HvrCheckpoint", VmId=vm_id)]


def expired(scene):
    return [row["Name"] for row in scene.call("Remove-HvrExpiredCheckpoint")]


def test_older_epoch_is_refused_also_after_a_restart(scene):
    vm_id = scene.machine()
    hold(scene, vm_id, Epoch=5)
    scene.restart()
    assert refusal(scene, "New-HvrCheckpoint", VmId=vm_id, Name=NAME, Consistency="Crash", Epoch=4) == "Hvr.Fenced"
    assert refusal(scene, "Set-HvrCheckpointLease", VmId=vm_id, Seconds=1, Epoch=4) == "Hvr.Fenced"
    assert scene.call("Get-HvrCheckpoint", VmId=vm_id) == []
    scene.call("New-HvrCheckpoint", VmId=vm_id, Name=NAME, Consistency="Crash", Epoch=5)
    hold(scene, vm_id, ReplicaId=OTHER, Epoch=1)


def test_newer_epoch_counts_also_when_the_call_itself_is_refused(scene):
    vm_id = scene.machine()
    assert refusal(scene, "Convert-HvrCheckpoint", VmId=vm_id, CheckpointId="none", Epoch=7) == "Hvr.CheckpointNotFound"
    assert refusal(scene, "Set-HvrCheckpointLease", VmId=vm_id, Seconds=1, Epoch=6) == "Hvr.Fenced"


def test_lease_holds_a_checkpoint_that_is_made_after_it(scene):
    vm_id = scene.machine()
    hold(scene, vm_id)
    scene.time += 40
    scene.checkpoint(vm_id, NAME)
    assert lease(scene, vm_id) == [60]


def test_lease_is_extended_and_ends_by_the_clock_of_the_host(scene):
    vm_id = scene.machine()
    hold(scene, vm_id)
    checkpoint = scene.checkpoint(vm_id, NAME)
    scene.time += 90
    hold(scene, vm_id)
    scene.time += 99
    assert expired(scene) == []
    scene.restart()
    scene.time += 1
    assert lease(scene, vm_id) == [0]
    assert expired(scene) == [NAME]
    assert expired(scene) == []
    assert refusal(scene, "Convert-HvrCheckpoint", VmId=vm_id, CheckpointId=checkpoint) == "Hvr.CheckpointNotFound"


def test_checkpoint_without_a_note_of_a_lease_stays_for_a_day(scene):
    vm_id = scene.machine()
    scene.checkpoint(vm_id, NAME)
    scene.time += DAY - 1
    assert (lease(scene, vm_id), expired(scene)) == ([1], [])
    scene.time += 1
    assert expired(scene) == [NAME]


def test_checkpoint_of_another_product_is_never_removed(scene):
    vm_id = scene.machine()
    scene.checkpoint(vm_id, "Backup 7")
    scene.time += 400 * DAY
    assert (lease(scene, vm_id), expired(scene)) == ([0], [])


def test_checkpoint_of_another_replica_is_left_alone_while_its_lease_lasts(scene):
    vm_id = scene.machine()
    hold(scene, vm_id)
    asked = {"VmId": vm_id, "CheckpointId": scene.checkpoint(vm_id, NAME), "ReplicaId": OTHER}
    for function in ("Remove-HvrCheckpoint", "Convert-HvrCheckpoint"):
        assert refusal(scene, function, **asked) == "Hvr.AccessDenied"
    scene.time += 100
    scene.call("Remove-HvrCheckpoint", **asked)
    assert scene.call("Get-HvrCheckpoint", VmId=vm_id) == []
