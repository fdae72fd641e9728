# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do: the guest, administrators of both hosts, other products, and whoever restarts things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import journal_of
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.histories.truth import SECTOR
from ansible_collections.opendr.hyperv.tests.lab.hyperv.client import LabControl
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SOURCE, TARGET

if TYPE_CHECKING:
    from ansible_collections.opendr.hyperv.tests.integration.session.histories.world import World

HOUR: Final = 3600.0
SLOT: Final = {"controller": "SCSI", "number": 0}
DISKS_MAX: Final = 3
SIZES: Final = (3 * MiB, 4 * MiB, 4 * MiB + SECTOR)
TRACKING_CODES: Final = (0xC03A0020, 0xC03A0021, 0xC03A0022, 0xC03A0023, 0xC03A002A)


def guest_writes(world: World, random: Random) -> None:
    for _number in range(random.randint(1, 5)):
        drive = random.choice(world.machine["settings"]["drives"])
        offset, data = world.truth.draw_write(drive["disk_id"], random=random)
        world.site.source.write(world.vm_id, _slot(drive), offset=offset, data=data)
        world.truth.write(drive["disk_id"], offset=offset, data=data)


def source_power(world: World, random: Random) -> None:
    """The machine is turned off, saved, paused, or runs again."""
    state = world.machine["state"]
    call, given = {
        "Running": random.choice([("Stop-VM", {}), ("Stop-VM", {"save": True}), ("Suspend-VM", {})]),
        "Paused": ("Resume-VM", {}),
    }.get(state, ("Start-VM", {}))
    world.site.source.call(call, vm_id=world.vm_id, **given)


def source_edited(world: World, random: Random) -> None:
    """Somebody mounts a disk of the machine while it is off."""
    source = world.site.source
    source.call("Stop-VM", vm_id=world.vm_id)
    drive = random.choice(world.machine["settings"]["drives"])
    offset, data = world.truth.draw_write(drive["disk_id"], random=random)
    source.call("lab.edit_offline", vm_id=world.vm_id, slot=_slot(drive), offset=offset, data=data)
    world.truth.write(drive["disk_id"], offset=offset, data=data)
    source.call("Start-VM", vm_id=world.vm_id)


def source_checkpoint(world: World, random: Random) -> None:
    checkpoint = world.site.source.call("Checkpoint-VM", vm_id=world.vm_id, snapshot_name=f"by hand {random.random()}")
    world.truth.keep(checkpoint["checkpoint_id"], disk_ids=world.disk_ids)


def source_checkpoint_applied(world: World, random: Random) -> None:
    source, checkpoint = world.site.source, _by_hand(world.machine, random=random)
    if checkpoint is not None:
        source.call("Stop-VM", vm_id=world.vm_id)
        source.call("Restore-VMSnapshot", vm_id=world.vm_id, checkpoint_id=checkpoint)
        world.truth.apply(checkpoint)
        source.call("Start-VM", vm_id=world.vm_id)


def source_checkpoint_removed(world: World, random: Random) -> None:
    checkpoint = _by_hand(world.machine, random=random)
    if checkpoint is not None:
        world.site.source.call("Remove-VMSnapshot", vm_id=world.vm_id, checkpoint_id=checkpoint)


def disk_added(world: World, random: Random) -> None:
    taken = {drive["location"] for drive in world.machine["settings"]["drives"]}
    if len(taken) < DISKS_MAX:
        location = random.choice([each for each in range(DISKS_MAX + 1) if each not in taken])
        _add_disk(world, location, size=random.choice(SIZES))


def disk_removed(world: World, random: Random) -> None:
    drives = world.machine["settings"]["drives"]
    if len(drives) > 1:
        _remove_disk(world, random.choice(drives)["location"])


def disk_resized(world: World, random: Random) -> None:
    """A disk is replaced by a larger or smaller one of the same identity, as after a restore from a backup."""
    drive = random.choice(world.machine["settings"]["drives"])
    _remove_disk(world, drive["location"])
    _add_disk(world, drive["location"], size=random.choice(SIZES), disk_id=drive["disk_id"])


def machine_renamed(world: World, random: Random) -> None:
    world.site.source.call("Rename-VM", vm_id=world.vm_id, new_name=random.choice(["web", "web-new", "Web Nr. 2"]))


def points_destroyed(world: World, random: Random) -> None:
    """Another product removes every reference point, ours among them."""
    for point in world.machine["reference_points"]:
        point_id = point["reference_point_id"]
        world.site.source.call("DestroyReferencePoint", vm_id=world.vm_id, reference_point_id=point_id)


