# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract functions that read a host and work on a source machine."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, pack_pairs
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    EXTENTS_ENCODING,
    EXTENTS_PER_OBJECT,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB, align_up
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.serving import (
    Call,
    Objects,
    Output,
    geometry_row,
    iso_time,
    serves,
    slot_row,
    vm_row,
)
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import (
    RECOVERY,
    VHDX,
    Checkpoint,
    Drive,
    Machine,
    ReferencePoint,
)
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError

MODULE_VERSION = "0.1.0"
OS_BUILD = "10.0.17763"  # Windows Server 2019, whose configuration versions the lab has


@serves("Get-HvrHost")
def get_host(call: Call) -> Objects:
    state = call.host.lab.state
    yield (
        "host",
        {
            "Name": state.name,
            "ModuleVersion": MODULE_VERSION,
            "OsBuild": OS_BUILD,
            "SupportedVersions": call.host.machines.get_vm_host_supported_version(),
            "DefaultVersion": state.default_version,
        },
    )


@serves("Get-HvrSwitch")
def get_switch(call: Call) -> Objects:
    for network in call.host.hardware.get_vm_switch():
        row = {"SwitchId": UUID(network.switch_id), "Name": network.name, "SwitchType": network.switch_type}
        yield "switch", row


@serves("Get-HvrVm")
def get_vm(call: Call) -> Objects:
    vm_id = call.vm_id if "VmId" in call.parameters else None
    name = call.text("Name") if "Name" in call.parameters else None
    for machine in call.host.machines.get_vm(vm_id=vm_id, name=name):
        yield "vm", vm_row(machine)


@serves("Get-HvrVmConfig")
def get_vm_config(call: Call) -> Objects:
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    settings = machine.settings
    yield (
        "vm",
        {
            **vm_row(machine),
            "ProcessorCount": settings.processor_count,
            "MemoryStartup": settings.memory_startup,
            "MemoryDynamic": settings.memory_dynamic,
            "MemoryMinimum": settings.memory_minimum,
            "MemoryMaximum": settings.memory_maximum,
            "SecureBoot": settings.secure_boot,
            "SecureBootTemplate": settings.secure_boot_template,
            "BootOrder": list(settings.boot_order),
        },
    )
    for drive in settings.drives:
        chain = machine.chain(drive.path) if drive.kind == VHDX else []
        yield "disk", {**disk_row(call, drive, chain=chain), "Path": drive.path, "DiskKind": drive.kind}
    for nic in settings.nics:
        yield (
            "nic",
            {
                "NicId": nic.nic_id,
                "Name": nic.name,
                "MacAddress": nic.mac_address,
                "MacIsStatic": nic.mac_is_static,
                "SwitchName": nic.switch_name,
                "VlanId": nic.vlan_id,
            },
        )


@serves("New-HvrCheckpoint")
def new_checkpoint(call: Call) -> Output:
    """Make and name one; what cannot be named is removed again, as nobody would know whose it is.

    A host that dies between finds the name noted.
    """
    name = call.text("Name")
    for checkpoint in recovery_checkpoints(call):
        if checkpoint.name == name:
            return [checkpoint_row(call, checkpoint)]
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    call.fences.begin_checkpoint(machine, name)
    try:
        call.host.checkpoints.create_snapshot(call.vm_id, consistency=call.choice("Consistency"))
        made = recovery_checkpoints(call)
    except (Refusal, OSError):
        unnamed, _name = call.fences.unnamed(machine)
        with suppress(Refusal, OSError):
            if unnamed is not None:
                call.host.checkpoints.destroy_snapshot(call.vm_id, checkpoint_id=unnamed.checkpoint_id)
            call.fences.end_checkpoint(call.vm_id)
        raise
    return [checkpoint_row(call, checkpoint) for checkpoint in made if checkpoint.name == name]


@serves("Get-HvrCheckpoint")
def get_checkpoint(call: Call) -> Output:
    return [checkpoint_row(call, checkpoint) for checkpoint in recovery_checkpoints(call)]


@serves("Set-HvrCheckpointLease")
def set_checkpoint_lease(call: Call) -> Output:
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    until = call.host.lab.now() + call.number("Seconds")
    call.fences.hold(call.replica_id, machine.vm_id, until=until)
    return None


