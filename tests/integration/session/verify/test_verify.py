# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification of the newest restore point, and the repair of what it finds."""

from __future__ import annotations

import random
import secrets

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, cut
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.steps import ALWAYS, VERIFICATION_STEPS
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Side, TransferState, TransferStatus
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import Verdict, VerifyMode, VerifySpec
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.integration.session.verify.verifying import (
    PIECE,
    PLACES,
    SIZE,
    checked,
    files,
    first,
    remove_by_hand,
    storing,
    verdicts,
    verify,
)
from ansible_collections.opendr.hyperv.tests.integration.session.walk.tracing import Trace
from ansible_collections.opendr.hyperv.tests.lab.rot import rot
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, only_error


def test_good_point_is_read_whole_and_nothing_is_changed(site):
    folder = site.target.local_path(site.record().target.folder)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.name != "replica.json"}
    report = verify(site)
    assert checked(report).verdict is Verdict.GOOD
    assert (report.kind.value, report.traffic.read, report.traffic.same) == ("verify", SIZE, SIZE)
    assert {(disk.scope, disk.reason, disk.bad) for disk in report.machines[0].disks} == {("verify", "full", ())}
    assert {path: path.read_bytes() for path in folder.iterdir() if path.name != "replica.json"} == before
    assert verdicts(site) == [Verdict.GOOD]
    assert (site.source_leftovers(), site.record().lease, site.record().last_error) == ([], None, None)
    site.run()
    site.prove(points=2)


@pytest.mark.parametrize("layer", list(PLACES))
def test_rot_in_any_file_is_found_told_and_repaired(layered, layer):
    site = layered
    place = PLACES[layer]
    rot(files(site)[layer], place + 5)
    report = verify(site)
    error = only_error(report)
    assert (error["code"], error["reason"]) == ("integrity_failed", "restore_point_bad")
    assert "64.0 KiB of disk SCSI 0:0" in error["message"]
    assert "2 older ones" in error["message"]
    assert first(report.machines[0].disks).bad == (Extent(place, PIECE),)
    assert report.machines[0].verification.suspects == tuple(p.point_id for p in site.record().restore_points[:2])
    assert first(site.record().disks).repairs == (Extent(place, PIECE),)
    assert (site.source_leftovers(), site.record().lease) == ([], None)
    repair = site.run()
    assert "64.0 KiB that are bad are sent again" in repair.machines[0].warnings[0]
    assert {disk.scope for disk in repair.machines[0].disks} == {"changed"}
    site.prove(points=4, newest=1)
    assert first(site.record().disks).repairs == ()
    assert checked(verify(site)).verdict is Verdict.GOOD
    assert verdicts(site) == [Verdict.SUSPECT, Verdict.SUSPECT, Verdict.BAD, Verdict.GOOD]


@pytest.mark.parametrize("rounds", [1, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])])
def test_whatever_rots_is_found_and_repaired(site, rounds):
    seed = secrets.randbits(32) if rounds > 1 else 4
    chance, job = random.Random(seed), site.job(restore_points=5)
    for round_number in range(rounds):
        for _write in range(chance.randrange(1, 6)):
            place = chance.randrange(0, 23 * MiB, 4 * KiB)
            site.guest_writes(chance.randrange(1, 255), 0, place, chance.randrange(512, MiB, 512))
        site.run(job)
        stored = [place for place in range(0, 24 * MiB, PIECE) if storing(site, place) is not None]
        rotten = sorted(chance.sample(stored, chance.randrange(0, 6)))
        for place in rotten:
            rot(storing(site, place), place)
        bad = first(verify(site).machines[0].disks).bad
        assert list(cut(bad, unit=PIECE)) == [Extent(place, PIECE) for place in rotten], seed
        site.run(job)
        site.prove(points=min(5, 2 * round_number + 3), newest=1)


def test_rot_goes_away_for_good_when_the_bad_points_are_merged(site):
    rot(files(site)["base"], PLACES["base"])
    assert only_error(verify(site))["reason"] == "restore_point_bad"
    site.run(site.job(restore_points=1))
    site.prove(points=1)
    assert verdicts(site) == [None]


def test_every_change_belongs_to_its_step(site):
    trace = Trace(site)
    checked(verify(site, ports=trace.site(site.site())))
    acts = {step.phase: step.acts for step in VERIFICATION_STEPS}
    assert {call.phase for call in trace.calls} == {*acts, Phase.LEASE, Phase.RELEASE} - {Phase.STRUCTURE}
    assert [call for call in trace.calls if call.name not in ALWAYS and call.name not in acts[call.phase]] == []


def test_sample_finds_what_lies_in_it_and_its_seed_finds_it_again(site):
    rot(files(site)["base"], PLACES["base"])
    report = verify(site, VerifySpec(VerifyMode.SAMPLE, 100))
    told = report.machines[0].verification.as_dict()
    assert (told["sample_percent"], told["verdict"]) == (100, "bad")
    assert report.traffic.read < SIZE // 2
    again = verify(site, VerifySpec(VerifyMode.SAMPLE, 100, told["sample_seed"]))
    assert first(again.machines[0].disks).bad == (Extent(PLACES["base"], PIECE),)
    assert again.machines[0].verification.as_dict() == told


def test_sample_without_a_seed_gets_a_new_one(site):
    spec = VerifySpec(VerifyMode.SAMPLE)
    seeds = {checked(verify(site, spec)).seed for _time in range(2)}
    assert len(seeds) == 2
    assert site.record().newest.verified.mode is VerifyMode.SAMPLE