def other_backup(world: World, random: Random) -> None:
    """Another product freezes the machine; the next time it makes a reference point of that, or lets it go."""
    source = world.site.source
    held, world.foreign_checkpoint = world.foreign_checkpoint, ""
    if held:
        call = random.choice(["ConvertToReferencePoint", "DestroySnapshot"]) if world.is_tracked else "DestroySnapshot"
        source.call(call, vm_id=world.vm_id, checkpoint_id=held)
    else:
        made = source.call("CreateSnapshot", vm_id=world.vm_id, consistency="Crash")
        world.foreign_checkpoint = made["checkpoint_id"]


def tracking_lost(world: World, random: Random) -> None:
    world.site.source.call("lab.lose_tracking", vm_id=world.vm_id, code=random.choice(TRACKING_CODES))


def vss_fails(world: World, random: Random) -> None:
    world.site.source.call("lab.fail_vss", count=random.randint(1, 3))


def source_restarted(world: World, random: Random) -> None:
    world.site.restart_host(SOURCE)


def target_restarted(world: World, random: Random) -> None:
    world.site.restart_host(TARGET)


def source_power_lost(world: World, random: Random) -> None:
    """Host, mover and machine are gone; the machine is off when they are back."""
    world.site.restart_mover(SOURCE)
    world.site.restart_host(SOURCE)
    world.site.source.call("Stop-VM", vm_id=world.vm_id)


def target_power_lost(world: World, random: Random) -> None:
    world.site.restart_mover(TARGET)
    world.site.restart_host(TARGET)


def source_clock_jumps(world: World, random: Random) -> None:
    _set_clock(world.site.source, random)


def target_clock_jumps(world: World, random: Random) -> None:
    _set_clock(world.site.target, random)


def movers_restarted(world: World, random: Random) -> None:
    world.site.restart_mover(random.choice([SOURCE, TARGET]))


def catalog_lost(world: World, random: Random) -> None:
    world.lost_catalogs.append(world.site.catalog)  # a session may still be writing to it
    (world.site.state_dir / "catalog.sqlite").unlink()
    world.site.catalog = world.site.open_catalog()


def replica_checkpoint(world: World, random: Random) -> None:
    if replica := _replica(world, random=random):
        world.site.target.call("Checkpoint-VM", vm_id=replica["vm_id"], snapshot_name="by hand")


