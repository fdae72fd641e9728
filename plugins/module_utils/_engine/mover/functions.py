# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The functions of a mover that a manager calls.

Calls can be repeated: creating what is there, opening or starting what is open or runs, closing what is unknown is
success. A newer epoch of a replica ends the transfers of older ones.
"""

from __future__ import annotations

import threading
import uuid
from functools import partial

from ..adapters import files
from ..adapters.connection import Connection
from ..adapters.tls import Peer, connect, own_certificate
from ..errors import Cancelled, RequestError, StateError
from ..extents import grow, total
from ..formats.vhdx.chain import Chain
from ..formats.vhdx.create import create_image
from ..machines import DiskGeometry, HostPath
from ..transfers import LeafState, MoverInfo, Scope, Side, SourceOrder, Ticket, TransferStatus
from ..units import UNIT_MAX, UNIT_MIN, is_power_of_two
from ..wire.control import (
    Call,
    CloseTransfer,
    CreateDisk,
    Describe,
    Inspect,
    Nothing,
    OpenTarget,
    Result,
    StartSource,
    Status,
)
from ..wire.conversation import Ear
from . import journal as journals
from .comparing import to_compare
from .config import MoverConfig
from .epochs import EpochGuard
from .journal import Journal
from .leaf import OpenLeaf, inspect_chain, leaf_state, open_chain
from .point import PointDisk
from .registry import Registry
from .sending import Outgoing
from .source import SourceTransfer
from .target import TargetTransfer
from .transfer import GRAIN, Plan, Progress

LEVELS = range(-50, 23)  # of zstd


class MoverFunctions:
    """What a mover does for a manager; any thread may call it."""

    def __init__(self, config: MoverConfig, *, version: str, platform: str) -> None:
        self.config = config
        self.registry = Registry(config.name)
        self._access = config.access_map()
        self._epochs = EpochGuard(config.state_folder)
        self._changing = threading.Lock()  # one order at a time
        own, _expires_at = own_certificate(config.tls)
        self._version, self._platform = version, platform
        if own != Peer("mover", config.name):
            raise RequestError(
                f"{config.tls.certificate} is the certificate of {own}, want mover {config.name}",
                reason="config_invalid",
            )

    def call(self, call: Call) -> Result:
        """Do what a manager asks. Raises EngineError."""
        match call:
            case Describe():
                return self._describe()
            case Inspect():
                return inspect_chain(self._resolve(call.chain))
            case Status():
                return self.registry.get(call.ticket, call.side).progress.status
            case CloseTransfer():
                self.registry.remove(call.ticket, Cancelled("the manager closed the transfer"))
                return Nothing()
        with self._changing:
            match call:
                case CreateDisk():
                    return self._create_disk(call)
                case OpenTarget():
                    return self._open_target(call)
                case StartSource():
                    return self._start_source(call.order)

    def _describe(self) -> MoverInfo:
        _own, expires_at = own_certificate(self.config.tls)
        return MoverInfo(self.config.name, self._version, self._platform, self._access.roots, expires_at)

    def _resolve(self, chain: tuple[HostPath, ...], *, write_leaf: bool = False) -> list[str]:
        if not chain:
            raise RequestError("a chain has one file at least", reason="chain_empty")
        return [self._access.resolve(path, write=write_leaf and path is chain[0]) for path in chain]

    def _create_disk(self, call: CreateDisk) -> Nothing:
        path = self._access.resolve(call.path, write=True)
        self._admit(call.replica_id, call.epoch)
        if files.exists(path):
            _check_same_disk(path, call)
        else:
            _create(path, call)
        return Nothing()

    def _open_target(self, call: OpenTarget) -> TransferStatus:
        ticket = call.order.ticket
        self._check_ticket(ticket, own=ticket.target_mover)
        transfer = self.registry.find(ticket, Side.TARGET)
        if transfer is None:
            read_only = call.order.read_only
            paths = self._resolve(call.order.chain, write_leaf=not read_only)
            self._admit(ticket.replica_id, ticket.epoch)
            disk = PointDisk(paths) if read_only else OpenLeaf(call.order, paths)
            transfer = TargetTransfer(ticket, disk, own_name=self.config.name, timing=self.config.timing)
            self.registry.add(transfer)
        return transfer.progress.status

    def _start_source(self, order: SourceOrder) -> TransferStatus:
        self._check_ticket(order.ticket, own=order.ticket.source_mover)
        transfer = self.registry.find(order.ticket, Side.SOURCE)
        if transfer is None:
            self._admit(order.ticket.replica_id, order.ticket.epoch)
            transfer = self._open_source(order)
            self.registry.add(transfer)
            transfer.start()
        return transfer.progress.status

    def _open_source(self, order: SourceOrder) -> SourceTransfer:
        if not (is_power_of_two(order.unit) and UNIT_MIN <= order.unit <= UNIT_MAX):
            raise RequestError(f"block size {order.unit}: want a power of two, 64 KiB to 4 MiB", reason="unit_invalid")
        if order.compression is not None and order.compression not in LEVELS:
            raise RequestError(
                f"compression level {order.compression} is not one of zstd", reason="compression_invalid"
            )
        if order.sample is not None and not (1 <= order.sample.percent <= 100 and 0 <= order.sample.seed < 1 << 32):
            raise RequestError(f"{order.sample}: want 1 to 100 percent, a seed below 2^32", reason="sample_invalid")
        disk = open_chain(self._resolve(order.chain), writable=False)
        plan = _plan(order, disk)
        progress = Progress(total=total(plan.extents))
        outgoing = Outgoing(order.ticket, disk, plan, order.unit, order.compression, progress)
        return SourceTransfer(outgoing, connect=partial(self._connect_target, order), timing=self.config.timing)

    def _connect_target(self, order: SourceOrder) -> Connection:
        patience = self.config.timing.patience
        channel = connect(
            order.target_address,
            self.config.tls,
            expected=Peer("mover", order.ticket.target_mover),
            patience=patience,
        )
        return Connection(channel, Ear.SOURCE, patience=patience)

    def _check_ticket(self, ticket: Ticket, *, own: str) -> None:
        if own != self.config.name or len(ticket.secret) < 32:
            raise RequestError(f"this ticket is for mover {own}, not {self.config.name}", reason="ticket_refused")

    def _admit(self, replica_id: uuid.UUID, epoch: int) -> None:
        self._epochs.admit(replica_id, epoch)
        self.registry.fence(replica_id, epoch)


def _plan(order: SourceOrder, disk: Chain) -> Plan:
    if order.scope is Scope.VERIFY:
        compared = to_compare(disk.allocated(), list(order.extents), size=disk.virtual_size, sample=order.sample)
        return Plan(order.scope, tuple(compared), disk.virtual_size)  # not widened: what was left out differs
    extents = disk.allocated() if order.scope is Scope.ALLOCATED else order.extents
    extents = grow(extents, grain=GRAIN, size=disk.virtual_size)
    return Plan(order.scope, tuple(extents), disk.virtual_size, order.basis)


def _create(path: str, call: CreateDisk) -> None:
    """Make the image under another name first, so that one under its own name is always whole."""
    unfinished = path + ".new"
    files.remove_file(unfinished)
    with files.create_file(unfinished) as file:
        create_image(file, call.geometry, new_id=uuid.uuid4)
        state = leaf_state(Chain.open([file]))
    journals.store(path, _journal_of_new(call, state))
    files.rename(unfinished, path)


def _journal_of_new(call: CreateDisk, state: LeafState) -> Journal:
    return Journal(
        replica_id=call.replica_id,
        disk_id=call.geometry.disk_id,
        cycle_id="",
        epoch=call.epoch,
        plan="",
        was_empty=True,
        durable_until=0,
        complete=False,
        base=state.data_write_guid,
        previous=state.data_write_guid,
        written=state.data_write_guid,
        file_write_guid=state.file_write_guid,
    )


def _check_same_disk(path: str, call: CreateDisk) -> None:
    """Accept what an earlier call for this replica made, and nobody has stood a checkpoint on since.

    An image without a journal, or with another replica's, may be under restore points that somebody relies on.
    """
    journal = journals.load(path)
    chain = open_chain([path], writable=False)
    try:
        found: DiskGeometry = chain.geometry
    finally:
        chain.close()
    if found != call.geometry or journal is None or journal.replica_id != call.replica_id:
        raise StateError(
            f"{call.path} is another disk, or another replica's: {found.virtual_size} bytes, id {found.disk_id}",
            hint="remove it, or choose another folder for the replica",
            reason="file_exists",
        )
