# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source changes between sessions: disks, names, hardware, checkpoints, power. Each time the replica follows."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import journal_of
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, disks


def decisions(report):
    """Return what was sent of each disk and why, by slot."""
    assert report.outcome is Outcome.DONE, report.as_dict()
    return {disk.slot: (disk.scope, disk.reason) for disk in report.machines[0].disks}


def remove_disk(site, location):
    slot = {"controller": "SCSI", "number": 0, "location": location}
    site.source.call("Remove-VMHardDiskDrive", vm_id=site.vm_id, **slot)


def replica_slots(site):
    return [drive["location"] for drive in site.machine("web_replica", host=site.target)["settings"]["drives"]]


def test_added_disk_gets_a_first_copy_and_the_others_their_changes(site):
    site.run()
    site.source.call("lab.add_disk", vm_id=site.vm_id, disk={"size": 8 * MiB, "location": 2})
    site.guest_writes(9, 2, 1 * MiB)
    site.guest_writes(7, 0, 1 * MiB)
    found = decisions(site.run())
    assert found == {
        "SCSI 0:0": ("changed", "tracked"),
        "SCSI 0:1": ("changed", "tracked"),
        "SCSI 0:2": ("allocated", "first_copy"),
    }
    site.prove(points=2)
    assert set(decisions(site.run()).values()) == {("changed", "tracked")}


def test_removed_disk_stays_for_the_points_that_have_it_and_its_files_go_with_them(site):
    job = site.job(restore_points=2)
    site.run(job)
    site.run(job)
    remove_disk(site, 1)
    assert list(decisions(site.run(job))) == ["SCSI 0:0"]
    assert replica_slots(site) == [0]
    retired = site.record().retired
    assert len(retired) == 1
    site.prove(points=2)
    site.run(job)
    site.prove(points=2)
    assert site.record().retired == ()
    assert left_of(site, retired[0]) == []


def left_of(site, retired):
    """Return files of a retired disk, and journals beside them, that are there still."""
    names = [name for path in retired.files for name in (path, journal_of(path))]
    return [name for name in names if site.target.local_path(name).exists()]


