# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody did to a replica that leaves nothing safe to do is refused, whatever the job says, with the way out;
and what looks like a foreign hand but is none is let be.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import REPLICAS, only_error

ROOT = Path(__file__).resolve().parents[3]


def folder_of(site):
    return site.target.local_path(site.record().target.folder)


def start(site, vm_id):
    site.target.call("Start-VM", vm_id=vm_id)


def remove_machine(site, vm_id):
    site.target.call("Remove-VM", vm_id=vm_id)
    site.target.settle()


def move_record(site, _vm_id):
    folder = folder_of(site)
    other = folder.with_name("other")
    other.mkdir()
    (folder / "replica.json").rename(other / "replica.json")


def copy_folder(site, _vm_id):
    folder = folder_of(site)
    shutil.copytree(folder, folder.with_name("copy"))


def delete_record(site, _vm_id):
    (folder_of(site) / "replica.json").unlink()


def break_record(site, _vm_id):
    path = folder_of(site) / "replica.json"
    path.write_text(path.read_text()[:-20])


@dataclass(frozen=True)
class Case:
    """What somebody does, the reason of the refusal, and what the way out speaks of."""

    act: Callable[..., None]
    reason: str
    way_out: str


def delete_base(site, _vm_id):
    site.target.local_path(site.record().disks[0].base).unlink()


CASES = (
    Case(start, "replica_running", "turn it off"),
    Case(remove_machine, "replica_missing", REPLICAS),
    Case(move_record, "replica_moved", "replica.json"),
    Case(delete_base, "replica_damaged", "bring the missing file back"),
    Case(delete_record, "record_missing", "bring replica.json back"),
    Case(break_record, "record_invalid", "restore replica.json"),
    Case(copy_folder, "replica_ambiguous", "move the copy away"),
)


def files_of(site):
    """Return each file of the replicas but the records, with what says that it was written to."""
    stats = {path: path.stat() for path in sorted(site.target.local_path(REPLICAS).rglob("*")) if path.is_file()}
    return {path: (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items() if path.name != "replica.json"}


@pytest.mark.parametrize("policy", ["compare", "fail"])
@pytest.mark.parametrize("case", CASES, ids=[case.reason for case in CASES])
def test_refused_with_the_way_out_and_nothing_written(site, case, policy):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    case.act(site, str(site.record().target.vm_id))
    before = files_of(site)
    error = only_error(site.run(site.job(on_touched=policy)))
    if case.reason == "replica_damaged" and policy == "fail":
        assert error["reason"] == "replica_touched"
    else:
        assert error["reason"] == case.reason
        assert case.way_out in str(error["hint"])
    assert files_of(site) == before
    assert site.source_leftovers() == []


def test_each_reason_has_its_row_in_the_documentation():
    text = (ROOT / "docs" / "design" / "session.md").read_text(encoding="utf-8")
    assert {case.reason for case in CASES} <= set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))


def test_leaf_that_was_opened_and_not_written_to_is_the_same_content(site):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    vm_id = str(site.record().target.vm_id)
    leaf = site.target.local_path(site.record().disks[0].leaf)
    before = leaf.read_bytes()
    site.target.call("lab.reopen", vm_id=vm_id, slot="SCSI 0:0")
    assert leaf.read_bytes() != before, "another FileWriteGuid"
    report = site.run(site.job(on_touched="fail"))
    assert report.outcome is Outcome.DONE, report.as_dict()
    assert {disk.reason for disk in report.machines[0].disks} == {"tracked"}
    assert report.machines[0].warnings == ()
    site.prove(points=2)


def test_leaf_that_our_own_dead_session_left_damaged_is_no_foreign_hand(site):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    with pytest.raises(Killed):
        site.run(site=Death("start_source", nth=2, after=True).site(site.site()))
    leaf = site.target.local_path(site.record().disks[0].leaf)
    site.wait_until_free([leaf])
    with leaf.open("r+b") as file:
        file.seek(3 * MiB)
        file.write(b"\xff" * MiB)
    report = site.run(site.job(on_touched="fail"))
    assert report.outcome is Outcome.DONE, report.as_dict()
    assert "replaced by a fresh one" in str(report.machines[0].warnings)
    assert "somebody touched" not in str(report.machines[0].warnings)
    site.prove(points=2)


def test_session_that_died_after_it_found_something_still_compares_and_finds_what_is_done_later(site):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    vm_id = str(site.record().target.vm_id)

    def mount_and_write(offset):
        site.target.call("lab.edit_offline", vm_id=vm_id, slot="SCSI 0:0", offset=offset, data=b"x" * 4096)

    mount_and_write(9 * MiB)
    with pytest.raises(Killed):
        site.run(site=Death("create_checkpoint").site(site.site()))
    mount_and_write(11 * MiB)
    error = only_error(site.run(site.job(on_touched="fail")))
    assert error["reason"] == "replica_touched"
    report = site.run()
    assert report.machines[0].disks[0].scope == "compare"
    site.prove(points=2)
