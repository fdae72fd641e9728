# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract functions that make and change a replica, under its record."""

from __future__ import annotations

import ntpath
from uuid import UUID

from ansible_collections.opendr.hyperv.tests.lab.hyperv.machines import DEFAULT_ADAPTER
from ansible_collections.opendr.hyperv.tests.lab.hyperv.records import FILE_NAME, Stored, not_allowed
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.serving import (
    Call,
    Objects,
    Output,
    iso_time,
    serves,
    slot_row,
    vm_row,
)
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import (
    RECOVERY,
    VHDX,
    Checkpoint,
    Machine,
    Nic,
    is_inside,
    same_path,
)


@serves("New-HvrVm")
def new_vm(call: Call) -> Output:
    """A machine with the marker is returned; one that a crash left without it in the same folder is taken over."""
    folder, marker = call.text("Folder"), call.text("Marker")
    call.records.check_folder(folder)
    machines = call.host.machines
    machine = next((m for m in machines.get_vm() if marker in m.settings.notes), None)
    if machine is None:
        machine = next((m for m in machines.get_vm() if same_path(m.folder, folder) and _is_blank(m)), None)
        machine = machine or machines.new_vm(
            name=call.text("Name"), generation=call.number("Generation"), version=call.text("Version"), folder=folder
        )
        if any(nic.name == DEFAULT_ADAPTER for nic in machine.settings.nics):
            call.host.hardware.remove_vm_network_adapter(machine.vm_id, name=DEFAULT_ADAPTER)
        machines.set_notes(machine.vm_id, notes=marker)
    return [("vm", vm_row(machine))]


@serves("Set-HvrVm")
def set_vm(call: Call) -> Output:
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    hardware, secure_boot = call.host.hardware, bool(call.parameters["SecureBoot"])
    if machine.generation == 1 and secure_boot:
        raise Refusal(Kind.INVALID_ARGUMENT, "a machine of generation 1 has no secure boot")
    call.host.machines.rename_vm(call.vm_id, new_name=call.text("Name"))
    hardware.set_vm_processor(call.vm_id, count=call.number("ProcessorCount"))
    hardware.set_vm_memory(
        call.vm_id,
        dynamic=bool(call.parameters["MemoryDynamic"]),
        startup=call.number("MemoryStartup"),
        minimum=call.number("MemoryMinimum"),
        maximum=call.number("MemoryMaximum"),
    )
    order = call.strings("BootOrder")
    if machine.generation == 1:
        hardware.set_vm_bios(call.vm_id, startup_order=order)
    else:
        template = call.text("SecureBootTemplate")
        hardware.set_vm_firmware(call.vm_id, secure_boot=secure_boot, template=template, boot_order=order)
    return None


@serves("Set-HvrNic")
def set_nic(call: Call) -> Output:
    name, hardware = call.text("Name"), call.host.hardware
    found = _nics(call, name)
    if len(found) > 1:
        raise Refusal(Kind.INVALID_ARGUMENT, f"there are {len(found)} network adapters called {name}")
    nic_id = (found[0] if found else hardware.add_vm_network_adapter(call.vm_id, name=name)).nic_id
    hardware.set_static_mac_address(call.vm_id, nic_id=nic_id, mac_address=call.text("MacAddress"))
    hardware.connect_vm_network_adapter(call.vm_id, nic_id=nic_id, switch_name=call.text("SwitchName"))
    hardware.set_vm_network_adapter_vlan(call.vm_id, nic_id=nic_id, vlan_id=call.number("VlanId"))
    return None


@serves("Remove-HvrNic")
def remove_nic(call: Call) -> Output:
    if _nics(call, call.text("Name")):
        call.host.hardware.remove_vm_network_adapter(call.vm_id, name=call.text("Name"))
    return None


@serves("Add-HvrDisk")
def add_disk(call: Call) -> Output:
    """The path of any file of the chain that is in the slot is success: a checkpoint has put a new leaf on it."""
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    slot = "{controller} {number}:{location}".format(**call.slot)
    for drive in call.host.disks.get_vm_hard_disk_drive(call.vm_id):
        if drive.slot == slot and any(same_path(call.text("Path"), path) for path in machine.chain(drive.path)):
            return None
    call.host.disks.add_vm_hard_disk_drive(call.vm_id, **call.slot, path=call.text("Path"))
    return None


