# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What can be compared: the frozen source, less what has changed on it since the newest restore point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import StateError
from ...extents import Extent
from ...machines import Checkpoint, Consistency, FrozenDisk, HostPath
from ...model.naming import CheckpointName
from ...model.record import Content, ReplicaDisk
from ...model.scopes import Decision, Fate, Reason, decide, fate_of
from ...transfers import Scope
from ...verification import VerifySpec
from ..replicate.disk_transfer import DiskOrder
from ..replicate.rest import look_at_source
from ..replicate.source import create_checkpoint, find_checkpoint
from ..replicate.transfer import changes, evidence, tracking_point_lives
from ..replicate.work import Work
from .points import PointChains


def checkpoint_name(work: Work) -> str:
    """Return the natural key of the verification's checkpoint; the next session of the replica removes one it finds."""
    return str(CheckpointName(work.record.replica_id, work.session_id))


def freeze(work: Work) -> Checkpoint:
    """Make a recovery checkpoint; what the guest's applications are doing does not matter, so they are not asked.

    A machine has one at a time, so that of a cycle which did not end has to do: it is newer than the restore point too.
    """
    pending = work.record.pending
    left = find_checkpoint(work, pending.checkpoint_name) if pending is not None else None
    if left is not None:
        return left
    work.space.look(work.source, work.target, folder=work.record.target.folder)
    look_at_source(work)
    work.watch.is_frozen = True
    return create_checkpoint(work, checkpoint_name(work), consistency=Consistency.CRASH)


def orders(work: Work, frozen: Sequence[FrozenDisk], *, chains: PointChains, spec: VerifySpec) -> list[DiskOrder]:
    """Say for each disk of the restore point what is compared; what has changed since is left out.

    Raises:
        StateError: reason ``not_comparable``, nobody knows what has changed.
    """
    on_source = {disk.disk_id: disk for disk in frozen}
    alive = tracking_point_lives(work)
    made: list[DiskOrder] = []
    doubts: list[str] = []
    for known in work.record.disks:
        chain, disk = chains.get(known.disk_id), on_source.get(known.disk_id)
        if chain is not None and disk is None:
            work.reporter.warn(f"disk {known.slot} is not on the source any more: only its structure was checked")
        elif chain is not None and disk is not None:
            decision, changed = changes(work, disk, decision=_decision(work, known, disk, alive=alive))
            if decision.scope is Scope.CHANGED:
                made.append(_order(work, disk, chain=chain, left_out=changed, spec=spec))
            else:
                doubts.append(f"disk {disk.slot}: {decision.reason.value}")
    if doubts or not made:
        raise StateError(
            f"the newest restore point of replica {work.record.target.name} cannot be compared with the source: "
            f"{', '.join(doubts) or 'the source has none of its disks any more'}",
            hint="run the job; its new restore point can be verified",
            reason="not_comparable",
        )
    return made


def _decision(work: Work, known: ReplicaDisk, disk: FrozenDisk, *, alive: bool) -> Decision:
    """Decide as for a cycle on top of the restore point: what that would not send has to be equal."""
    if fate_of(disk, [known]) is Fate.RESIZED:
        return Decision(Scope.ALLOCATED, Reason.DISK_RESIZED)
    known_of = evidence(work, disk.disk_id, tracking_point_alive=alive)
    return decide(replace(known, content=Content.RESTORE_POINT), disk, evidence=known_of)


def _order(
    work: Work, disk: FrozenDisk, *, chain: tuple[HostPath, ...], left_out: Sequence[Extent], spec: VerifySpec
) -> DiskOrder:
    return DiskOrder(
        disk_id=disk.disk_id,
        slot=disk.slot,
        size=disk.geometry.virtual_size,
        decision=Decision(Scope.VERIFY, Reason(spec.mode.value)),
        extents=tuple(left_out),
        source_chain=tuple(work.on_source(path) for path in disk.chain),
        target_chain=chain,
        data_write_guid=None,
        cycle_id=f"verification {work.session_id}",
        sample=spec.sample,
    )
