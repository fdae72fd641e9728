# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What cannot be replicated, said before anything is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..errors import RequestError, StateError
from ..jobs import ConsistencyPolicy
from ..machines import (
    VERSION_OLDEST,
    CheckpointType,
    Consistency,
    DiskKind,
    FrozenDisk,
    HostInfo,
    MachineConfig,
    PowerState,
    VirtualMachine,
)
from .naming import readable_time

CERTIFICATE_SECONDS: Final = 30 * 86400.0  # how long before its end a certificate is told of


def require_replicable(config: MachineConfig, *, host: str) -> None:
    """Raise RequestError, naming the machine and the way out, when a machine cannot be replicated."""
    machine = config.machine
    who = f"machine {machine.name} on {host}"
    if machine.version_number < VERSION_OLDEST:
        raise RequestError(
            f"{who} has configuration version {machine.version}, the oldest supported is 6.2",
            hint="update it while it is off: Update-VMVersion",
            reason="version_too_old",
        )
    if machine.checkpoint_type is CheckpointType.DISABLED:
        raise RequestError(
            f"{who} has checkpoints disabled",
            hint="allow them: Set-VM -CheckpointType Production",
            reason="checkpoints_disabled",
        )
    if machine.state is PowerState.OTHER:
        raise StateError(
            f"{who} is changing its state",
            hint="run the job again when the machine is running or off",
            reason="vm_state",
        )
    _require_disks(config, who=who)


def _require_disks(config: MachineConfig, *, who: str) -> None:
    if not config.disks:
        raise RequestError(f"{who} has no disks", hint="take it out of the job", reason="vm_without_disks")
    for disk in config.disks:
        if disk.kind is not DiskKind.VHDX or disk.geometry is None:
            raise RequestError(
                f"{who}: disk {disk.slot} ({disk.path}) is of kind {disk.kind.value}, only Vhdx can be replicated",
                hint="convert it (Convert-VHD), or take the machine out of the job",
                reason="disk_unsupported",
            )
    ids = [disk.geometry.disk_id for disk in config.disks if disk.geometry is not None]
    twice = next((disk_id for disk_id in ids if ids.count(disk_id) > 1), None)
    if twice is not None:
        slots = [
            str(disk.slot) for disk in config.disks if disk.geometry is not None and disk.geometry.disk_id == twice
        ]
        raise RequestError(
            f"{who}: disks {' and '.join(slots)} have the same id {twice}",
            hint="one is a copy of the other: give it an id of its own while it is off (Set-VHD -ResetDiskIdentifier)",
            reason="disk_ids_equal",
        )


def require_version_at(target: HostInfo, machine: VirtualMachine, *, host: str) -> None:
    """Raise RequestError when the target host cannot run the machine."""
    if machine.version not in target.supported_versions:
        raise RequestError(
            f"option target_host: {host} does not run configuration version {machine.version} of {machine.name}",
            hint=f"it runs {', '.join(target.supported_versions)}: choose another target host",
            reason="version_not_supported",
        )


def require_all_frozen(config: MachineConfig, frozen: Sequence[FrozenDisk]) -> None:
    """Raise StateError when a checkpoint lacks a disk of the machine: it must never be skipped in silence."""
    missing = {disk.slot for disk in config.disks} - {disk.slot for disk in frozen}
    if missing:
        raise StateError(
            f"the checkpoint of {config.machine.name} lacks disk {', '.join(map(str, sorted(missing)))}",
            hint="was the disk attached or replaced just now? Run the job again",
            reason="disk_not_frozen",
        )


def wanted_consistency(machine: VirtualMachine, policy: ConsistencyPolicy) -> Consistency:
    """Return what to ask a checkpoint for.

    A machine that is off is consistent as it is. Without its guest, a saved or paused one can only be crash consistent:
    RequestError, reason ``consistency_impossible``, when the job insists on more.
    """
    if policy is ConsistencyPolicy.CRASH or machine.state is PowerState.OFF:
        return Consistency.CRASH
    if machine.state is PowerState.RUNNING:
        return Consistency.APPLICATION
    if policy is ConsistencyPolicy.APPLICATION:
        raise RequestError(
            f"option consistency: {policy.value!r} is not possible while {machine.name} is {machine.state.value}",
            hint="start the machine, or allow application_or_crash",
            reason="consistency_impossible",
        )
    return Consistency.CRASH


def certificate_ends_soon(who: str, expires_at: float, *, now: float) -> str | None:
    """Return a warning when the certificate of a mover or a manager (``mover hv-a``) has to be renewed."""
    if expires_at - now > CERTIFICATE_SECONDS:
        return None
    end = readable_time(expires_at)
    return f"the certificate of {who} ends at {end}: renew it, or its connections fail from then on"