@serves("Remove-HvrDisk")
def remove_disk(call: Call) -> Output:
    slot = "{controller} {number}:{location}".format(**call.slot)
    if any(drive.slot == slot for drive in call.host.disks.get_vm_hard_disk_drive(call.vm_id)):
        call.host.disks.remove_vm_hard_disk_drive(call.vm_id, **call.slot)
    return None


@serves("Get-HvrLeaf")
def get_leaf(call: Call) -> Objects:
    for drive in call.host.disks.get_vm_hard_disk_drive(call.vm_id):
        if drive.kind == VHDX:
            call.host.disks.get_vhd(drive.path)
            yield "leaf", {**slot_row(drive), "VirtualDiskId": UUID(drive.disk_id), "Path": drive.path}


@serves("New-HvrRestorePoint")
def new_restore_point(call: Call) -> Output:
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    for checkpoint in _restore_points(call):
        if checkpoint.name == call.text("Name"):
            return [restore_point_row(checkpoint)]
    if machine.state != "Off":
        raise Refusal(Kind.WRONG_STATE, f"{machine.name} is {machine.state}, not Off")
    made = call.host.snapshots.checkpoint_vm(call.vm_id, snapshot_name=call.text("Name"))
    return [restore_point_row(made)]


@serves("Get-HvrRestorePoint")
def get_restore_point(call: Call) -> Output:
    return [restore_point_row(checkpoint) for checkpoint in _restore_points(call)]


@serves("Restore-HvrRestorePoint")
def restore_restore_point(call: Call) -> Output:
    call.host.snapshots.restore_vm_snapshot(call.vm_id, checkpoint_id=call.text("RestorePointId"))
    return None


@serves("Remove-HvrRestorePoint")
def remove_restore_point(call: Call) -> Output:
    wanted = call.text("RestorePointId").upper()
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    if any(checkpoint.checkpoint_id == wanted for checkpoint in _restore_points(call)):
        if machine.state != "Off":
            raise Refusal(Kind.WRONG_STATE, f"{machine.name} is {machine.state}, not Off")
        call.host.snapshots.remove_vm_snapshot(call.vm_id, checkpoint_id=wanted)
    return None


@serves("Remove-HvrVm")
def remove_vm(call: Call) -> Output:
    if any(machine.vm_id == call.vm_id for machine in call.host.machines.get_vm()):
        call.host.machines.remove_vm(call.vm_id)
    return None


@serves("Remove-HvrFile")
def remove_file(call: Call) -> Output:
    path, folder = call.text("Path"), call.text("Folder")
    if not is_inside(path, folder) or ntpath.basename(path).casefold() == FILE_NAME:
        raise not_allowed(path)
    call.host.disks.remove_item(path)
    return None


@serves("Get-HvrReplicaRecord")
def get_replica_record(call: Call) -> Output:
    record = call.records.read(call.text("Folder"))
    return [("record", record_row(record))] if record else []


@serves("Set-HvrReplicaRecord")
def set_replica_record(call: Call) -> Output:
    expected = call.number("ExpectedEpoch"), call.number("ExpectedRevision")
    call.records.write(call.text("Folder"), expected=expected, text=call.text("Record"))
    return None


@serves("Find-HvrReplicaRecord")
def find_replica_record(call: Call) -> Objects:
    for folder, record in call.records.find(call.text("Folder")):
        yield "record", {"Folder": folder, **record_row(record)}


@serves("Remove-HvrReplicaRecord")
def remove_replica_record(call: Call) -> Output:
    call.records.remove(call.text("Folder"))
    return None


def record_row(record: Stored) -> dict[str, object]:
    return {
        "Epoch": record.epoch,
        "Revision": record.revision,
        "AgeSeconds": record.age_seconds,
        "Record": record.text,
    }


def restore_point_row(checkpoint: Checkpoint) -> tuple[str, dict[str, object]]:
    return (
        "restorePoint",
        {
            "RestorePointId": UUID(checkpoint.checkpoint_id),
            "ParentId": checkpoint.parent_id.lower(),
            "Name": checkpoint.name,
            "CreatedAt": iso_time(checkpoint.created_at),
        },
    )


def _restore_points(call: Call) -> list[Checkpoint]:
    return [c for c in call.host.snapshots.get_vm_snapshot(call.vm_id) if c.kind != RECOVERY]


def _nics(call: Call, name: str) -> list[Nic]:
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    return [nic for nic in machine.settings.nics if nic.name.casefold() == name.casefold()]


def _is_blank(machine: Machine) -> bool:
    return not machine.settings.notes and not machine.settings.drives
