# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The source side: find the machine, freeze it, let go of it."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from uuid import UUID

from ...errors import EngineError, HypervisorError, RequestError, StateError
from ...jobs import ConsistencyPolicy, JobSpec
from ...machines import Checkpoint, Consistency, FrozenDisk, VirtualMachine
from ...model.inspection import require_all_frozen, wanted_consistency
from ...model.naming import CheckpointName, readable_time
from ...model.record import Pending, ReplicaRecord
from ...ports import Hypervisor
from ...progress import Phase
from ...reports import Traffic
from .records import FoundRecords
from .site import Limits
from .space import SOURCE_FULL
from .work import Work


def find_machine(source: Hypervisor, wanted: str, *, job: JobSpec, records: FoundRecords) -> VirtualMachine:
    """Find a machine of the job by id, by name, or by a name that it had before.

    Raises:
        RequestError: reason ``vm_not_found`` or ``vm_ambiguous``.
    """
    vm_id = _as_uuid(wanted)
    if vm_id is None:
        found = source.find_machines(wanted)
        if len(found) == 1:
            return found[0]
        if found:
            raise RequestError(
                f"option vms: {wanted!r} is the name of {len(found)} machines on {job.source_host}",
                hint=f"name the one you mean by its id: {', '.join(str(machine.vm_id) for machine in found)}",
                reason="vm_ambiguous",
            )
        record = records.known_as(wanted, host=job.source_host)
        vm_id = record.source.vm_id if record is not None else None
    machine = _by_id(source, vm_id) if vm_id is not None else None
    if machine is None:
        raise RequestError(
            f"option vms: {wanted!r} is no machine on {job.source_host}",
            hint="correct the name, or name the host on which the machine is now in source_host",
            reason="vm_not_found",
        )
    return machine


def hold(source: Hypervisor, record: ReplicaRecord, *, limits: Limits) -> None:
    """Let the source host keep the session's checkpoint, and refuse older sessions from now on."""
    source.hold_source(record.source_fence, record.source.vm_id, seconds=ceil(limits.checkpoint_seconds))


def freeze(work: Work) -> list[FrozenDisk]:
    """Make the cycle's recovery checkpoint and list its disks."""
    name = CheckpointName(work.record.replica_id, work.session_id)
    work.intend(
        Pending(
            session_id=work.session_id,
            cycle_id=work.site.new_id(),
            step=Phase.CHECKPOINT,
            checkpoint_name=str(name),
            checkpoint_id=None,
            source_time=None,
            consistency=None,
            disks=(),
            tracking=None,
            traffic=Traffic(),
            seconds=0.0,
        )
    )
    checkpoint = _checkpoint(work, str(name))
    if checkpoint.ignored_disks:
        raise RequestError(
            f"the checkpoint of {work.config.machine.name} leaves out disk "
            f"{', '.join(map(str, checkpoint.ignored_disks))}",
            hint="detach the disk, or take the machine out of the job",
            reason="disk_unsupported",
        )
    return adopt(work, checkpoint)


def adopt(work: Work, checkpoint: Checkpoint) -> list[FrozenDisk]:
    """Take a checkpoint as that of the pending cycle, and list its disks."""
    work.intend(
        replace(
            work.pending,
            checkpoint_id=checkpoint.checkpoint_id,
            source_time=checkpoint.created_at,
            consistency=checkpoint.consistency,
        )
    )
    frozen = work.source.checkpoint_disks(work.vm_id, checkpoint.checkpoint_id)
    require_all_frozen(work.config, frozen)
    return frozen


def _checkpoint(work: Work, name: str) -> Checkpoint:
    """Follow the job's consistency policy: application twice, then crash if that is allowed."""
    policy, machine = work.job.consistency, work.config.machine
    wanted = wanted_consistency(machine, policy)
    if wanted is Consistency.CRASH:
        return create_checkpoint(work, name, consistency=wanted)
    error = None
    for _attempt in range(2):
        try:
            checkpoint = create_checkpoint(work, name, consistency=wanted)
        except HypervisorError as refusal:
            if refusal.error_id != "Hvr.CheckpointFailed":
                raise
            error = refusal
            continue
        if checkpoint.consistency is Consistency.CRASH and policy is ConsistencyPolicy.APPLICATION:
            raise _not_consistent(work, "the host made a crash-consistent one")
        if checkpoint.consistency is Consistency.CRASH:
            work.reporter.warn("the host made a crash-consistent checkpoint instead of an application-consistent one")
        return checkpoint
    said = error.message if error is not None else ""
    if policy is ConsistencyPolicy.APPLICATION:
        raise _not_consistent(work, said) from error
    work.reporter.warn(f"no application-consistent checkpoint, crash-consistent instead: {said}")
    return create_checkpoint(work, name, consistency=Consistency.CRASH)


def _not_consistent(work: Work, said: str) -> StateError:
    return StateError(
        f"option consistency: {work.job.consistency.value!r}: no application-consistent checkpoint "
        f"of {work.config.machine.name}: {said}",
        hint="look into the guest's event log (VSS), or allow application_or_crash",
        reason="checkpoint_failed",
    )


