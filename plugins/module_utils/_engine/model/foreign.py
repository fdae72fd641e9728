# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What somebody else did to a replica: the record, which says how it was left, against what its host shows now.

What a dead session of ours may have done is no trace of a foreign hand: each of its acts is recorded before.
"""

from __future__ import annotations

import ntpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from uuid import UUID

from ..machines import Hardware, Leaf, MachineConfig, RestorePoint
from .record import Configured, Content, ReplicaDisk, ReplicaRecord


class Sign(Enum):
    """Kinds of traces; the words are those of docs/design/session.md."""

    RECORD_EDITED = "record_edited"
    RENAMED = "replica_renamed"
    RECONFIGURED = "replica_reconfigured"
    CHECKPOINT_MADE = "checkpoint_made"
    CHECKPOINT_APPLIED = "checkpoint_applied"
    POINT_REMOVED = "restore_point_removed"
    DISK_DETACHED = "disk_detached"
    DISK_ATTACHED = "disk_attached"
    DISK_MOVED = "disk_moved"
    CONTENT_CHANGED = "content_changed"
    LEAF_DAMAGED = "leaf_damaged"
    LEAF_UNEXPLAINED = "leaf_unexplained"

    @property
    def doubts_all(self) -> bool:
        """Tell whether no leaf of the replica can be trusted after it."""
        return self in (Sign.RECORD_EDITED, Sign.CHECKPOINT_MADE, Sign.POINT_REMOVED)

    @property
    def doubts_disk(self) -> bool:
        """Tell whether the leaf of its disk cannot be trusted after it."""
        return self in (Sign.CHECKPOINT_APPLIED, Sign.DISK_MOVED, Sign.CONTENT_CHANGED, Sign.LEAF_UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that somebody else did; ``text`` is for people, ``disk_id`` None when it is of no disk."""

    sign: Sign
    text: str
    disk_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What the host of a replica shows. ``contents`` has DataWriteGuids of leaves, of those that were looked at."""

    config: MachineConfig
    points: Sequence[RestorePoint]
    leaves: Mapping[UUID, Leaf]
    contents: Mapping[UUID, UUID]

    @property
    def tree(self) -> tuple[UUID, ...]:
        return tuple(sorted(point.restore_point_id for point in self.points))


def traces_of(record: ReplicaRecord, sight: Sight) -> tuple[Trace, ...]:
    """Return what differs from how our sessions left the replica."""
    of_tree = tuple(_of_tree(record, sight))
    return (*_of_configuration(record, sight), *of_tree, *_of_disks(record, sight, same_tree=not of_tree))


def doubted_disks(record: ReplicaRecord, traces: Sequence[Trace]) -> frozenset[UUID]:
    """Return the disks whose leaves cannot be trusted after what was done."""
    if any(trace.sign.doubts_all for trace in traces):
        return frozenset(disk.disk_id for disk in record.disks)
    return frozenset(trace.disk_id for trace in traces if trace.disk_id is not None and trace.sign.doubts_disk)


def accepted(record: ReplicaRecord, sight: Sight, *, doubted: frozenset[UUID]) -> ReplicaRecord:
    """Return the record of a replica that is taken as it is found: doubted leaves are to be compared.

    What they hold now is their fingerprint from here on, so that whatever is done to them later is found as well.
    """

    def as_found(disk: ReplicaDisk) -> ReplicaDisk:
        leaf = sight.leaves.get(disk.disk_id)
        found = disk if leaf is None else replace(disk, leaf=leaf.path)
        if disk.disk_id not in doubted:
            return found
        return replace(found, content=Content.UNKNOWN, data_write_guid=sight.contents.get(disk.disk_id))

    tree = sight.tree if doubted else record.tree
    return replace(record, disks=tuple(as_found(disk) for disk in record.disks), tree=tree)


def configured(config: MachineConfig) -> Configured:
    """Return the part of a replica's configuration that sessions set, without ids that its host gives."""
    nics = sorted((replace(nic, nic_id="") for nic in config.hardware.nics), key=lambda nic: nic.name)
    return Configured(config.machine.name, replace(config.hardware, nics=tuple(nics)))


def _of_configuration(record: ReplicaRecord, sight: Sight) -> Iterator[Trace]:
    before, now = record.configured, configured(sight.config)
    if before is None:  # a session was about to set it
        return
    if now.name != before.name:
        yield Trace(Sign.RENAMED, f"it was renamed from {before.name} to {now.name}")
    changed = _differences(before.hardware, now.hardware)
    if changed:
        yield Trace(Sign.RECONFIGURED, f"its configuration was changed: {', '.join(changed)}")


def _differences(before: Hardware, now: Hardware) -> list[str]:
    parts = {
        "processors": (before.processor_count, now.processor_count),
        "memory": (before.memory, now.memory),
        "firmware": (before.firmware, now.firmware),
        "network adapters": (before.nics, now.nics),
    }
    return [name for name, (old, new) in parts.items() if old != new]


def _of_tree(record: ReplicaRecord, sight: Sight) -> Iterator[Trace]:
    known, names = set(record.tree), {point.point_id: point.name for point in record.restore_points}
    for point in sight.points:
        if point.restore_point_id not in known:
            yield Trace(Sign.CHECKPOINT_MADE, f"checkpoint {point.name!r} was made by hand")
    for point_id in record.tree:
        if point_id not in sight.tree and point_id not in record.removing:
            yield Trace(Sign.POINT_REMOVED, f"restore point {names.get(point_id, str(point_id))} was removed")


def _of_disks(record: ReplicaRecord, sight: Sight, *, same_tree: bool) -> Iterator[Trace]:
    for disk in record.disks:
        leaf = sight.leaves.get(disk.disk_id)
        if leaf is not None:
            yield from _of_place(disk, leaf, same_tree=same_tree)
        elif (
            record.pending is None and disk.content is not Content.EMPTY
        ):  # else a dead session was putting disks in their places
            yield Trace(Sign.DISK_DETACHED, f"disk {disk.slot} was detached", disk.disk_id)
        found = sight.contents.get(disk.disk_id)
        if found is not None and disk.data_write_guid != found:  # none: it was written to before it had one
            text = f"the content of disk {disk.slot} was changed: the replica was started, or the disk was mounted"
            yield Trace(Sign.CONTENT_CHANGED, text, disk.disk_id)
    ours = {disk.disk_id for disk in record.disks} | {disk.disk_id for disk in record.retired}
    for leaf in sight.leaves.values():
        if leaf.disk_id not in ours:
            yield Trace(Sign.DISK_ATTACHED, f"another disk was attached at {leaf.slot}: {leaf.path}", leaf.disk_id)


def _of_place(disk: ReplicaDisk, leaf: Leaf, *, same_tree: bool) -> Iterator[Trace]:
    """A leaf elsewhere, unless a session of ours was about to exchange it or to write to it."""
    if disk.content is not Content.RESTORE_POINT or is_same_path(disk.leaf, leaf.path):
        return
    if not is_same_path(ntpath.dirname(disk.leaf), ntpath.dirname(leaf.path)):
        yield Trace(Sign.DISK_MOVED, f"disk {disk.slot} was moved to {leaf.path}", disk.disk_id)
    elif same_tree:
        text = f"a checkpoint was applied by hand: disk {disk.slot} goes on in {leaf.path}"
        yield Trace(Sign.CHECKPOINT_APPLIED, text, disk.disk_id)


def is_same_path(first: str, second: str) -> bool:
    """Compare two paths of a Windows host."""
    return ntpath.normcase(first) == ntpath.normcase(second)
