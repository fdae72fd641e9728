# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The control side of a mover, over one TLS connection that is made when it is needed: ``ports.Mover``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from ..errors import PeerError, TransportError
from ..extents import coarsen
from ..machines import DiskGeometry, HostPath
from ..transfers import LeafState, MoverInfo, Side, SourceOrder, TargetOrder, Ticket, TransferStatus
from ..wire.control import (
    EXTENTS_MAX,
    Call,
    CloseTransfer,
    CreateDisk,
    Describe,
    Inspect,
    OpenTarget,
    StartSource,
    Status,
    extent_frames,
    parse_result,
    request_frame,
)
from ..wire.conversation import Ear
from ..wire.frames import Kind
from ..wire.messages import Hello, Ready, parse_error, parse_reply
from .connection import Connection
from .tls import Patience, Peer, TlsFiles, connect

R = TypeVar("R")


class MoverClient:
    """Fulfils ``ports.Mover``. Any thread may call it; calls of one client follow each other.

    A call that finds its connection lost fails; the next one makes a new one. Every call may be made again
    (``mover/functions.py``): whether it is, the service decides.
    """

    def __init__(
        self, name: str, address: tuple[str, int], *, files: TlsFiles, patience: Patience | None = None
    ) -> None:
        self._name = name
        self._address = address
        self._files = files
        self._patience = patience or Patience()
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def data_address(self) -> tuple[str, int]:
        return self._address

    def describe(self) -> MoverInfo:
        return self._call(Describe(), MoverInfo)

    def create_disk(self, path: HostPath, geometry: DiskGeometry, *, replica_id: UUID, epoch: int) -> None:
        self._call(CreateDisk(path, geometry, replica_id, epoch), object)

    def inspect(self, chain: Sequence[HostPath]) -> LeafState:
        return self._call(Inspect(tuple(chain)), LeafState)

    def open_target(self, order: TargetOrder) -> TransferStatus:
        return self._call(OpenTarget(order), TransferStatus)

    def start_source(self, order: SourceOrder) -> TransferStatus:
        """An order of more extents than the protocol takes is widened: sending more than has changed does no harm."""
        if len(order.extents) > EXTENTS_MAX:
            end = order.extents[-1].end
            order = replace(order, extents=tuple(coarsen(list(order.extents), count_max=EXTENTS_MAX, size=end)))
        return self._call(StartSource(order), TransferStatus)

    def status(self, ticket: Ticket, *, side: Side) -> TransferStatus:
        return self._call(Status(ticket, side), TransferStatus)

    def close_transfer(self, ticket: Ticket) -> None:
        self._call(CloseTransfer(ticket), object)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def __enter__(self) -> MoverClient:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _call(self, call: Call, wanted: type[R]) -> R:
        with self._lock:
            result = self._exchange(call)
        if not isinstance(result, wanted):
            raise PeerError(f"mover {self._name} answered with {type(result).__name__}", reason="message_invalid")
        return result

    def _exchange(self, call: Call) -> object:
        connection = self._connection or self._open()
        try:
            if isinstance(call, StartSource):
                for frame in extent_frames(call.order.extents):
                    connection.send(frame)
            connection.send(request_frame(call))
            answer = connection.receive()
        except (PeerError, TransportError):
            self._drop()
            raise
        if answer.kind is Kind.ERROR:
            raise parse_error(answer)
        return parse_result(call, parse_reply(answer))

    def _open(self) -> Connection:
        channel = connect(self._address, self._files, expected=Peer("mover", self._name), patience=self._patience)
        connection = Connection(channel, Ear.MANAGER, patience=self._patience)
        try:
            connection.send(Hello("control").frame())
            answer = connection.receive()
            if answer.kind is Kind.ERROR:
                raise parse_error(answer)
            Ready.parse(answer)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
