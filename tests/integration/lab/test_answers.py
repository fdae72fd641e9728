# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replication does not depend on how a host answers what its documentation leaves open."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SmallSite, disks

OTHER_ANSWERS = [(each.name, answer) for each in fields(Switches) for answer in each.metadata["values"][1:]]
ALL_OTHERS = {each.name: each.metadata["values"][-1] for each in fields(Switches)}


class Story:
    """A machine that is written, stopped, checkpointed and replicated, under chosen answers of both hosts."""

    def __init__(self, site: SmallSite, answers: dict[str, object], *, version: str = "") -> None:
        self.site = site
        for host in (site.source, site.target):
            host.switch(**{"merge_delay_ms": 20, **answers})
        self.vm_id = site.source.create_machine(
            "web", folder=f"{FOLDER}\\web", disks=disks(12 * MiB, 8 * MiB), version=version
        )
        self.job = site.job(restore_points=2)
        self.fill = 0

    def replicate(self, *, points: int) -> None:
        report = self.site.run(self.job)
        assert report.outcome is Outcome.DONE, (report, self.site.journal.texts)
        self.site.prove(points=points)
        assert self.site.source_leftovers() == []

    def write(self) -> None:
        for location, offset in ((0, 3 * MiB), (1, 64 * KiB)):
            self.fill += 1
            data = bytes([self.fill]) * 96 * KiB
            self.site.source.write(self.vm_id, f"SCSI 0:{location}", offset=offset + self.fill * KiB, data=data)

    def play(self) -> None:
        self.site.source.call("Start-VM", vm_id=self.vm_id)
        self.write()
        self.replicate(points=1)
        self.write()
        self.replicate(points=2)
        self.site.source.settle()
        self.site.source.call("Checkpoint-VM", vm_id=self.vm_id, snapshot_name="by hand")
        self.write()
        self.replicate(points=2)
        self.site.source.call("Stop-VM", vm_id=self.vm_id)
        if self.site.source.call("lab.switches")["recovery_on_off"] == "allowed":
            self.replicate(points=2)


@pytest.fixture
def site(tmp_path):
    with SmallSite(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("switch", "answer"), OTHER_ANSWERS)
def test_each_other_answer_gives_true_restore_points(site, switch, answer):
    Story(site, {switch: answer}).play()


def test_all_other_answers_together_give_true_restore_points(site):
    Story(site, ALL_OTHERS).play()


@pytest.mark.parametrize("answer", ["refused", "empty"])
def test_machine_without_tracking_gives_true_restore_points(site, answer):
    Story(site, {"untracked_conversion": answer}, version="7.1").play()
