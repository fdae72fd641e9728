# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Values of a disk transfer: what the manager orders from two movers, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from .extents import Extent
from .machines import HostPath


class Scope(Enum):
    """Which extents a source mover sends."""

    ALLOCATED = "allocated"  # first copy: everything the chain stores, into a disk that reads as zeros
    CHANGED = "changed"  # the extents of the order
    COMPARE = "compare"  # the extents of the order, less the pieces whose digest the target has already
    VERIFY = "verify"  # nothing: all but the extents of the order is compared, and what differs is told


class Side(Enum):
    """Which part of a transfer a mover does; one mover may do both."""

    SOURCE = "source"
    TARGET = "target"


class TransferState(Enum):
    """States of a transfer at one mover."""

    WAITING = "waiting"  # opened, no data connection yet (or it was lost)
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class LeafState:
    """Identity of the content of an image file. Source: [MS-VHDX] 2.2.2."""

    file_write_guid: UUID
    data_write_guid: UUID
    virtual_size: int  # bytes
    is_empty: bool  # nobody has written to it: it reads as the file below


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to one transfer, given to both movers by the manager.

    ``secret`` is 32 random bytes. ``cycle_id`` names the frozen content (the source checkpoint): a transfer of the
    same cycle may go on where an earlier one ended, one of another cycle may not.
    """

    secret: bytes = field(repr=False)
    source_mover: str
    target_mover: str
    replica_id: UUID
    disk_id: UUID
    cycle_id: str
    epoch: int
    lifetime_seconds: float  # in which the source has to begin, from when a mover was given the ticket


@dataclass(frozen=True, slots=True)
class TargetOrder:
    """Open the leaf of a replica for writing; ``chain`` is leaf first.

    ``data_write_guid`` is what the record says of the leaf: another one means that somebody touched it, and the
    mover refuses (StateError, reason ``leaf_touched``) unless the journal beside the leaf explains it. None: do not
    ask (the session compares or overwrites everything). With ``read_only``, for ``Scope.VERIFY``, the chain is that of
    a restore point: it is read side by side with others, and nothing is written, the journal neither.
    """

    ticket: Ticket
    chain: tuple[HostPath, ...]
    data_write_guid: UUID | None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """Which part of the content is compared; equal seeds choose the same units of equal disks."""

    percent: int  # of what the source stores, 1 to 100
    seed: int  # below 2^32


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """Read a frozen chain and send it to the target mover; ``chain`` is leaf first.

    ``extents`` is normal; it is empty for ``Scope.ALLOCATED``, and what is left out for ``Scope.VERIFY``. ``basis``
    names what the extents of ``Scope.CHANGED`` cover at least: a host that is asked again may list more, and the
    transfer of the same cycle and basis goes on all the same.
    """

    ticket: Ticket
    chain: tuple[HostPath, ...]
    scope: Scope
    extents: tuple[Extent, ...]
    unit: int  # bytes
    compression: int | None  # zstd level, None: do not compress
    target_address: tuple[str, int]
    sample: Sample | None = None  # of ``Scope.VERIFY``; None: everything
    basis: str = ""  # empty: the extents themselves


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """Where a transfer stands, as one mover sees it. Counters are bytes of the virtual disk unless said."""

    state: TransferState
    total: int = 0  # what the order covers
    processed: int = 0  # of ``total``: read, skipped or found equal
    durable_until: int = 0  # everything of the order below this offset is on the target's disk, or was compared
    read: int = 0
    zero: int = 0
    same: int = 0  # not sent, the target has it
    sent: int = 0  # bytes on the wire, frame headers included
    written: int = 0
    bad_bytes: int = 0  # source, of ``Scope.VERIFY``: they differ at the target
    bad: tuple[Extent, ...] = ()  # normal, and short: neighbours are joined, so it may cover more than ``bad_bytes``
    busy_seconds: dict[str, float] = field(default_factory=dict)  # per stage: read, compress, send, receive, write
    error: dict[str, object] | None = None  # EngineError.as_dict()
    leaf: LeafState | None = None  # target, when done


@dataclass(frozen=True, slots=True)
class MoverInfo:
    """What a mover says of itself; ``certificate_expires_at`` is in seconds since 1970."""

    name: str
    version: str
    platform: str
    roots: tuple[str, ...]  # host path prefixes it serves, "host:prefix"
    certificate_expires_at: float