def replica_checkpoint_applied(world: World, random: Random) -> None:
    replica = _replica(world, random=random)
    if replica and replica["checkpoints"]:
        chosen = random.choice(replica["checkpoints"])["checkpoint_id"]
        world.site.target.call("Restore-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=chosen)


def replica_checkpoint_removed(world: World, random: Random) -> None:
    replica = _replica(world, random=random)
    if replica and replica["checkpoints"]:
        chosen = random.choice(replica["checkpoints"])["checkpoint_id"]
        world.site.target.call("Remove-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=chosen)
        world.judge.excuse(UUID(chosen))


def replica_started(world: World, random: Random) -> None:
    """Somebody starts a replica and works with it; more often than not it is stopped again."""
    replica = _replica(world, random=random)
    if not replica:
        return
    target = world.site.target
    target.call("Start-VM", vm_id=replica["vm_id"])
    for drive in replica["settings"]["drives"]:
        data = random.randbytes(random.randint(1, 100) * SECTOR)
        target.write(replica["vm_id"], _slot(drive), offset=random.randrange(1000) * SECTOR, data=data)
    if random.random() < 0.7:
        target.call("Stop-VM", vm_id=replica["vm_id"])


def replica_stopped(world: World, random: Random) -> None:
    if replica := _replica(world, random=random):
        world.site.target.call("Stop-VM", vm_id=replica["vm_id"])


def replica_edited(world: World, random: Random) -> None:
    """Somebody mounts a disk of a replica and writes to it."""
    replica = _replica(world, random=random)
    if replica and replica["settings"]["drives"]:
        given = {"slot": _slot(random.choice(replica["settings"]["drives"])), "offset": random.randrange(1000) * SECTOR}
        data = random.randbytes(random.randint(1, 100) * SECTOR)
        world.site.target.call("lab.edit_offline", vm_id=replica["vm_id"], **given, data=data)


def replica_disk_detached(world: World, random: Random) -> None:
    replica = _replica(world, random=random)
    if replica and replica["settings"]["drives"]:
        location = random.choice(replica["settings"]["drives"])["location"]
        world.site.target.call("Remove-VMHardDiskDrive", vm_id=replica["vm_id"], **SLOT, location=location)


def replica_renamed(world: World, random: Random) -> None:
    if replica := _replica(world, random=random):
        world.site.target.call("Rename-VM", vm_id=replica["vm_id"], new_name=f"copy {random.randrange(10)}")


def point_pinned(world: World, random: Random) -> None:
    """Somebody needs a restore point, or needs it no more; not while a session has the record."""
    records = [each for each in world.records() if each.restore_points and each.lease is None]
    if not records:
        return
    record = random.choice(records)
    index = random.randrange(len(record.restore_points))
    points = list(record.restore_points)
    points[index] = replace(points[index], pins=() if points[index].pins else ("user",))
    world.write(replace(record, restore_points=tuple(points)))


def journals_removed(world: World, random: Random) -> None:
    if replica := _replica(world, random=random):
        for drive in replica["settings"]["drives"]:
            world.site.target.local_path(journal_of(drive["path"])).unlink(missing_ok=True)


def settle(world: World, _random: Random | None = None) -> None:
    """Give both hosts the time to do what merges they can."""
    for control in (world.site.source, world.site.target):
        control.call("lab.settle")


def calm(world: World) -> None:
    """Everybody goes home: the machine runs, the replicas are off, nobody holds anything, nothing fails any more."""
    source = world.site.source
    source.call("lab.fail_vss", count=0)
    for control in (source, world.site.target):
        control.call("lab.set_clock", offset=0.0)
    if world.foreign_checkpoint:
        other_backup(world, Random(0))
    if world.machine["state"] == "Paused":
        source.call("Resume-VM", vm_id=world.vm_id)
    source.call("Start-VM", vm_id=world.vm_id)
    for record in world.records():
        if record.target.vm_id is not None:
            world.site.target.call("Stop-VM", vm_id=str(record.target.vm_id))
    settle(world)


ACTS: Final[Mapping[str, Callable[[World, Random], None]]] = {
    act.__name__: act
    for act in (
        guest_writes,
        source_power,
        source_edited,
        source_checkpoint,
        source_checkpoint_applied,
        source_checkpoint_removed,
        disk_added,
        disk_removed,
        disk_resized,
        machine_renamed,
        points_destroyed,
        other_backup,
        tracking_lost,
        vss_fails,
        source_restarted,
        target_restarted,
        source_power_lost,
        target_power_lost,
        source_clock_jumps,
        target_clock_jumps,
        movers_restarted,
        catalog_lost,
        replica_checkpoint,
        replica_checkpoint_applied,
        replica_checkpoint_removed,
        replica_started,
        replica_stopped,
        replica_edited,
        replica_disk_detached,
        replica_renamed,
        point_pinned,
        journals_removed,
        settle,
    )
}


def _set_clock(control: LabControl, random: Random) -> None:
    """An hour ahead, behind, right again, or past the end of every lease. Merges do not wait for it."""
    control.call("lab.set_clock", offset=random.choice([-HOUR, 0.0, HOUR, 6 * HOUR]))
    control.call("lab.settle")


def _slot(drive: Mapping[str, Any]) -> str:
    return f"{drive['controller']} {drive['number']}:{drive['location']}"


def _by_hand(machine: Mapping[str, Any], *, random: Random) -> str | None:
    """Choose a checkpoint that a user of the machine made."""
    found = [each["checkpoint_id"] for each in machine["checkpoints"] if each["kind"] == "Standard"]
    return str(random.choice(found)) if found else None


def _replica(world: World, *, random: Random) -> dict[str, Any] | None:
    """Choose the machine of a replica."""
    wanted = [str(record.target.vm_id) for record in world.records()]
    found = [each for each in world.site.target.call("lab.machines") if each["vm_id"] in wanted]
    return random.choice(found) if found else None


def _add_disk(world: World, location: int, *, size: int, disk_id: str | None = None) -> None:
    path = f"{FOLDER}\\web\\{uuid4().hex}.vhdx"
    disk = {"size": size, "location": location, "disk_id": disk_id, "path": path, "block_size": MiB}
    drive = world.site.source.call("lab.add_disk", vm_id=world.vm_id, disk=disk)
    world.truth.add(drive["disk_id"], size=size)


def _remove_disk(world: World, location: int) -> None:
    world.site.source.call("Remove-VMHardDiskDrive", vm_id=world.vm_id, **SLOT, location=location)
