# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Which bytes of a disk are sent in a cycle, and why: the table of docs/design/session.md as one function.

"Nothing changed" is never assumed. Whatever raises a doubt about change tracking or about who wrote the leaf leads to
comparing digests of the whole disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ..machines import FrozenDisk
from ..transfers import Scope
from .record import Content, ReplicaDisk


class Reason(Enum):
    """Why a scope was chosen; the words are part of the result."""

    RESUMED = "resumed"
    FIRST_COPY = "first_copy"
    DISK_REPLACED = "disk_replaced"
    DISK_RESIZED = "disk_resized"
    UNFINISHED_COPY = "unfinished_copy"
    LEAF_TOUCHED = "leaf_touched"
    VERSION_NOT_TRACKED = "version_not_tracked"
    NO_TRACKING_POINT = "no_tracking_point"
    TRACKING_POINT_GONE = "tracking_point_gone"
    SOURCE_CHAIN_CHANGED = "source_chain_changed"
    TRACKING_LOST = "tracking_lost"
    TRACKED = "tracked"
    SAMPLE = "sample"  # of a verification, as FULL
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to send of one disk."""

    scope: Scope
    reason: Reason


class Fate(Enum):
    """What becomes of a disk of the record when the source's disks are looked at."""

    KEEP = "keep"
    NEW = "new"  # not in the record
    REPLACED = "replaced"  # not in the record, and its slot held another disk
    RESIZED = "resized"  # same id, another size: needs a new image


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known when a cycle is about to begin, for one disk whose image was there before."""

    leaf_untouched: bool
    version_tracked: bool
    rct_id: str | None
    tracking_point_alive: bool


def fate_of(frozen: FrozenDisk, known: Sequence[ReplicaDisk]) -> Fate:
    """Tell what a frozen disk is to the replica's known disks; identity is the disk id, never slot or path."""
    same = next((disk for disk in known if disk.disk_id == frozen.disk_id), None)
    if same is None:
        return Fate.REPLACED if any(disk.slot == frozen.slot for disk in known) else Fate.NEW
    image, source = same.geometry, frozen.geometry
    equal = image.virtual_size == source.virtual_size and image.logical_sector_size == source.logical_sector_size
    return Fate.KEEP if equal else Fate.RESIZED


def for_new_image(fate: Fate) -> Decision:
    """Return the decision for a disk whose image is made in this session."""
    reasons = {Fate.REPLACED: Reason.DISK_REPLACED, Fate.RESIZED: Reason.DISK_RESIZED}
    return Decision(Scope.ALLOCATED, reasons.get(fate, Reason.FIRST_COPY))


def decide(disk: ReplicaDisk, frozen: FrozenDisk, *, evidence: Evidence) -> Decision:
    """Choose for a disk whose image was there before; the first doubt names the reason."""
    doubts = (
        (not evidence.leaf_untouched, Reason.LEAF_TOUCHED),
        (disk.content is Content.UNKNOWN, Reason.UNFINISHED_COPY),
        (not evidence.version_tracked, Reason.VERSION_NOT_TRACKED),
        (evidence.rct_id is None, Reason.NO_TRACKING_POINT),
        (not evidence.tracking_point_alive, Reason.TRACKING_POINT_GONE),
        (not stands_on(frozen.chain, disk.source_chain), Reason.SOURCE_CHAIN_CHANGED),
    )
    reason = next((reason for doubtful, reason in doubts if doubtful), None)
    return Decision(Scope.CHANGED, Reason.TRACKED) if reason is None else Decision(Scope.COMPARE, reason)


def content_during(before: Content, scope: Scope) -> Content:
    """Return what a leaf may hold from the moment a transfer into it begins."""
    return Content.CHANGES if scope is Scope.CHANGED and before is not Content.UNKNOWN else Content.UNKNOWN


def goes_on(content: Content, scope: Scope) -> bool:
    """Tell whether a dead session's transfer of the same cycle may go on: its scope explains what the leaf holds."""
    return content is (Content.CHANGES if scope is Scope.CHANGED else Content.UNKNOWN)


def stands_on(chain: Sequence[str], earlier: Sequence[str]) -> bool:
    """Tell whether a frozen chain (leaf first) is the earlier one with, at most, new files on top.

    Taking a checkpoint on the source adds a file on top. Applying one exchanges files, removing one merges them away;
    after an apply the guest is back in time and old content returns that change tracking does not list
    (Msvm_LastAppliedSnapshot; what the change query answers then is an open question on real hosts).
    """
    now, before = ([path.lower() for path in paths] for paths in (chain, earlier))
    return bool(before) and len(now) >= len(before) and now[len(now) - len(before) :] == before