def create_checkpoint(work: Work, name: str, *, consistency: Consistency) -> Checkpoint:
    """Freeze the source. Raises StateError, reason ``source_volume_full``, and what the host refuses."""
    try:
        return work.source.create_checkpoint(work.record.source_fence, work.vm_id, name=name, consistency=consistency)
    except StateError as error:
        if error.reason != "volume_full":
            raise
        raise StateError(error.message, hint=error.hint, reason=SOURCE_FULL) from error
    except HypervisorError as refusal:
        if refusal.error_id != "Hvr.Busy":
            raise
        raise _held(work, refusal) from refusal


def _held(work: Work, refusal: HypervisorError) -> StateError:
    """Name who has had the machine for so long: whose recovery checkpoint there is, as far as its name tells."""
    foreign = [found for found in work.source.checkpoints(work.vm_id) if CheckpointName.parse(found.name) is None]
    theirs = [f"checkpoint {found.name!r} of {readable_time(found.created_at)}" for found in foreign]
    minutes = f"{work.site.limits.busy_seconds / 60:g} min"
    return StateError(
        f"another program has had {work.config.machine.name} on {work.job.source_host} for {minutes}: "
        + (", ".join(theirs) or refusal.message),
        hint="wait for its backup to end; what a dead backup has left goes with Get-VMSnapshot -SnapshotType Recovery "
        "piped to Remove-VMSnapshot",
        reason="vm_held",
    )


def find_checkpoint(work: Work, name: str) -> Checkpoint | None:
    """Find a checkpoint of the machine by its name."""
    return next((found for found in work.source.checkpoints(work.vm_id) if found.name == name), None)


def require_frozen(work: Work) -> None:
    """Raise StateError, reason ``checkpoint_lost``, unless the host has the cycle's checkpoint yet.

    It never comes back, so what was read before this is the frozen state.
    """
    require_checkpoint(work, work.pending.checkpoint_name, checkpoint_id=work.pending.checkpoint_id)


def require_checkpoint(work: Work, name: str, *, checkpoint_id: str | None) -> None:
    """Raise StateError, reason ``checkpoint_lost``, unless the host has that very checkpoint yet."""
    found = find_checkpoint(work, name)
    if found is None or found.checkpoint_id != checkpoint_id:
        raise StateError(
            f"checkpoint {name} of {work.config.machine.name} is not on {work.job.source_host} any more",
            hint="its lease ended while the host heard nothing of this session, or somebody removed it; "
            "run the job again: it begins a new cycle",
            reason="checkpoint_lost",
        )


def clear_checkpoints(work: Work, *, keep: str = "") -> None:
    """Remove what dead sessions left; those of another replica are left alone until their lease has ended.

    Raises:
        StateError: reason ``source_busy``, a session into another replica has the machine frozen now.
    """
    for found in work.source.checkpoints(work.vm_id):
        owner = CheckpointName.parse(found.name)
        if owner is None or found.name == keep:
            continue
        if owner.replica_id == work.record.replica_id:
            work.reporter.warn(f"removing the checkpoint that session {owner.session_id} left on the source")
        elif found.lease_seconds > 0:
            raise StateError(
                f"session {owner.session_id} into replica {owner.replica_id} has {work.config.machine.name} frozen",
                hint="wait for it, or run its job again if it is dead; its checkpoint may be removed in "
                f"{found.lease_seconds} seconds",
                reason="source_busy",
            )
        else:
            work.reporter.warn(f"removing the checkpoint of a session into replica {owner.replica_id}: its lease ended")
        work.source.remove_checkpoint(work.record.source_fence, work.vm_id, checkpoint_id=found.checkpoint_id)


def keep_frozen(work: Work) -> None:
    """Leave the checkpoint of a cycle to the next session, which goes on where this one stops."""
    hours = f"{work.site.limits.checkpoint_seconds / 3600:g} h"
    work.reporter.warn(f"the source keeps the checkpoint of this cycle for {hours}: the next session goes on with it")


def let_go(work: Work) -> None:
    """Remove the checkpoint of a cycle that failed; what cannot be done now is done by the next session or the host."""
    pending = work.record.pending
    if pending is not None and pending.is_frozen:
        remove_named(work, pending.checkpoint_name)


def remove_named(work: Work, name: str) -> None:
    """Remove a checkpoint if it is there; warn when that does not work."""
    try:
        found = find_checkpoint(work, name)
        if found is not None:
            work.source.remove_checkpoint(work.record.source_fence, work.vm_id, checkpoint_id=found.checkpoint_id)
    except EngineError as error:
        work.reporter.warn(f"checkpoint {name} stays on the source for now: {error.message}")


def _by_id(source: Hypervisor, vm_id: UUID) -> VirtualMachine | None:
    try:
        return source.machine(vm_id)
    except HypervisorError as refusal:
        if refusal.error_id != "Hvr.VmNotFound":
            raise
        return None


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