def test_bad_point_stays_bad_until_it_is_repaired(site):
    rot(files(site)["base"], PLACES["base"])
    verify(site)
    error = only_error(verify(site, VerifySpec(VerifyMode.SAMPLE, 1, 1)))
    assert "an earlier verification found it so" in error["message"]
    assert site.record().last_error.reason == "restore_point_bad"


def test_what_the_guest_wrote_since_is_no_difference(site):
    rot(files(site)["base"], PLACES["base"])
    site.guest_writes(9, 0, PLACES["base"], PIECE)
    site.guest_writes(9, 1, 1 * MiB, PIECE)
    report = verify(site)
    assert checked(report).verdict is Verdict.GOOD
    assert report.traffic.read <= SIZE - 2 * PIECE
    site.run()
    site.prove(points=2, newest=1)


class Restarted:
    """A source mover that compares 8 MiB of a disk, and then knows nothing of it any more."""

    def __init__(self, mover, disk_id):
        self._mover, self._disk_id = mover, disk_id
        self.orders = []
        found = Extent(PLACES["base"], PIECE)
        part = {"total": 24 * MiB, "processed": 8 * MiB, "read": 8 * MiB, "durable_until": 8 * MiB}
        self._told = [TransferStatus(TransferState.RUNNING, **part, bad_bytes=PIECE, bad=(found,))]

    def __getattr__(self, name):
        return getattr(self._mover, name)

    def start_source(self, order):
        if order.ticket.disk_id == self._disk_id:
            self.orders.append(order)
            if len(self.orders) == 1:
                return TransferStatus(TransferState.WAITING)
        return self._mover.start_source(order)

    def status(self, ticket, *, side):
        is_first = self.orders and ticket == self.orders[0].ticket and side is Side.SOURCE
        return self._told.pop() if is_first and self._told else self._mover.status(ticket, side=side)


def test_source_mover_that_was_restarted_compares_only_the_rest(layered):
    site = layered
    rot(files(site)["newest"], PLACES["newest"])
    mover = Restarted(site.connect_mover(SOURCE), first(site.record().disks).disk_id)
    ports = site.site(connect_mover=lambda name: mover if name == SOURCE else site.connect_mover(name))
    disk = first(verify(site, ports=ports).machines[0].disks)
    assert [order.extents for order in mover.orders] == [(), (Extent(0, 8 * MiB),)]
    assert disk.bad == (Extent(PLACES["base"], PIECE), Extent(PLACES["newest"], PIECE))
    assert (disk.bad_bytes, disk.traffic.read, disk.traffic.total) == (2 * PIECE, 24 * MiB, 24 * MiB)


def test_leaf_that_somebody_wrote_to_does_not_matter(site):
    replica = site.machine("web_replica", host=site.target)
    site.target.call("lab.edit_offline", vm_id=replica["vm_id"], slot="SCSI 0:0", offset=9 * MiB, data=b"x" * 4096)
    assert checked(verify(site)).verdict is Verdict.GOOD


def test_replica_of_which_somebody_removed_a_point_is_refused(site):
    remove_by_hand(site, -1)
    error = only_error(verify(site))
    assert (error["code"], error["reason"]) == ("state_conflict", "leaf_touched")
    assert "run the job" in error["hint"]


def test_replica_to_which_somebody_applied_a_point_is_refused(site):
    replica, oldest = site.machine("web_replica", host=site.target), site.record().restore_points[0]
    site.target.call("Restore-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=str(oldest.point_id).upper())
    assert only_error(verify(site))["reason"] == "leaf_touched"


def test_source_of_which_nobody_knows_what_has_changed_is_refused(site):
    site.source.fault("Get-HvrChangedRange", "fail", error_id="Hvr.TrackingLost")
    error = only_error(verify(site))
    assert (error["reason"], "SCSI 0:0: tracking_lost" in str(error["message"])) == ("not_comparable", True)
    assert site.source_leftovers() == []


def test_machine_without_a_restore_point_is_refused(site):
    site.source.create_machine("new", folder="C:\\VMs\\new", disks=[{"size": 8 * MiB}])
    job = site.job(vms=["new"])
    error = only_error(verify(site, job=job))
    assert (error["code"], error["reason"]) == ("request_invalid", "replica_unknown")
    with pytest.raises(Killed):
        site.run(job, site=Death("start_source").site(site.site()))
    assert only_error(verify(site, job=job))["reason"] == "no_restore_point"


def test_disk_that_the_source_has_no_more_is_told(site):
    site.source.call("Remove-VMHardDiskDrive", vm_id=site.vm_id, controller="SCSI", number=0, location=1)
    report = verify(site)
    assert checked(report).verdict is Verdict.GOOD
    assert "SCSI 0:1 is not on the source any more" in report.machines[0].warnings[0]
    assert len(report.machines[0].disks) == 1


def test_files_that_are_no_sound_chain_are_told(site):
    with files(site)["base"].open("r+b") as file:
        file.seek(2 * MiB)
        file.write(b"\xff" * MiB)
    error = only_error(verify(site))
    assert (error["code"], error["reason"]) == ("integrity_failed", "structure_damaged")
    assert site.source_leftovers() == []


def test_missing_file_of_a_restore_point_is_told(layered):
    files(layered)["middle"].unlink()
    error = only_error(verify(layered))
    assert (error["code"], error["reason"]) == ("integrity_failed", "structure_damaged")
