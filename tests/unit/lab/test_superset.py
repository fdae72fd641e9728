# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever happens on a machine: changed ranges cover the real change or are refused, and disks equal their shadows."""

from __future__ import annotations

import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import NewDisk
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches
from ansible_collections.opendr.hyperv.tests.lab.oracles import first_difference, qemu_img_check
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError
from ansible_collections.opendr.hyperv.tests.unit.lab.scene import SLOT, Scene

SIZE = 6 * MiB
PAGE = 4 * KiB
EXAMPLES = settings().max_examples // 3  # a story is longer than most examples

writes = st.tuples(st.just("write"), st.integers(0, SIZE // 512 - 1), st.integers(1, 600), st.integers(0, 255))
others = st.sampled_from(["point", "failed", "user", "apply", "remove", "settle", "restart", "cycle_power"])
steps = st.lists(st.one_of(writes, writes, others.map(lambda name: (name,))), min_size=4, max_size=24)
answers = st.fixed_dictionaries(
    {each.name: st.sampled_from(each.metadata["values"]) for each in fields(Switches) if "values" in each.metadata}
)


class Story:
    """Plays steps on a machine and remembers what its disk held at each tracking point."""

    def __init__(self, folder: Path, chosen: dict[str, object]) -> None:
        self.scene = Scene(folder)
        self.scene.admin.set_switches(chosen | {"applied_checkpoint": "lost"})
        self.vm_id = self.scene.machine(disks=[NewDisk(SIZE)])
        self.points: list[tuple[dict[str, str], bytes]] = []
        self.count = 0

    def play(self, step: tuple) -> None:
        getattr(self, step[0])(*step[1:])

    def write(self, sector: int, count: int, fill: int) -> None:
        count = min(count, SIZE // 512 - sector)
        self.scene.write(self.vm_id, offset=sector * 512, data=bytes([fill]) * (512 * count))

    def point(self) -> None:
        checkpoint, content = self.checkpoint()
        self.points.append((self.scene.convert(self.vm_id, checkpoint), content))

    def failed(self) -> None:
        checkpoint, _unused = self.checkpoint()
        self.scene.call("Remove-HvrCheckpoint", VmId=self.vm_id, CheckpointId=checkpoint)

    def user(self) -> None:
        self.scene.admin.settle()
        self.count += 1
        self.scene.host.snapshots.checkpoint_vm(self.vm_id, snapshot_name=f"user-{self.count}")

    def apply(self) -> None:
        known = self.scene.host.snapshots.get_vm_snapshot(self.vm_id)
        if known:
            self.scene.admin.settle()
            self.scene.host.power.stop_vm(self.vm_id)
            self.scene.host.snapshots.restore_vm_snapshot(self.vm_id, checkpoint_id=known[0].checkpoint_id)
            self.scene.host.power.start_vm(self.vm_id)

    def remove(self) -> None:
        known = self.scene.host.snapshots.get_vm_snapshot(self.vm_id)
        if known:
            self.scene.host.snapshots.remove_vm_snapshot(self.vm_id, checkpoint_id=known[-1].checkpoint_id)

    def settle(self) -> None:
        assert self.scene.admin.settle()

    def restart(self) -> None:
        self.scene.restart()

    def cycle_power(self) -> None:
        self.scene.host.power.stop_vm(self.vm_id)
        self.scene.host.power.start_vm(self.vm_id)

    def checkpoint(self) -> tuple[str, bytes]:
        """Make a recovery checkpoint, prove its content and every query on it; return it and what it froze."""
        self.scene.admin.settle()
        self.count += 1
        name = f"point-{self.count}"
        checkpoint = self.scene.checkpoint(self.vm_id, name)
        [frozen] = self.scene.admin.shadow_of(name).values()
        [disk] = self.scene.disks(self.vm_id, checkpoint)
        assert first_difference(self.scene.chain(disk["ChainPaths"][0]), frozen) is None
        content = frozen.read_bytes()
        for rct_ids, old in self.points:
            self.prove_superset(checkpoint, rct_ids, real=differing(old, content))
        return checkpoint, content

    def prove_superset(self, checkpoint: str, rct_ids: dict[str, str], *, real: list[int]) -> None:
        try:
            found = self.scene.changes(self.vm_id, checkpoint, rct_ids)
        except HostError as error:
            if error.error_id == "Hvr.TrackingLost":
                return
            raise
        missed = [offset for offset in real if not any(e.offset <= offset < e.end for e in found)]
        assert missed == [], f"changes at {missed} are not among {found}"

    def finish(self) -> None:
        assert self.scene.admin.settle()
        self.checkpoint()
        assert self.scene.live_difference(self.vm_id) is None
        base = self.scene.chain(self.scene.leaf(self.vm_id))[-1]
        assert qemu_img_check(base) == ""
        self.scene.close()


def differing(old: bytes, new: bytes) -> list[int]:
    return [offset for offset in range(0, len(new), PAGE) if old[offset : offset + PAGE] != new[offset : offset + PAGE]]


@pytest.mark.needs("qemu-img")
@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(story=steps, chosen=answers)
@example(story=[("user",), ("write", 0, 8, 1), ("point",), ("apply",), ("point",)], chosen={})
@example(story=[("point",), ("write", 99, 8, 1), ("restart",), ("failed",), ("write", 0, 8, 1), ("point",)], chosen={})
def test_changes_are_a_superset_and_disks_equal_their_shadows(story, chosen):
    with tempfile.TemporaryDirectory() as folder:
        played = Story(Path(folder), chosen)
        try:
            for step in story:
                played.play(step)
            played.finish()
        finally:
            played.scene.close()


def test_violated_tracking_after_an_applied_checkpoint_is_what_the_switch_says(scene):
    """The answer that a real host may give, and an engine must not believe: an incomplete list without an error."""
    scene.admin.set_switches({"applied_checkpoint": "violated"})
    vm_id = scene.machine()
    user = scene.host.snapshots.checkpoint_vm(vm_id, snapshot_name="user")
    scene.write(vm_id, offset=2 * MiB)
    point = scene.tracking_point(vm_id, "first")
    scene.host.power.stop_vm(vm_id)
    scene.host.snapshots.restore_vm_snapshot(vm_id, checkpoint_id=user.checkpoint_id)
    scene.host.power.start_vm(vm_id)
    assert scene.host.guest.read(vm_id, SLOT, offset=2 * MiB, length=512) == bytes(512), "the disk has gone back"
    scene.admin.settle()
    assert scene.changes(vm_id, scene.checkpoint(vm_id, "second"), point) == []
