# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a record says that a restart will do is what the restart does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.outlook import Action, Outlook, View, outlook
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import MachineReport, Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed

# Where a session dies, and what is then ahead; of a first session and of a later one.
FIRST: Mapping[tuple[str, bool], Action] = {
    ("create_checkpoint", False): Action.REPLICATE,
    ("create_disk", True): Action.REPLICATE,
    ("start_source", True): Action.RESUME,
    ("create_restore_point", False): Action.FINISH,
}
LATER: Mapping[tuple[str, bool], Action] = {
    ("create_checkpoint", True): Action.REPLICATE,
    ("open_target", False): Action.RESUME,
    ("convert_checkpoint", False): Action.FINISH,
    ("convert_checkpoint", True): Action.FINISH,
    ("create_restore_point", True): Action.FINISH,
    ("remove_reference_point", False): Action.REPLICATE,
}


def ahead(site) -> Outlook:
    """Read the record as the manager does whose session died."""
    return outlook(site.record(), View(0.0, is_ours=True, worker_lives=False))


def what_happened(report: MachineReport) -> Action:
    if any("finishing the restore point" in warning for warning in report.warnings):
        return Action.FINISH
    return Action.RESUME if any(disk.reason == "resumed" for disk in report.disks) else Action.REPLICATE


@pytest.mark.parametrize(
    ("is_first", "death", "expected"),
    [
        *((True, death, action) for death, action in FIRST.items()),
        *((False, death, action) for death, action in LATER.items()),
    ],
    ids=str,
)
def test_restart_does_what_the_record_said(site, is_first, death, expected):
    if not is_first:
        site.run()
        site.guest_writes(9, 0, 2 * MiB)
    name, after = death
    with pytest.raises(Killed):
        site.run(site=Death(name, after=after).site(site.site()))
    said = ahead(site)
    assert said.action is expected
    report = site.run().machines[0]
    assert report.outcome is Outcome.DONE, report.error
    assert what_happened(report) is expected
    if said.scopes:
        assert [disk.scope for disk in report.disks] == [scope.value for scope in said.scopes]
    assert ahead(site).action is Action.REPLICATE