@serves("Get-HvrCheckpointDisk")
def get_checkpoint_disk(call: Call) -> Objects:
    machine, checkpoint = find_checkpoint(call)
    for drive in checkpoint.settings.vhdx_drives():
        chain = machine.chain(drive.path)
        yield "disk", {**disk_row(call, drive, chain=chain), "ChainPaths": chain}


@serves("Convert-HvrCheckpoint")
def convert_checkpoint(call: Call) -> Output:
    wanted = plain_id(call.text("CheckpointId"))
    for point in call.host.checkpoints.get_reference_points(call.vm_id):
        if point.checkpoint_id == wanted:
            return [reference_point_row(point)]
    for checkpoint in recovery_checkpoints(call):
        if checkpoint.checkpoint_id == wanted:
            require_right(call, checkpoint)
    made = call.host.checkpoints.convert_to_reference_point(call.vm_id, checkpoint_id=wanted)
    return [reference_point_row(made)]


@serves("Remove-HvrCheckpoint")
def remove_checkpoint(call: Call) -> Output:
    wanted = plain_id(call.text("CheckpointId"))
    for checkpoint in recovery_checkpoints(call):
        if checkpoint.checkpoint_id == wanted:
            require_right(call, checkpoint)
            call.host.checkpoints.destroy_snapshot(call.vm_id, checkpoint_id=wanted)
    return None


@serves("Remove-HvrExpiredCheckpoint")
def remove_expired_checkpoint(call: Call) -> Objects:
    """One that is busy now stays for the next time."""
    now, machines = call.host.lab.now(), call.host.machines.get_vm()
    for machine in machines:
        name_checkpoint(call, machine)
    for machine, checkpoint in call.fences.expired(machines, now=now):
        row = checkpoint_row(call, checkpoint, vm_id=machine.vm_id)
        try:
            call.host.checkpoints.destroy_snapshot(machine.vm_id, checkpoint_id=checkpoint.checkpoint_id)
        except Refusal:
            continue
        yield row


@serves("Get-HvrReferencePoint")
def get_reference_point(call: Call) -> Output:
    return [reference_point_row(point) for point in call.host.checkpoints.get_reference_points(call.vm_id)]


@serves("Remove-HvrReferencePoint")
def remove_reference_point(call: Call) -> Output:
    wanted = call.text("ReferencePointId")
    if any(p.reference_point_id == wanted for p in call.host.checkpoints.get_reference_points(call.vm_id)):
        call.host.checkpoints.destroy_reference_point(call.vm_id, reference_point_id=wanted)
    return None


@serves("Get-HvrChangedRange")
def get_changed_range(call: Call) -> Objects:
    """Ask for one window and return it; the caller goes on at NextOffset.

    The window is never the whole disk: the documentation demands a ByteLength smaller than it.
    """
    offset, length = call.number("Offset"), call.number("Length")
    window = length if length <= MiB // 2 else min(length, align_up(-(-length // 2), MiB // 2))
    processed, offsets, lengths = call.host.checkpoints.get_virtual_disk_changes(
        call.text("Path"), limit_id=call.text("RctId"), byte_offset=offset, byte_length=window
    )
    if not 0 < processed <= window:
        raise Refusal(Kind.TRACKING_LOST, f"the host processed {processed} of {window} bytes")
    pairs = [Extent(*pair) for pair in zip(offsets or (), lengths or (), strict=True)]
    for start in range(0, max(1, len(pairs)), EXTENTS_PER_OBJECT):
        packed = pack_pairs(pairs[start : start + EXTENTS_PER_OBJECT])
        yield "changedRange", {"Encoding": EXTENTS_ENCODING, "NextOffset": offset + processed, "Extents": packed}


@serves("Get-HvrActivity")
def get_activity(call: Call) -> Output:
    [machine] = call.host.machines.get_vm(vm_id=call.vm_id)
    operations = call.host.upkeep.operations(machine)
    state = {"Idle": not operations, "Operations": operations}
    return [
        (
            "activity",
            {**state, "Problem": call.host.upkeep.problem(machine), "MergeHeldBack": machine.merge_held_back},
        )
    ]


