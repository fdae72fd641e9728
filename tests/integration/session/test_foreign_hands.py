# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody works on the replica between sessions: each case is found and named, and dealt with as the job says.

With ``on_touched: fail`` no file of the replica is written and nothing happens on the source; with ``compare`` what was
done is overwritten, each restore point is true, and the next session finds nothing any more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.foreign import Sign
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import journal_of
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import only_error

ROOT = Path(__file__).resolve().parents[3]


def replica_of(site):
    """Return the replica's machine as its host has it."""
    record = site.record()
    machines = site.target.call("lab.machines")
    return next(each for each in machines if each["vm_id"] == str(record.target.vm_id))


def start_write_and_stop(site, vm_id):
    site.target.call("Start-VM", vm_id=vm_id)
    site.target.write(vm_id, "SCSI 0:0", offset=5 * MiB, data=b"y" * 4096)
    site.target.call("Stop-VM", vm_id=vm_id)


def mount_and_write(site, vm_id):
    site.target.call("lab.edit_offline", vm_id=vm_id, slot="SCSI 0:0", offset=9 * MiB, data=b"x" * 4096)


def checkpoint(site, vm_id):
    site.target.call("Checkpoint-VM", vm_id=vm_id, snapshot_name="by hand")


def checkpoint_and_remove_it(site, vm_id):
    made = site.target.call("Checkpoint-VM", vm_id=vm_id, snapshot_name="by hand")
    site.target.call("Remove-VMSnapshot", vm_id=vm_id, checkpoint_id=made["checkpoint_id"])
    site.target.settle()


def apply_oldest(site, vm_id):
    oldest = str(site.record().restore_points[0].point_id).upper()
    site.target.call("Restore-VMSnapshot", vm_id=vm_id, checkpoint_id=oldest)


def remove_point(index):
    def act(site, vm_id):
        point_id = str(site.record().restore_points[index].point_id).upper()
        site.target.call("Remove-VMSnapshot", vm_id=vm_id, checkpoint_id=point_id)
        site.target.settle()

    return act


def rename(site, vm_id):
    site.target.call("Rename-VM", vm_id=vm_id, new_name="mine")


def give_processors(site, vm_id):
    site.target.call("Set-VMProcessor", vm_id=vm_id, count=8)


def connect_adapter(site, vm_id):
    nic = replica_of(site)["settings"]["nics"][0]
    site.target.call("Connect-VMNetworkAdapter", vm_id=vm_id, nic_id=nic["nic_id"], switch_name="Default Switch")


def detach(site, vm_id):
    site.target.call("Remove-VMHardDiskDrive", vm_id=vm_id, controller="SCSI", number=0, location=1)


def attach(site, vm_id):
    site.target.call("lab.add_disk", vm_id=vm_id, disk={"size": 4 * MiB, "location": 7})


def replace_disk(site, vm_id):
    detach(site, vm_id)
    site.target.call("lab.add_disk", vm_id=vm_id, disk={"size": 16 * MiB, "location": 1})


def move_storage(site, vm_id):
    site.target.call("lab.move_storage", vm_id=vm_id, folder="C:\\Elsewhere")


def leaf_file(site):
    return site.target.local_path(replica_of(site)["settings"]["drives"][0]["path"])


def damage_leaf(site, _vm_id):
    with leaf_file(site).open("r+b") as file:
        file.seek(3 * MiB)
        file.write(b"\xff" * MiB)


def delete_leaf(site, _vm_id):
    leaf_file(site).unlink()


def delete_journal_of_dead_session(site, _vm_id):
    death = Death("convert_checkpoint")
    with pytest.raises(Killed):
        site.run(site=death.site(site.site()))
    record = site.record()
    site.wait_until_free([site.target.local_path(disk.leaf) for disk in record.disks])
    site.target.local_path(journal_of(record.disks[0].leaf)).unlink()
    # The checkpoint is gone as well, so the next session cannot finish what this one has sent.
    [left] = [each for each in site.machine("web")["checkpoints"] if each["kind"] == "Recovery"]
    site.source.call("DestroySnapshot", vm_id=site.vm_id, checkpoint_id=left["checkpoint_id"])
    mount_and_write(site, str(record.target.vm_id))


def edit_record(site, _vm_id):
    path = site.target.local_path(site.record().target.folder) / "replica.json"
    path.write_text(path.read_text().replace('"content": "restore_point"', '"content": "changes"', 1))


@dataclass(frozen=True)
class Case:
    """What somebody does, the sign that it leaves, and what the message says."""

    act: Callable[..., None]
    sign: Sign
    says: str
    compared: int  # disks that are compared as a whole