def test_files_of_a_removed_disk_stay_for_a_checkpoint_that_somebody_made_on_the_replica(site):
    job = site.job(restore_points=1)
    site.run(job)
    replica = site.machine("web_replica", host=site.target)
    by_hand = site.target.call("Checkpoint-VM", vm_id=replica["vm_id"], snapshot_name="by hand")
    remove_disk(site, 1)
    for _session in range(2):
        assert list(decisions(site.run(job))) == ["SCSI 0:0"]
        site.prove(points=1)
    (retired,) = site.record().retired
    assert len(left_of(site, retired)) >= len(retired.files)
    site.target.call("Remove-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=by_hand["checkpoint_id"])
    site.target.settle()
    site.run(job)
    assert site.record().retired == ()
    assert left_of(site, retired) == []
    site.prove(points=1)


def test_disk_replaced_in_its_slot_is_another_disk(site):
    site.run()
    remove_disk(site, 1)
    site.source.call("lab.add_disk", vm_id=site.vm_id, disk={"size": 8 * MiB, "location": 1})
    site.guest_writes(9, 1, 2 * MiB)
    assert decisions(site.run())["SCSI 0:1"] == ("allocated", "disk_replaced")
    assert replica_slots(site) == [0, 1]
    site.prove(points=2)


def test_disk_that_moves_to_another_slot_is_the_same_disk(site):
    site.run()
    site.source.call("Stop-VM", vm_id=site.vm_id)
    drive = site.machine("web")["settings"]["drives"][1]
    remove_disk(site, 1)
    slot = {"controller": "SCSI", "number": 0, "location": 5}
    site.source.call("Add-VMHardDiskDrive", vm_id=site.vm_id, path=drive["path"], **slot)
    assert decisions(site.run())["SCSI 0:5"][0] in ("changed", "compare")
    assert replica_slots(site) == [0, 5]
    site.prove(points=2)


def test_machine_that_is_off_is_replicated(site):
    site.run()
    site.guest_writes(5, 0, 6 * MiB)
    site.source.call("Stop-VM", vm_id=site.vm_id)
    report = site.run()
    assert set(decisions(report).values()) == {("changed", "tracked")}
    assert report.machines[0].consistency == "Crash"
    assert report.machines[0].warnings == ()
    site.prove(points=2)


def test_renamed_machine_is_found_by_its_old_name_and_its_replica_follows(site):
    site.run()
    site.source.call("Rename-VM", vm_id=site.vm_id, new_name="web-new")
    report = site.run()
    assert set(decisions(report).values()) == {("changed", "tracked")}
    assert report.machines[0].replica == "web-new_replica"
    assert "is called web-new now" in report.machines[0].warnings[0]
    assert site.machine("web-new_replica", host=site.target)["vm_id"] == str(site.record().target.vm_id)
    assert decisions(site.run(site.job(vms=["web-new"]))).keys() == decisions(site.run()).keys()
    site.prove(points=4)


def test_machine_may_be_named_by_its_id(site):
    assert site.run(site.job(vms=[site.vm_id])).machines[0].replica == "web_replica"
    site.prove(points=1)


def test_hardware_and_network_are_carried_over(site):
    site.target.call("New-VMSwitch", name="DR-LAN")
    site.source.call("New-VMSwitch", name="LAN")
    site.run()
    site.source.call("Stop-VM", vm_id=site.vm_id)
    site.source.call("Set-VMProcessor", vm_id=site.vm_id, count=4)
    memory = {"dynamic": True, "startup": 2 * GiB, "minimum": GiB, "maximum": 4 * GiB}
    site.source.call("Set-VMMemory", vm_id=site.vm_id, **memory)
    nic = site.machine("web")["settings"]["nics"][0]
    site.source.call("Connect-VMNetworkAdapter", vm_id=site.vm_id, nic_id=nic["nic_id"], switch_name="LAN")
    site.source.call("Set-VMNetworkAdapterVlan", vm_id=site.vm_id, nic_id=nic["nic_id"], vlan_id=42)
    order = ["SCSI 0:1", "SCSI 0:0"]
    firmware = {"secure_boot": False, "template": "MicrosoftUEFICertificateAuthority", "boot_order": order}
    site.source.call("Set-VMFirmware", vm_id=site.vm_id, **firmware)
    assert site.run(site.job(switches={"LAN": "DR-LAN"})).outcome is Outcome.DONE
    found = site.machine("web_replica", host=site.target)["settings"]
    assert (found["processor_count"], found["memory_startup"], found["memory_dynamic"]) == (4, 2 * GiB, True)
    assert (found["secure_boot"], found["boot_order"]) == (False, order)
    replica_nic = found["nics"][0]
    assert (replica_nic["switch_name"], replica_nic["vlan_id"]) == ("DR-LAN", 42)
    assert (replica_nic["mac_address"], replica_nic["mac_is_static"]) == (nic["mac_address"], True)


def test_switch_that_is_not_listed_is_that_of_the_same_name_at_the_target(site):
    for name in ("LAN", "Other"):
        site.target.call("New-VMSwitch", name=name)
    site.source.call("New-VMSwitch", name="LAN")
    nic = site.machine("web")["settings"]["nics"][0]
    site.source.call("Connect-VMNetworkAdapter", vm_id=site.vm_id, nic_id=nic["nic_id"], switch_name="LAN")
    report = site.run(site.job(switches={"Elsewhere": "Other"}))
    assert report.machines[0].warnings == ()
    assert site.machine("web_replica", host=site.target)["settings"]["nics"][0]["switch_name"] == "LAN"


def test_switch_without_a_counterpart_leaves_the_adapter_open_and_says_so(site):
    site.source.call("New-VMSwitch", name="LAN")
    nic = site.machine("web")["settings"]["nics"][0]
    site.source.call("Connect-VMNetworkAdapter", vm_id=site.vm_id, nic_id=nic["nic_id"], switch_name="LAN")
    report = site.run()
    assert "option switches" in report.machines[0].warnings[0]
    assert site.machine("web_replica", host=site.target)["settings"]["nics"][0]["switch_name"] == ""


@pytest.mark.parametrize("answer", ["lost", "violated"])
def test_checkpoint_applied_on_the_source_is_compared(site, answer):
    site.source.switch(applied_checkpoint=answer)
    checkpoint = site.source.call("Checkpoint-VM", vm_id=site.vm_id, snapshot_name="before the update")
    site.guest_writes(7, 0, 1 * MiB)
    site.run()
    site.source.settle()
    site.source.call("Stop-VM", vm_id=site.vm_id)
    site.source.call("Restore-VMSnapshot", vm_id=site.vm_id, checkpoint_id=checkpoint["checkpoint_id"])
    found = decisions(site.run())
    assert found["SCSI 0:0"] == ("compare", "source_chain_changed")
    site.prove(points=2)


def test_user_checkpoint_on_the_source_needs_no_comparison(site):
    site.run()
    site.source.settle()
    site.source.call("Checkpoint-VM", vm_id=site.vm_id, snapshot_name="by hand")
    site.guest_writes(7, 0, 1 * MiB)
    assert set(decisions(site.run()).values()) == {("changed", "tracked")}
    site.prove(points=2)


def test_lost_tracking_is_compared_and_tracked_again(site):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    site.source.call("lab.lose_tracking", vm_id=site.vm_id)
    report = site.run()
    assert {scope for scope, _reason in decisions(report).values()} == {"compare"}
    assert report.machines[0].traffic.read == 40 * MiB
    assert report.machines[0].traffic.sent < MiB
    site.guest_writes(8, 1, 1 * MiB)
    assert set(decisions(site.run()).values()) == {("changed", "tracked")}
    site.prove(points=3)


def test_reference_point_that_somebody_destroyed_is_missed_and_named(site):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    tracking = site.record().tracking
    site.source.call(
        "DestroyReferencePoint", vm_id=site.vm_id, reference_point_id=tracking.reference_point_id.removeprefix("x")
    )
    assert set(decisions(site.run()).values()) == {("compare", "tracking_point_gone")}
    site.prove(points=2)


def test_old_configuration_version_is_compared_each_time(site):
    folder = f"{FOLDER}\\old"
    vm_id = site.source.create_machine("old", folder=folder, disks=disks(8 * MiB), version="7.1")
    site.source.call("Start-VM", vm_id=vm_id)
    job = site.job(vms=["old"])
    assert decisions(site.run(job)) == {"SCSI 0:0": ("allocated", "first_copy")}
    site.source.write(vm_id, "SCSI 0:0", offset=MiB, data=bytes([3]) * 4096)
    assert decisions(site.run(job)) == {"SCSI 0:0": ("compare", "version_not_tracked")}
    assert site.source_leftovers("old") == []
    site.prove("old", points=2)


def test_two_machines_of_a_job_are_replicated_side_by_side(site):
    vm_id = site.source.create_machine("db", folder=f"{FOLDER}\\db", disks=disks(8 * MiB))
    site.source.call("Start-VM", vm_id=vm_id)
    report = site.run(site.job(vms=["web", "db"]))
    assert [machine.name for machine in report.machines] == ["web", "db"]
    site.prove(points=1)
    site.prove("db", points=1)


def test_one_machine_that_fails_does_not_stop_the_other(site):
    report = site.run(site.job(vms=["web", "nobody"]))
    assert [machine.outcome for machine in report.machines] == [Outcome.DONE, Outcome.FAILED]
    assert report.outcome is Outcome.FAILED
    site.prove(points=1)


def test_new_machine_of_an_old_name_gets_a_replica_of_its_own(site):
    site.run()
    site.source.call("Rename-VM", vm_id=site.vm_id, new_name="web-old")
    vm_id = site.source.create_machine("web", folder=f"{FOLDER}\\web2", disks=disks(8 * MiB))
    site.source.call("Start-VM", vm_id=vm_id)
    assert site.run().outcome is Outcome.DONE
    folders = {record.source.vm_id: record.target.folder for record in site.records()}
    assert len(set(folders.values())) == 2
    assert uuid.UUID(vm_id) in folders
