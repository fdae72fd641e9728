# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine of a configuration version before change tracking is compared, whatever its host says to conversion."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SmallSite, disks


@pytest.fixture
def site(tmp_path):
    with SmallSite(tmp_path) as made:
        yield made


@pytest.mark.parametrize("answer", ["refused", "empty"])
def test_restore_points_of_a_machine_without_tracking_are_true(site, answer):
    site.source.switch(untracked_conversion=answer)
    vm_id = site.source.create_machine("web", folder=f"{FOLDER}\\web", disks=disks(12 * MiB, 8 * MiB), version="7.1")
    site.source.call("Start-VM", vm_id=vm_id)
    for points in (1, 2, 2):
        site.source.write(vm_id, "SCSI 0:0", offset=points * MiB, data=bytes([points]) * 96 * KiB)
        report = site.run(site.job(restore_points=2))
        assert report.outcome is Outcome.DONE, site.journal.texts
        site.prove(points=points)
    assert {disk.scope for disk in report.machines[0].disks} == {"compare"}
    assert site.source_leftovers() == []
    assert site.machine("web")["reference_points"] == [] or answer == "empty"