@serves("Get-HvrVolume")
def get_volume(call: Call) -> Output:
    root = call.host.disks.get_volume_path_name(call.text("Path"))
    size, free = call.host.disks.get_disk_free_space(root)
    return [("volume", {"Root": root, "Size": size, "Free": free})]


@serves("Test-HvrChain")
def test_chain(call: Call) -> Output:
    path = call.text("Path")
    try:
        chain = [described.path for described in call.host.disks.get_vhd(path)]
    except Refusal as refusal:
        if refusal.kind is not Kind.CHAIN_BROKEN:
            raise
        return [("chain", {"Valid": False, "Paths": [], "Reason": refusal.message})]
    return [("chain", {"Valid": True, "Paths": chain, "Reason": ""})]


def disk_row(call: Call, drive: Drive, *, chain: list[str]) -> dict[str, object]:
    """Describe a disk and the files of its chain, which is empty when it is no VHDX."""
    geometry = call.host.lab.images.geometry(chain) if chain else None
    sizes = [call.host.lab.images.describe(path).file_size for path in chain]
    return {**slot_row(drive), **geometry_row(geometry), "FileSize": sum(sizes)}


def recovery_checkpoints(call: Call) -> list[Checkpoint]:
    name_checkpoint(call, call.host.machines.get_vm(vm_id=call.vm_id)[0])
    return [c for c in call.host.snapshots.get_vm_snapshot(call.vm_id) if c.kind == RECOVERY]


def name_checkpoint(call: Call, machine: Machine) -> None:
    """Give a checkpoint of ours its name; the host may have died before it could."""
    made, name = call.fences.unnamed(machine)
    if made is not None:
        call.host.snapshots.rename_vm_snapshot(machine.vm_id, checkpoint_id=made.checkpoint_id, new_name=name)
    if name:
        call.fences.end_checkpoint(machine.vm_id)


def find_checkpoint(call: Call) -> tuple[Machine, Checkpoint]:
    wanted = plain_id(call.text("CheckpointId"))
    found = next((c for c in recovery_checkpoints(call) if c.checkpoint_id == wanted), None)
    if found is None:
        raise Refusal(Kind.CHECKPOINT_NOT_FOUND, f"there is no recovery checkpoint {wanted}")
    return call.host.machines.get_vm(vm_id=call.vm_id)[0], found


def plain_id(instance_id: str) -> str:
    """Return the GUID of an InstanceID ("Microsoft:<GUID>")."""
    return instance_id.removeprefix("Microsoft:").upper()


def require_right(call: Call, checkpoint: Checkpoint) -> None:
    """Raises HostError Hvr.AccessDenied for a checkpoint that belongs to another replica while its lease lasts."""
    owner = CheckpointName.parse(checkpoint.name)
    if owner is None or owner.replica_id == call.replica_id:
        return
    if call.fences.lease_seconds(call.vm_id, checkpoint, now=call.host.lab.now()):
        message = f"checkpoint {checkpoint.name} belongs to replica {owner.replica_id}"
        raise HostError("Hvr.AccessDenied", message, category=Category.PERMISSION_DENIED, target=checkpoint.name)


def checkpoint_row(call: Call, checkpoint: Checkpoint, *, vm_id: str = "") -> tuple[str, dict[str, object]]:
    lease_seconds = call.fences.lease_seconds(vm_id or call.vm_id, checkpoint, now=call.host.lab.now())
    return (
        "checkpoint",
        {
            "CheckpointId": f"Microsoft:{checkpoint.checkpoint_id}",
            "Name": checkpoint.name,
            "CreatedAt": iso_time(checkpoint.created_at),
            "Consistency": checkpoint.consistency,
            "LeaseSeconds": lease_seconds,
            "IgnoredDisks": list(checkpoint.ignored),
        },
    )


def reference_point_row(point: ReferencePoint) -> tuple[str, dict[str, object]]:
    return (
        "referencePoint",
        {
            "ReferencePointId": point.reference_point_id,
            "Consistency": point.consistency,
            "VirtualDiskIds": list(point.disk_ids),
            "RctIds": list(point.rct_ids),
        },
    )
