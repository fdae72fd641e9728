# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process may die at any moment: what was answered stays, what was not is done or undone as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.disk_files import DiskFile
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.shadows import Shadows
from ansible_collections.opendr.hyperv.tests.lab.hyperv.volumes import Volumes
from ansible_collections.opendr.hyperv.tests.lab.oracles import first_difference, qemu_img_check
from ansible_collections.opendr.hyperv.tests.unit.lab.scene import Scene


class Killed(BaseException):
    """The process dies here."""


class Countdown:
    """Kills before the Nth thing that the lab writes, whatever it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        for owner, name in [
            (Lab, "commit"),
            (DiskFile, "write"),
            (DiskFile, "resize"),
            (Volumes, "remove_file"),
            (Shadows, "write"),
            (Shadows, "freeze"),
            (Shadows, "thaw"),
            (Path, "replace"),
        ]:
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, method):
        def step(*arguments, **named):
            if self.left is not None:
                if self.left == 0:
                    raise Killed
                self.left -= 1
            return method(*arguments, **named)

        return step


def kill_everywhere(tmp_path, countdown, *, prepare, act, judge):
    """Prepare, act with a death before the first, second, ... write, start again and judge, until it is not reached."""
    for moment in range(1000):
        scene = Scene(tmp_path / str(moment))
        facts = prepare(scene)
        countdown.left = moment
        try:
            act(scene, facts)
            done = True
        except Killed:
            done = False
        countdown.left = None
        scene.restart()
        judge(scene, facts, done)
        scene.close()
        if done:
            return moment
    raise AssertionError("it never comes to an end")


def prepare_running(scene):
    vm_id = scene.machine()
    scene.write(vm_id, data=os.urandom(96 * KiB))
    return {"vm_id": vm_id, "data": os.urandom(64 * KiB)}


def sound(scene, facts):
    """The guest's disk equals its shadow, no file is left over, everything can go on."""
    vm_id = facts["vm_id"]
    assert scene.live_difference(vm_id) is None
    machine = scene.host.lab.machine(vm_id)
    folder = scene.host.lab.volumes.local(machine.folder)
    names = {path.name for path in folder.iterdir() if path.suffix in {".vhdx", ".avhdx"}}
    assert names == {path.rsplit("\\", 1)[1] for path in machine.files}
    assert qemu_img_check(scene.chain(scene.leaf(vm_id))[-1]) == ""


@pytest.fixture
def countdown(monkeypatch):
    return Countdown(monkeypatch)


@pytest.mark.needs("qemu-img")
def test_death_while_the_guest_writes(tmp_path, countdown):
    def act(scene, facts):
        scene.write(facts["vm_id"], offset=5 * MiB, data=facts["data"])

    def judge(scene, facts, done):
        sound(scene, facts)
        if done:
            found = scene.host.guest.read(facts["vm_id"], "SCSI 0:0", offset=5 * MiB, length=64 * KiB)
            assert found == facts["data"]

    assert kill_everywhere(tmp_path, countdown, prepare=prepare_running, act=act, judge=judge) > 3


@pytest.mark.needs("qemu-img")
def test_death_while_a_checkpoint_is_made(tmp_path, countdown):
    def act(scene, facts):
        scene.checkpoint(facts["vm_id"], "point-1")

    def judge(scene, facts, done):
        sound(scene, facts)
        found = scene.call("Get-HvrCheckpoint", VmId=facts["vm_id"])
        if done:
            assert [row["Name"] for row in found] == ["point-1"]
        for row in found:
            [frozen] = scene.admin.shadow_of(row["CheckpointId"]).values()
            [disk] = scene.disks(facts["vm_id"], row["CheckpointId"])
            assert first_difference(scene.chain(disk["ChainPaths"][0]), frozen) is None

    assert kill_everywhere(tmp_path, countdown, prepare=prepare_running, act=act, judge=judge) > 10


@pytest.mark.needs("qemu-img")
def test_death_while_a_checkpoint_becomes_a_reference_point_and_merges(tmp_path, countdown):
    def prepare(scene):
        facts = prepare_running(scene)
        facts["checkpoint"] = scene.checkpoint(facts["vm_id"], "point-1")
        scene.write(facts["vm_id"], offset=512, data=facts["data"])
        return facts

    def act(scene, facts):
        scene.convert(facts["vm_id"], facts["checkpoint"])
        scene.admin.settle()

    def judge(scene, facts, done):
        scene.admin.settle()
        sound(scene, facts)
        before = scene.convert(facts["vm_id"], facts["checkpoint"])
        scene.admin.settle()
        assert len(scene.chain(scene.leaf(facts["vm_id"]))) == 1
        changed = scene.changes(facts["vm_id"], scene.checkpoint(facts["vm_id"], "point-2"), before)
        assert [extent.offset for extent in changed] == [0]

    assert kill_everywhere(tmp_path, countdown, prepare=prepare, act=act, judge=judge) > 10


@pytest.mark.needs("qemu-img")
def test_death_while_a_checkpoint_is_applied(tmp_path, countdown):
    def prepare(scene):
        facts = prepare_running(scene)
        user = scene.host.snapshots.checkpoint_vm(facts["vm_id"], snapshot_name="user")
        scene.write(facts["vm_id"], offset=512, data=facts["data"])
        scene.host.power.stop_vm(facts["vm_id"])
        return facts | {"user": user.checkpoint_id}

    def act(scene, facts):
        scene.host.snapshots.restore_vm_snapshot(facts["vm_id"], checkpoint_id=facts["user"])

    def judge(scene, facts, done):
        assert scene.live_difference(facts["vm_id"]) is None
        scene.admin.settle()
        sound(scene, facts)

    assert kill_everywhere(tmp_path, countdown, prepare=prepare, act=act, judge=judge) > 10


@pytest.mark.needs("qemu-img")
def test_death_while_a_restore_point_in_the_middle_is_merged(tmp_path, countdown):
    def prepare(scene):
        vm_id = scene.machine(start=False)
        for number in range(3):
            scene.admin.edit_offline(vm_id, "SCSI 0:0", offset=number * 64 * KiB, data=os.urandom(96 * KiB))
            scene.host.snapshots.checkpoint_vm(vm_id, snapshot_name=f"rp-{number}")
        return {"vm_id": vm_id}

    def act(scene, facts):
        middle = scene.host.snapshots.get_vm_snapshot(facts["vm_id"])[1]
        scene.host.snapshots.remove_vm_snapshot(facts["vm_id"], checkpoint_id=middle.checkpoint_id)
        scene.admin.settle()

    def judge(scene, facts, done):
        scene.admin.settle()
        sound(scene, facts)
        for point in scene.host.snapshots.get_vm_snapshot(facts["vm_id"]):
            [frozen] = scene.admin.shadow_of(point.checkpoint_id).values()
            assert first_difference(scene.chain(point.settings.drives[0].path), frozen) is None

    assert kill_everywhere(tmp_path, countdown, prepare=prepare, act=act, judge=judge) > 10
