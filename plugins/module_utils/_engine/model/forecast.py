# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a cycle is likely to take, told from the cycles before it: bytes that changed, time, growth of the checkpoint.

A forecast refuses what cannot end well before it begins. It promises nothing: guests change their habits, so free space
is looked at again while a session runs. What nobody can tell yet is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from ..machines import Allocation, DiskGeometry
from ..units import MiB
from .record import Content, Cycle, ReplicaDisk, ReplicaRecord

RECENT: Final = 4  # cycles that rates are taken from
LEAF_BLOCK: Final = 2 * MiB  # of the differencing files that Hyper-V makes: a write into a block takes all of it


class Disk(Protocol):
    """A disk of a machine or of its checkpoint."""

    @property
    def geometry(self) -> DiskGeometry | None: ...

    @property
    def file_size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Forecast:
    """By disk id: bytes to send, and bytes that the guest writes until they are sent. ``seconds``: None is unknown."""

    changed: Mapping[UUID, int] = field(default_factory=dict)
    growth: Mapping[UUID, int] = field(default_factory=dict)
    seconds: float | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the form of the session's result; null is unknown."""
        return {
            "changed_bytes": sum(self.changed.values()) if self.changed else None,
            "growth_bytes": sum(self.growth.values()) if self.growth else None,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }


def expected_changes(record: ReplicaRecord, disks: Sequence[Disk], *, now: float) -> dict[UUID, int]:
    """Return the bytes to send of each disk, as far as one can tell at ``now``: what is stored of a new one, of others
    what the guest has written since the newest restore point at its recent rate."""
    newest = record.newest
    elapsed = max(0.0, now - newest.source_time) if newest is not None else 0.0
    expected = {}
    for disk_id, disk in _by_id(disks).items():
        known, rate = record.disk(disk_id), _write_rate(record.cycles, disk_id)
        if known is None or known.content is Content.EMPTY:
            expected[disk_id] = min(disk.file_size, _size(disk))
        elif rate is not None:
            expected[disk_id] = min(_size(disk), int(rate * elapsed))
    return expected


def forecast(record: ReplicaRecord, disks: Sequence[Disk], *, changed: Mapping[UUID, int]) -> Forecast:
    """Return what it takes to send so many bytes of each disk, judged by the record's newest cycles."""
    rate = _transfer_rate(record.cycles)
    if rate is None:
        return Forecast(changed)
    seconds = sum(changed.values()) / rate
    growth = {}
    for disk_id, disk in _by_id(disks).items():
        write_rate = _write_rate(record.cycles, disk_id)
        if write_rate is not None:
            growth[disk_id] = min(_size(disk), int(write_rate * seconds))
    return Forecast(changed, growth, seconds)


def room_at_target(record: ReplicaRecord, disks: Sequence[Disk], *, changed: Mapping[UUID, int]) -> int:
    """Return the bytes that the volume of a replica needs to take in a cycle.

    A fixed image takes its whole size when it is made. A leaf that holds part of a cycle has taken its room already;
    how much of it nobody can tell before it is opened.
    """
    return sum(_room(disk, record.disk(disk_id), changed.get(disk_id, 0)) for disk_id, disk in _by_id(disks).items())


def _room(disk: Disk, known: ReplicaDisk | None, changed: int) -> int:
    fixed = disk.geometry is not None and disk.geometry.allocation is Allocation.FIXED
    if known is None:
        return _size(disk) if fixed else changed
    if known.content is Content.EMPTY:
        return 0 if fixed else changed
    return changed if known.content is Content.RESTORE_POINT else 0


def _transfer_rate(cycles: Sequence[Cycle]) -> float | None:
    """Return bytes a second; the fastest of the recent cycles: small ones measure waiting, not transfer."""
    moved = [(cycle.traffic.total - cycle.traffic.same, cycle.seconds) for cycle in cycles[-RECENT:]]
    return max((size / seconds for size, seconds in moved if size > 0 and seconds > 0), default=None)


def _write_rate(cycles: Sequence[Cycle], disk_id: UUID) -> float | None:
    """Return bytes a second that the guest changed on a disk over the recent cycles that could tell."""
    told = [
        (cycle.changed[disk_id], cycle.source_time - cycle.since)
        for cycle in cycles[-RECENT:]
        if disk_id in cycle.changed and cycle.since is not None and cycle.source_time > cycle.since
    ]
    return sum(size for size, _seconds in told) / sum(seconds for _size, seconds in told) if told else None


def _by_id(disks: Sequence[Disk]) -> dict[UUID, Disk]:
    return {disk.geometry.disk_id: disk for disk in disks if disk.geometry is not None}


def _size(disk: Disk) -> int:
    return disk.geometry.virtual_size if disk.geometry is not None else 0
