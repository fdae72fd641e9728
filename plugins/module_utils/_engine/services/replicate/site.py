# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a job session needs of the outside world, and how patient it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

from ...model.free_space import FreeSpaceLimit
from ...ports import Catalog, Claims, Clock, Executor, Hypervisor, Journal, Locks, Mover
from ...stops import StopSign


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers that a site may want to change; all times are seconds."""

    machines: int = 4  # of one job side by side
    disks: int = 4  # of one machine side by side
    poll_seconds: float = 0.5
    busy_seconds: float = 300.0  # how long a host may be busy with somebody else's operation
    settle_seconds: float = 900.0  # how long checkpoints and merges may take to settle
    merges: int = 8  # restore points that one session merges at most
    retention_seconds: float = 900.0  # how long one session merges
    chain_files: int = 48  # of a disk: with so many nobody makes one more checkpoint of it
    reconnect_seconds: float = 15.0
    reconnect_limit_seconds: float = 1800.0
    stall_seconds: float = 2700.0  # how long a transfer may stand still; movers that lost each other give up before
    lease_seconds: float = 300.0  # how long a session that is silent keeps its replica from other managers
    checkpoint_seconds: float = 14400.0  # how long the source host keeps the checkpoint of a session that is silent
    ticket_seconds: float = 3600.0  # how long a source may take to come with its ticket


@dataclass(frozen=True, slots=True)
class Site:
    """Ports and factories. Both factories take names of the topology.

    Who calls ``connect_mover`` closes what it gets; hosts are shared by all machines of a session and stay open.
    """

    manager: str
    manager_id: UUID  # identifies the state folder, see ``record.Lease``
    clock: Clock  # its sleep ends with Cancelled when the session is
    tidy_clock: Clock  # nothing stops it: for what has to be cleaned up after a cancellation
    new_id: Callable[[], UUID]
    new_secret: Callable[[], bytes]  # 32 random bytes
    connect_host: Callable[[str], Hypervisor]
    connect_mover: Callable[[str], Mover]
    catalog: Catalog
    journal: Journal
    executor: Executor
    locks: Locks
    claims: Claims  # one for each session
    stop: StopSign = field(default_factory=StopSign)
    limits: Limits = field(default_factory=Limits)
    certificate_expires_at: float = inf  # of the manager, seconds since 1970
    free_space: Mapping[str, Sequence[FreeSpaceLimit]] = field(default_factory=dict)  # by host
