# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The target side before a transfer: machine, images and configuration of the replica."""

from __future__ import annotations

import ntpath
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ...errors import HypervisorError, StateError
from ...machines import FrozenDisk, Hardware, HostPath, PowerState
from ...model.configuration import ConfigurationPlan, plan_configuration, wanted_hardware
from ...model.foreign import configured, is_same_path
from ...model.naming import marker, safe_stem, unused
from ...model.record import Content, ReplicaDisk, ReplicaRecord, RetiredDisk
from ...model.scopes import Decision, Fate, fate_of, for_new_image
from .leaves import LeafUnclean, current_tree
from .rest import settle
from .work import Work


def prepare(work: Work, frozen: Sequence[FrozenDisk]) -> dict[UUID, Decision]:
    """Bring machine, images and configuration of the replica in line with the source.

    Returns the decisions for disks whose image is new.
    """
    _ensure_machine(work)
    fates = {disk.disk_id: fate_of(disk, work.record.disks) for disk in frozen}
    _retire(work, [disk.disk_id for disk in frozen if fates[disk.disk_id] is Fate.KEEP])
    _add(work, frozen)
    _make_images(work)
    _attach(work)
    _carry_over(work)
    new = {disk.disk_id for disk in work.record.disks if disk.content is Content.EMPTY}
    return {disk_id: for_new_image(fate) for disk_id, fate in fates.items() if disk_id in new}


def require_at_rest(work: Work) -> None:
    """Raise StateError when the replica is gone or runs; wait until the host does nothing with its checkpoints."""
    require_off(work)
    settle(work)


def _ensure_machine(work: Work) -> None:
    record, machine = work.record, work.config.machine
    if record.target.vm_id is None:
        made = work.target.create_machine(
            record.fence,
            name=record.target.name,
            marker=marker(record.replica_id),
            generation=machine.generation,
            version=machine.version,
        )
        work.store.save(replace(record, target=replace(record.target, vm_id=made.vm_id)))
    require_at_rest(work)


def require_off(work: Work) -> None:
    """Raise StateError when the replica is gone or somebody runs it."""
    name, host = work.record.target.name, work.job.target_host
    try:
        found = work.target.machine(work.replica_vm_id)
    except HypervisorError as refusal:
        if refusal.error_id != "Hvr.VmNotFound":
            raise
        raise StateError(
            f"the machine of replica {name} is not on {host} any more",
            hint=f"import it again, or remove folder {work.record.target.folder} to replicate anew",
            reason="replica_missing",
        ) from refusal
    folder = work.record.target.folder
    if not is_same_path(found.folder, folder):
        raise StateError(
            f"replica {name} on {host} lies in {found.folder}, its record in {folder}: somebody moved one of them",
            hint="move the record replica.json to the machine's folder, which has to lie in the job's target_path",
            reason="replica_moved",
        )
    if found.state is not PowerState.OFF:
        raise StateError(
            f"replica {name} on {host} is {found.state.value}, it must be off",
            current=found.state.value,
            hint="somebody started it: turn it off; what it wrote is overwritten by the next session",
            reason="replica_running",
        )


def _retire(work: Work, kept: Sequence[UUID]) -> None:
    """Take disks out that the source has no more; their files stay while a restore point needs them."""
    record = work.record
    gone = [disk for disk in record.disks if disk.disk_id not in kept]
    if not gone:
        return
    by_hand = set(current_tree(work)) - {point.point_id for point in record.restore_points}
    retired = [
        RetiredDisk(disk.disk_id, _files_of(work, disk), (*_points_with(record, disk.disk_id), *sorted(by_hand)))
        for disk in gone
    ]
    work.store.save(
        replace(
            record,
            disks=tuple(disk for disk in record.disks if disk not in gone),
            retired=(*record.retired, *retired),
        )
    )