CASES = (
    Case(start_write_and_stop, Sign.CONTENT_CHANGED, "content of disk SCSI 0:0 was changed", 1),
    Case(mount_and_write, Sign.CONTENT_CHANGED, "content of disk SCSI 0:0 was changed", 1),
    Case(checkpoint, Sign.CHECKPOINT_MADE, "checkpoint 'by hand' was made", 2),
    Case(checkpoint_and_remove_it, Sign.CONTENT_CHANGED, "content of disk SCSI 0:0 was changed", 2),
    Case(apply_oldest, Sign.CHECKPOINT_APPLIED, "goes on in", 2),
    Case(remove_point(0), Sign.POINT_REMOVED, "was removed", 2),
    Case(remove_point(-1), Sign.POINT_REMOVED, "was removed", 2),
    Case(rename, Sign.RENAMED, "renamed from web_replica to mine", 0),
    Case(give_processors, Sign.RECONFIGURED, "configuration was changed: processors", 0),
    Case(connect_adapter, Sign.RECONFIGURED, "configuration was changed: network adapters", 0),
    Case(detach, Sign.DISK_DETACHED, "disk SCSI 0:1 was detached", 0),
    Case(attach, Sign.DISK_ATTACHED, "another disk was attached at SCSI 0:7", 0),
    Case(replace_disk, Sign.DISK_ATTACHED, "another disk was attached at SCSI 0:1", 0),
    Case(move_storage, Sign.DISK_MOVED, "disk SCSI 0:0 was moved to C:\\Elsewhere", 2),
    Case(damage_leaf, Sign.LEAF_DAMAGED, "a file was damaged or removed", 0),
    Case(delete_leaf, Sign.LEAF_DAMAGED, "a file was damaged or removed", 0),
    Case(delete_journal_of_dead_session, Sign.LEAF_UNEXPLAINED, "nobody knows who wrote to disk SCSI 0:0", 1),
    Case(edit_record, Sign.RECORD_EDITED, "replica.json was edited", 2),
)
NAMES = [f"{case.sign.value}-{case.act.__name__}-{number}" for number, case in enumerate(CASES)]


def fingerprint(site):
    """Return what must not change under ``fail``: each file of the replica but its record, and its machine."""
    files = {}
    for folder in (site.record().target.folder, "C:\\Elsewhere"):
        for path in sorted(site.target.local_path(folder).glob("*")):
            if path.name != "replica.json" and path.is_file():
                files[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files, replica_of(site)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_foreign_hand_is_named_and_overwritten_only_when_the_job_says_so(site, case):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    site.run()
    site.source.settle()
    site.guest_writes(8, 1, 2 * MiB)
    case.act(site, str(site.record().target.vm_id))
    points = len(replica_points(site))
    before, on_source = fingerprint(site), site.machine("web")["reference_points"]

    error = only_error(site.run(site.job(on_touched="fail")))
    assert (error["code"], error["reason"]) == ("state_conflict", "replica_touched")
    assert case.says in str(error["message"])
    assert "on_touched: compare" in str(error["hint"])
    assert fingerprint(site) == before
    assert site.machine("web")["reference_points"] == on_source
    assert site.source_leftovers() == []

    report = site.run()
    assert report.outcome is Outcome.DONE, report.as_dict()
    warnings = report.machines[0].warnings
    assert any(case.says in warning for warning in warnings), warnings
    assert len(set(warnings)) == len(warnings)
    assert sum(disk.scope == "compare" for disk in report.machines[0].disks) == case.compared
    assert sum("of 24.0 MiB compared" in warning or "of 16.0 MiB compared" in warning for warning in warnings) == (
        case.compared
    )
    site.prove(points=points + 1)
    site.guest_writes(9, 0, 3 * MiB)
    assert_clean(site, site.run(site.job(on_touched="fail")))


def replica_points(site):
    """Return the restore points of the record that the host has."""
    there = {each["checkpoint_id"].lower() for each in replica_of(site)["checkpoints"]}
    return [point for point in site.record().restore_points if str(point.point_id) in there]


def assert_clean(site, report):
    """Nothing of what was done is left: changes are tracked, and nobody is warned."""
    assert report.outcome is Outcome.DONE, report.as_dict()
    assert report.machines[0].warnings == ()
    assert {disk.reason for disk in report.machines[0].disks} == {"tracked"}
    replica = site.machine("web_replica", host=site.target)
    assert [drive["location"] for drive in replica["settings"]["drives"]] == [0, 1]


def test_each_sign_has_a_case_and_a_row_in_the_documentation():
    text = (ROOT / "docs" / "design" / "session.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert {case.sign for case in CASES} == set(Sign)
    assert {sign.value for sign in Sign} <= rows
