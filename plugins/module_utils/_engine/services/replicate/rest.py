# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Waiting until a host does nothing with a machine's checkpoints.

A merge that does not get on must not end replication (docs/decisions/0010-merges-that-stall.md). It is waited for once
in a session; then the session works above it: the leaf is locked while it is written, so a merge that wants it waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from ...errors import HypervisorError, StateError, sentence
from ...machines import Activity
from ...model.merging import merge_problem
from ...ports import Hypervisor
from .work import Work


def wait_idle(work: Work, host: Hypervisor, *, vm_id: UUID, seconds: float) -> Activity:
    """Wait until a host does nothing with a machine's checkpoints, or for so long; return what it does then."""
    deadline = work.site.clock.monotonic() + seconds
    while True:
        activity = host.activity(vm_id)
        if activity.is_idle or work.site.clock.monotonic() >= deadline:
            return activity
        work.pause()


def settle(work: Work) -> None:
    """Wait until checkpoints and merges of the replica are at rest, or until it is known that merges will not be.

    Raises:
        HypervisorError: reason ``not_settled``, the host does something else, or says of no problem.
    """
    if work.merges_stall and work.target.activity(work.replica_vm_id).is_merging:
        return
    activity = wait_idle(work, work.target, vm_id=work.replica_vm_id, seconds=work.site.limits.settle_seconds)
    problem = problem_of(work, activity)
    if not activity.is_idle:
        if problem is None or not activity.is_merging:
            raise _unsettled(work)
        work.merges_stall = True
    if problem is not None:
        work.warn_once(sentence(problem.message, problem.hint))


def is_merged(work: Work, *, seconds: float) -> bool:
    """Wait until the replica's merges are done; False when they take longer.

    Raises HypervisorError ``merge_held_back``, ``merge_stalled``: waiting longer would not help.
    """
    activity = wait_idle(work, work.target, vm_id=work.replica_vm_id, seconds=seconds)
    problem = problem_of(work, activity)
    if problem is not None:
        raise problem
    return activity.is_idle


def problem_of(work: Work, activity: Activity) -> HypervisorError | None:
    """Return what keeps the replica's merges from getting on."""
    return merge_problem(activity, what=f"replica {work.record.target.name}", host=work.job.target_host)


def look_at_source(work: Work) -> None:
    """Give the source time to come to rest before a checkpoint, and never let its chains grow without end.

    Raises:
        StateError: reason ``chain_too_long``: merging does not get on there, and one more checkpoint is one too many.
    """
    limits, name = work.site.limits, work.config.machine.name
    activity = wait_idle(work, work.source, vm_id=work.vm_id, seconds=limits.busy_seconds)
    problem = merge_problem(activity, what=name, host=work.job.source_host)
    if problem is None:
        return
    longest = max(len(work.source.chain(disk.path)) for disk in work.config.disks)
    work.warn_once(sentence(f"{problem.message} ({longest} files, {limits.chain_files} at most)", problem.hint))
    require_short_chains(work, [longest], what=name, host=work.job.source_host)


def require_short_chains(work: Work, lengths: Iterable[int], *, what: str, host: str) -> None:
    """Raise StateError ``chain_too_long`` when one more checkpoint would make a chain longer than allowed."""
    longest = max(lengths, default=0)
    if longest >= work.site.limits.chain_files:
        raise StateError(
            f"a disk of {what} on {host} is a chain of {longest} files already: no more checkpoints are made of it",
            hint="merges do not get on (the event log of the host has the cause), or somebody keeps many checkpoints",
            reason="chain_too_long",
        )


def _unsettled(work: Work) -> HypervisorError:
    return HypervisorError(
        f"replica {work.record.target.name}: checkpoints do not settle on {work.job.target_host}",
        hint="look into the event log of the host: somebody may be exporting or moving the machine",
        reason="not_settled",
    )
