# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The files of a replica's restore points: which they are, and whether they are sound."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from ...errors import EngineError, FormatError, HypervisorError, IntegrityError, StateError
from ...machines import HostPath
from ...model.record import Point
from ..replicate.leaves import chain_of, is_known_tree
from ..replicate.target import require_at_rest
from ..replicate.work import Work

PointChains = Mapping[UUID, tuple[HostPath, ...]]  # files of the newest restore point by disk, leaf first


def point_chains(work: Work, point: Point) -> PointChains:
    """Return the chains of the newest restore point: what lies below the leaves that the last session left.

    Raises:
        StateError: reason ``leaf_touched``, nobody knows on which restore point the leaves stand.
        IntegrityError: a chain is broken.
    """
    require_at_rest(work)
    if not is_known_tree(work):
        raise _touched(work)
    try:
        return _below_leaves(work, point)
    except HypervisorError as refusal:
        if refusal.error_id != "Hvr.ChainBroken":
            raise
        raise _damaged(work, refusal) from refusal


def _below_leaves(work: Work, point: Point) -> PointChains:
    leaves = {leaf.disk_id: leaf.path.lower() for leaf in work.target.leaves(work.replica_vm_id)}
    chains = {}
    for disk in work.record.disks:
        if disk.disk_id in point.disk_ids:
            if leaves.get(disk.disk_id) != disk.leaf.lower():
                raise _touched(work)
            _leaf, *chain = chain_of(work, disk.leaf)
            if not chain:
                raise _touched(work)
            chains[disk.disk_id] = tuple(chain)
    return chains


def check_structure(work: Work, chains: PointChains) -> None:
    """Check the files of every restore point: those of older ones are the lower parts of the newest one's chains.

    Disks that the source has no more have chains of their own. Raises IntegrityError.
    """
    retired = [_retired_chain(work, disk.files[0]) for disk in work.record.retired if disk.files]
    for chain in (*chains.values(), *filter(None, retired)):
        try:
            work.target_movers.inspect(chain)
        except FormatError as error:
            raise _damaged(work, error) from error


def _retired_chain(work: Work, leaf: str) -> tuple[HostPath, ...]:
    try:
        return chain_of(work, leaf)
    except HypervisorError as error:
        work.reporter.warn(f"a disk that the source has no more cannot be checked: {error.message}")
        return ()


def require_unmoved(work: Work, chains: PointChains, *, point: Point) -> None:
    """Raise StateError when somebody exchanged or merged files while they were compared."""
    if point_chains(work, point) != chains:
        raise _touched(work)


def _touched(work: Work) -> StateError:
    return StateError(
        f"somebody worked on replica {work.record.target.name}: its files are not those that the last session left",
        hint="run the job; its new restore point can be verified",
        reason="leaf_touched",
    )


def _damaged(work: Work, error: EngineError) -> IntegrityError:
    return IntegrityError(
        f"files of replica {work.record.target.name} are damaged: {error.message}",
        hint=f"check the storage of {work.job.target_host}; bring the file back from a copy, or remove folder "
        f"{work.record.target.folder} to replicate anew",
        reason="structure_damaged",
    )
