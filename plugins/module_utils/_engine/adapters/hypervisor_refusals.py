# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a refusal of a host means, and the way out: one entry for each error id of the contract."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..errors import EngineError, HypervisorError, StateError, TrackingLost


class Refusal(NamedTuple):
    """``reason`` is the stable word of the error; ``hint`` says what to do."""

    reason: str
    hint: str
    error: type[EngineError] = HypervisorError


_IN_USE: Final = "wait until the transfer or the other program has closed the file"
REFUSALS: Final = {
    "Hvr.AccessDenied": Refusal(
        "access_denied", "give the account of the connection the rights that role opendr.hyperv.hyperv_host sets up"
    ),
    "Hvr.Busy": Refusal("busy", "wait until the running operation on this machine has ended, then run the job again"),
    "Hvr.ChainBroken": Refusal("chain_broken", "check with Test-VHD which file of the chain is missing or was changed"),
    "Hvr.CheckpointFailed": Refusal(
        "checkpoint_failed",
        "look into the event logs of guest and host; crash consistency needs no help of the guest",
    ),
    "Hvr.CheckpointNotFound": Refusal("checkpoint_not_found", "run the job again: it makes a new checkpoint"),
    "Hvr.CheckpointsDisabled": Refusal(
        "checkpoints_disabled", "allow checkpoints of this machine: Set-VM -CheckpointType Production"
    ),
    "Hvr.DriveNotFound": Refusal("drive_not_found", "choose a path on a drive that the host has"),
    "Hvr.Exists": Refusal("exists", "choose another target path, or remove what stands there"),
    "Hvr.Failed": Refusal("failed", "the event log of the host (Hyper-V-VMMS, Hyper-V-Worker) has the details"),
    "Hvr.Fenced": Refusal("fenced", "another session has taken over this replica; nothing was changed", StateError),
    "Hvr.FileNotFound": Refusal("file_not_found", "check the path on the host"),
    "Hvr.InUse": Refusal("in_use", _IN_USE),
    "Hvr.InvalidArgument": Refusal("invalid_argument", "use the same version of the collection on manager and host"),
    "Hvr.PathNotAllowed": Refusal(
        "path_not_allowed", "choose a folder that the role opendr.hyperv.hyperv_host allows, or allow this one there"
    ),
    "Hvr.RecordInvalid": Refusal("record_invalid", "restore replica.json of the replica from a copy, or seed it anew"),
    "Hvr.RestorePointNotFound": Refusal("restore_point_not_found", "choose one of the restore points of the replica"),
    "Hvr.SlotInUse": Refusal("slot_in_use", "detach the other disk from the replica"),
    "Hvr.SwitchNotFound": Refusal(
        "switch_not_found", "map the network to a switch of the target host with option switches of the job"
    ),
    "Hvr.TrackingLost": Refusal("tracking_lost", "the disk is compared or read in full instead", TrackingLost),
    "Hvr.VersionNotSupported": Refusal(
        "version_not_supported", "replicate to a host that runs this configuration version"
    ),
    "Hvr.VersionTooOld": Refusal("version_too_old", "update the machine: Update-VMVersion, while it is off"),
    "Hvr.VmNotFound": Refusal("vm_not_found", "check the name or id of the machine on that host"),
    "Hvr.VolumeFull": Refusal("volume_full", "free some space on the volume, then run the job again", StateError),
    "Hvr.WrongState": Refusal("wrong_state", "bring the machine into the state that the message names"),
}


def explained(refusal: HypervisorError) -> EngineError:
    """Return what callers act on; ids that are not the contract's stay as they are."""
    known = REFUSALS.get(refusal.error_id)
    if known is None:
        return refusal
    if known.error is HypervisorError:
        return HypervisorError(
            refusal.message,
            function=refusal.function,
            error_id=refusal.error_id,
            hint=known.hint,
            reason=known.reason,
        )
    return known.error(refusal.message, hint=known.hint, reason=known.reason)
