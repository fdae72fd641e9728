# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The calls that a manager makes on a mover's control connection: their arguments and results.

One table serves both ends. The name of a call on the wire is the key in ``CALLS``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from uuid import UUID

from ..errors import PeerError
from ..extents import Extent, pack_pairs, unpack_pairs
from ..machines import DiskGeometry, HostPath
from ..transfers import LeafState, MoverInfo, Side, SourceOrder, TargetOrder, Ticket, TransferStatus
from .frames import LIMITS, Frame, Kind
from .messages import Request
from .plain import from_plain, to_plain

EXTENTS_MAX: Final = 1 << 20  # in one order: some 200 MiB of memory while it is made
PAIR_SIZE: Final = 16  # bytes


@dataclass(frozen=True, slots=True)
class Describe:
    """Arguments of ``ports.Mover.describe``."""


@dataclass(frozen=True, slots=True)
class CreateDisk:
    """Arguments of ``ports.Mover.create_disk``."""

    path: HostPath
    geometry: DiskGeometry
    replica_id: UUID
    epoch: int


@dataclass(frozen=True, slots=True)
class Inspect:
    """Arguments of ``ports.Mover.inspect``."""

    chain: tuple[HostPath, ...]


@dataclass(frozen=True, slots=True)
class OpenTarget:
    """Arguments of ``ports.Mover.open_target``."""

    order: TargetOrder


@dataclass(frozen=True, slots=True)
class StartSource:
    """Arguments of ``ports.Mover.start_source``; on the wire the extents go ahead in frames of their own."""

    order: SourceOrder


@dataclass(frozen=True, slots=True)
class Status:
    """Arguments of ``ports.Mover.status``."""

    ticket: Ticket
    side: Side


@dataclass(frozen=True, slots=True)
class CloseTransfer:
    """Arguments of ``ports.Mover.close_transfer``."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Nothing:
    """Result of a call that returns nothing."""


# As text: the pylint of ansible-test judges by Python 3.8.
Call: TypeAlias = "Describe | CreateDisk | Inspect | OpenTarget | StartSource | Status | CloseTransfer"
Result: TypeAlias = "MoverInfo | LeafState | TransferStatus | Nothing"

CALLS: Final[dict[str, tuple[type[Call], type[Result]]]] = {
    "describe": (Describe, MoverInfo),
    "create_disk": (CreateDisk, Nothing),
    "inspect": (Inspect, LeafState),
    "open_target": (OpenTarget, TransferStatus),
    "start_source": (StartSource, TransferStatus),
    "status": (Status, TransferStatus),
    "close_transfer": (CloseTransfer, Nothing),
}
NAMES: Final = {arguments: name for name, (arguments, _result) in CALLS.items()}


def request_frame(call: Call) -> Frame:
    """Encode a call, without the extents of an order."""
    if isinstance(call, StartSource):
        call = StartSource(replace(call.order, extents=()))
    arguments = to_plain(call)
    return Request(NAMES[type(call)], arguments if isinstance(arguments, dict) else {}).frame()


def extent_frames(extents: tuple[Extent, ...]) -> list[Frame]:
    """Encode the extents of an order, to be sent before its request."""
    size = LIMITS[Kind.EXTENTS].payload // PAIR_SIZE
    return [Frame(Kind.EXTENTS, b"", pack_pairs(extents[at : at + size])) for at in range(0, len(extents), size)]


def parse_extents(frame: Frame, *, known: int) -> list[Extent]:
    """Decode extents; ``known`` is how many came before. Raises PeerError when there are too many."""
    if len(frame.payload) % PAIR_SIZE or known + len(frame.payload) // PAIR_SIZE > EXTENTS_MAX:
        raise PeerError(f"more than {EXTENTS_MAX} extents, or cut ones", reason="message_invalid")
    return unpack_pairs(bytes(frame.payload))


def parse_request(frame: Frame, extents: list[Extent]) -> Call:
    """Decode a call; ``extents`` are those that came ahead. Raises PeerError."""
    request = Request.parse(frame)
    if request.method not in CALLS:
        raise PeerError(f"a mover has no function {request.method[:80]!r}", reason="method_unknown")
    try:
        call = from_plain(CALLS[request.method][0], request.arguments)
    except ValueError as error:
        raise PeerError(f"{request.method}: {error}", reason="message_invalid") from error
    if isinstance(call, StartSource):
        return StartSource(replace(call.order, extents=tuple(extents)))
    return call


def parse_result(call: Call, plain: object) -> Result:
    """Decode the result of a call. Raises PeerError."""
    try:
        return from_plain(CALLS[NAMES[type(call)]][1], plain)
    except ValueError as error:
        raise PeerError(f"result of {NAMES[type(call)]}: {error}", reason="message_invalid") from error
