# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Is what the replica has what the cycle's transfers left?

Nobody holds the leaves between the end of a transfer and the restore point: until the checkpoint is made somebody may
mount one, apply another restore point or detach a disk, and the checkpoint would freeze that.
"""

from __future__ import annotations

from ...errors import FormatError, HypervisorError
from ...machines import HostPath, RestorePoint
from ...model.record import PendingDisk
from .leaves import chain_of
from .work import Work


def leaves_are_as_sent(work: Work) -> bool:
    """Tell whether each leaf has the place and content that it had when its transfer ended."""
    return _are_as_sent(work, below=0)


def point_is_as_sent(work: Work) -> bool:
    """Tell the same of the newest restore point: it is made of what stands right below the leaves."""
    return _are_as_sent(work, below=1)


def discard(work: Work, made: RestorePoint) -> None:
    """Remove a restore point that is not what was sent; no record ever listed it."""
    work.target.remove_restore_point(work.record.fence, work.replica_vm_id, restore_point_id=made.restore_point_id)
    work.reporter.warn(f"restore point {made.name} is removed: somebody changed the replica before it was made")


def _are_as_sent(work: Work, *, below: int) -> bool:
    leaves = {leaf.disk_id: leaf.path for leaf in work.target.leaves(work.replica_vm_id)}
    try:
        return all(
            sent.disk_id in leaves and _is_as_sent(work, sent, chain=chain_of(work, leaves[sent.disk_id])[below:])
            for sent in work.pending.disks
        )
    except FormatError:
        return False
    except HypervisorError as refusal:
        if refusal.error_id not in ("Hvr.ChainBroken", "Hvr.FileNotFound"):
            raise
        return False


def _is_as_sent(work: Work, sent: PendingDisk, *, chain: tuple[HostPath, ...]) -> bool:
    disk = work.record.disk(sent.disk_id)
    if disk is None or not chain or chain[0].path.lower() != disk.leaf.lower():
        return False
    return work.target_movers.inspect(chain).data_write_guid == sent.data_write_guid