def _files_of(work: Work, disk: ReplicaDisk) -> tuple[str, ...]:
    try:
        return work.target.chain(disk.leaf)
    except HypervisorError:  # it may be gone already; what is known is enough to clean up
        return tuple(dict.fromkeys((disk.leaf, disk.base)))


def _points_with(record: ReplicaRecord, disk_id: UUID) -> tuple[UUID, ...]:
    return tuple(point.point_id for point in record.restore_points if disk_id in point.disk_ids)


def _add(work: Work, frozen: Sequence[FrozenDisk]) -> None:
    """Note new disks, with the names of their images, and the slots that disks have now."""
    record = work.record
    folder = work.on_target(record.target.folder)
    known = {disk.disk_id: disk for disk in record.disks}
    taken = [HostPath(folder.host, path).name for path in record.files]
    disks: list[ReplicaDisk] = []
    for disk in frozen:
        found = known.get(disk.disk_id)
        if found is None:
            stem, _extension = ntpath.splitext(ntpath.basename(disk.chain[-1]))
            name = unused(f"{safe_stem(stem)}.vhdx", taken=taken, key=disk.disk_id)
            taken.append(name)
            path = folder.join(name).path
            found = ReplicaDisk(disk.geometry, disk.slot, path, path, None, Content.EMPTY, ())
        disks.append(replace(found, slot=disk.slot))
    work.store.save(replace(record, disks=tuple(disks)))


def _make_images(work: Work) -> None:
    for disk in work.record.disks:
        if disk.content is Content.EMPTY:
            work.target_movers.create_disk(
                work.on_target(disk.base),
                disk.geometry,
                replica_id=work.record.replica_id,
                epoch=work.record.epoch,
            )


def _attach(work: Work) -> None:
    """Let each slot hold the leaf that the record says, and nothing else.

    Raises LeafUnclean: hosts delete the leaf of a disk that is detached while they merge.
    """
    fence, vm_id = work.record.fence, work.replica_vm_id
    wanted = {disk.slot: disk.leaf for disk in work.record.disks}
    right = set()
    for leaf in work.target.leaves(vm_id):
        if wanted.get(leaf.slot, "").lower() == leaf.path.lower():
            right.add(leaf.slot)
        else:
            work.target.detach_disk(fence, vm_id, slot=leaf.slot)
    for slot, path in wanted.items():
        if slot in right:
            continue
        try:
            work.target.attach_disk(fence, vm_id, slot=slot, path=path)
        except HypervisorError as refusal:
            if refusal.error_id not in ("Hvr.FileNotFound", "Hvr.ChainBroken"):
                raise
            raise LeafUnclean(refusal) from refusal


def _carry_over(work: Work) -> None:
    vm_id, name = work.replica_vm_id, work.record.target.name
    available = [switch.name for switch in work.target.switches()]
    wanted = wanted_hardware(work.config, switches=work.job.switches, available=available)
    found = work.target.configuration(vm_id)
    plan = plan_configuration(found, name=name, wanted=wanted.hardware)
    if plan.is_empty:
        work.store.save(replace(work.record, configured=configured(found)))
    else:
        work.store.save(replace(work.record, configured=None))
        _configure(work, plan, hardware=wanted.hardware)
        work.store.save(replace(work.record, configured=configured(work.target.configuration(vm_id))))
    if wanted.unmapped:
        work.reporter.warn(
            f"no switch {', '.join(wanted.unmapped)} on {work.job.target_host}: adapters stay unconnected; "
            "map it in option switches"
        )


def _configure(work: Work, plan: ConfigurationPlan, *, hardware: Hardware) -> None:
    fence, vm_id, name = work.record.fence, work.replica_vm_id, work.record.target.name
    for nic_name in plan.remove_nics:
        work.target.remove_nic(fence, vm_id, name=nic_name)
    for nic in plan.set_nics:
        work.target.set_nic(fence, vm_id, nic=nic)
    # The boot order names adapters and disks, so it is set again when those were changed.
    work.target.update_machine(fence, vm_id, name=name, hardware=hardware)
