# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The receiving side of a transfer: verify, write into the leaf, make durable, note it in the journal, report.

One thread receives and unpacks, the thread of the connection writes: it waits for the disk most of the time. While the
source is away the leaf stays open and locked. Who else may have written to the leaf is decided by ``mover/leaf.py``
before anything is.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final, Protocol

from ..adapters.connection import Connection
from ..adapters.files import aligned_memory
from ..errors import Cancelled, EngineError, StateError, TransportError
from ..extents import Extent
from ..libraries import keyed_blake3, zstd_decompressor
from ..transfers import LeafState, Side, Ticket, TransferState
from ..units import UNIT_MAX, MiB
from ..wire.frames import Frame, Kind
from ..wire.messages import (
    Digests,
    Done,
    Hello,
    Ready,
    durable_frame,
    error_frame,
    parse_error,
    parse_place,
    parse_unit_place,
)
from ..wire.unit import DATA, SAME, ZERO, ZSTD, Unit, pieces
from .config import Timing
from .leaf import Begin
from .pipes import MemoryPool, Pipe
from .transfer import Progress, digest_key

DEPTH: Final = 4  # frames between receiver and writer
FLUSH_BYTES: Final = 256 * MiB  # written at most before they are made durable
LAST_WORD_SECONDS: Final = 5.0


class TargetDisk(Protocol):
    """What a source writes to or compares with: ``leaf.OpenLeaf``, ``point.PointDisk``. One thread at a time."""

    @property
    def virtual_size(self) -> int: ...

    def durable_until_of(self, cycle_id: str) -> int: ...

    def begin(self, ticket: Ticket, hello: Hello) -> Begin: ...

    def check_place(self, extent: Extent) -> None: ...

    def write(self, offset: int, data: memoryview) -> None: ...

    def zero(self, extent: Extent) -> None: ...

    def read_into(self, offset: int, buffer: memoryview) -> None: ...

    def reach(self, offset: int) -> None: ...

    def make_durable(self) -> int: ...

    def complete(self) -> LeafState: ...

    def close(self) -> None: ...


class TargetTransfer:
    """Serves an authorized source with one disk."""

    side = Side.TARGET

    def __init__(self, ticket: Ticket, leaf: TargetDisk, *, own_name: str, timing: Timing) -> None:
        self.ticket = ticket
        self.leaf = leaf
        self.own_name = own_name
        self.timing = timing
        self.progress = Progress(durable_until=leaf.durable_until_of(ticket.cycle_id))
        self._turn = threading.Lock()  # held while a connection is served, and to close the leaf
        self._connection: Connection | None = None
        self._has_begun = False
        self._alone_since = time.monotonic()
        self.ticket_ends_at = self._alone_since + ticket.lifetime_seconds

    def admits(self, now: float) -> bool:
        """Tell whether a source may connect at ``now`` (monotonic): while the ticket lives, and always to go on."""
        return self._has_begun or now < self.ticket_ends_at

    def abandoned(self, now: float) -> EngineError | None:
        """Return why the source will not come (any more) at ``now`` (monotonic), None when it may."""
        status = self.progress.status
        if status.state is not TransferState.WAITING or now < self.ticket_ends_at:
            return None
        if not self._has_begun:
            return StateError("the ticket expired before the source came", reason="ticket_expired")
        if now - self._alone_since < self.timing.reconnect_limit:
            return None
        return TransportError(
            f"{self.ticket.source_mover} has not come back for {self.timing.reconnect_limit:.0f} seconds",
            reason="source_gone",
        )

    def cancel(self, error: EngineError) -> None:
        self.progress.end(error, state=TransferState.CANCELLED)
        self._drop_connection()
        with self._turn:
            self.leaf.close()

    def serve(self, connection: Connection, hello: Hello) -> None:
        """Take what a source sends until it is done or gone. An earlier connection gives way: it is half dead."""
        self._drop_connection()
        with self._turn:
            self._connection = connection
            self._has_begun = True
            if self.progress.has_ended:
                self._repeat_end(connection)
                return
            try:
                Receiving(self, connection).run(hello)
            except TransportError:
                self._pause()
            except EngineError as error:
                self._give_up(error)
                raise
            except Exception as error:
                self._give_up(EngineError(f"the target mover failed: {error!r}"))
                raise

    def _repeat_end(self, connection: Connection) -> None:
        """Answer a source that did not hear how the transfer ended."""
        status = self.progress.status
        if status.state is not TransferState.DONE or status.leaf is None:
            raise StateError(
                f"this transfer is over: {status.state.value}", current=status.state.value, reason="transfer_over"
            )
        connection.send(Ready(self.own_name, status.durable_until).frame())
        while connection.receive().kind is not Kind.END:
            pass
        connection.send(Done(status.leaf).frame())

    def _drop_connection(self) -> None:
        connection = self._connection
        if connection is not None:
            connection.close()

    def _pause(self) -> None:
        """The source is gone: keep what came, and wait for it."""
        self._alone_since = time.monotonic()
        if self.progress.has_ended:
            return
        try:
            durable_until = self.leaf.make_durable()
        except EngineError as error:
            self._give_up(error)
        else:
            self.progress.set(state=TransferState.WAITING, durable_until=durable_until)

    def _give_up(self, error: EngineError) -> None:
        self.progress.end(error)
        self.leaf.close()


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A unit that arrived, and its verified bytes in lent memory."""

    unit: Unit
    data: memoryview


class Receiving:
    """The pipeline of one connection."""

    def __init__(self, transfer: TargetTransfer, connection: Connection) -> None:
        self._transfer = transfer
        self._progress = transfer.progress
        self._leaf = transfer.leaf
        self._connection = connection
        self._arrived: Pipe[Frame | Unpacked] = Pipe(DEPTH)
        self._memory = MemoryPool(DEPTH + 3)  # two of the receiver, one of the writer
        self._decompressor = zstd_decompressor()
        self._content = aligned_memory(UNIT_MAX)
        self._digest = keyed_blake3(digest_key(transfer.ticket))
        self._unflushed = 0  # bytes
        self._flushed_at = time.monotonic()

    def run(self, hello: Hello) -> None:
        """Receive and write until the source is done. Raises EngineError, of which the source was told."""
        begin = self._leaf.begin(self._transfer.ticket, hello)
        self._progress.set(state=TransferState.RUNNING, durable_until=begin.durable_until)
        self._connection.use_memory(self._memory.take)
        self._connection.send(Ready(self._transfer.own_name, begin.durable_until, begin.wants_gaps).frame())
        receiver = threading.Thread(target=self._receive_all, name="receive", daemon=True)
        receiver.start()
        try:
            for arrived in self._arrived:
                self._take(arrived)
        except EngineError as error:
            if not isinstance(error, TransportError):
                self._tell(error)
            raise
        finally:
            ended = Cancelled("the connection has ended")
            self._arrived.fail(ended)
            self._memory.fail(ended)
            receiver.join(LAST_WORD_SECONDS)
            self._connection.close()
            receiver.join()

    def _tell(self, error: EngineError) -> None:
        try:
            self._connection.send(error_frame(error))
        except TransportError:
            pass  # gone already

    def _receive_all(self) -> None:
        """The receiver's thread. After an error it listens on until the source hangs up: to close at once could lose
        what the source is being told."""
        try:
            while self._receive_one() is not Kind.END:
                pass
            self._arrived.finish()
        except TransportError as error:
            self._arrived.finish(error)  # what has arrived is still written: it need not travel again
        except EngineError as error:
            self._arrived.fail(error)
        except Exception as error:  # noqa: BLE001 - the outer loop of a thread: told, not lost
            self._arrived.fail(EngineError(f"the target mover failed: {error!r}"))
        self._connection.drain(LAST_WORD_SECONDS)

    def _receive_one(self) -> Kind:
        with self._progress.busy.at("receive"):
            frame = self._connection.receive()
        if frame.kind is Kind.ERROR:
            raise parse_error(frame)
        self._arrived.put(self._unpack(Unit.parse(frame)) if frame.kind is Kind.UNIT else frame)
        return frame.kind

    def _unpack(self, unit: Unit) -> Unpacked:
        """Verify a unit; its payload's memory goes on to the writer, or back when the bytes were compressed."""
        with self._progress.busy.at("unpack"):
            payload, length = memoryview(unit.payload), unit.bytes_in(DATA)
            memory = self._memory.take(length) if unit.codec == ZSTD else payload
            data = unit.plain_payload(self._decompressor, memory)
            if unit.codec == ZSTD:
                self._memory.give(payload)
        return Unpacked(unit, data)

    def _take(self, arrived: Frame | Unpacked) -> None:
        if isinstance(arrived, Unpacked):
            self._write_unit(arrived.unit, arrived.data)
            if arrived.data:
                self._memory.give(arrived.data)
        elif arrived.kind is Kind.ZERO:
            self._write_gap(parse_place(arrived))
        elif arrived.kind is Kind.COMPARE:
            self._answer(parse_unit_place(arrived))
        else:
            self._finish()
            return
        if self._unflushed >= FLUSH_BYTES or time.monotonic() - self._flushed_at >= self._transfer.timing.flush:
            self._flush()

    def _write_unit(self, unit: Unit, data: memoryview) -> None:
        self._leaf.check_place(unit.extent)
        start = 0
        with self._progress.busy.at("write"):
            for state, extent in unit.runs():
                if state == DATA:
                    self._leaf.write(extent.offset, data[start : start + extent.length])
                    start += extent.length
                elif state == ZERO:
                    self._leaf.zero(extent)
            self._leaf.reach(unit.extent.end)
        self._unflushed += start
        self._progress.add(
            processed=unit.extent.length, written=start, zero=unit.bytes_in(ZERO), same=unit.bytes_in(SAME)
        )

    def _write_gap(self, extent: Extent) -> None:
        self._leaf.check_place(extent)
        with self._progress.busy.at("write"):
            self._leaf.zero(extent)
            self._leaf.reach(extent.end)

    def _answer(self, extent: Extent) -> None:
        """Send the digests of what the leaf holds."""
        self._leaf.check_place(extent)
        with self._progress.busy.at("compare"):
            content = self._content[: extent.length]
            self._leaf.read_into(extent.offset, content)
            parts = (content[p.offset - extent.offset : p.end - extent.offset] for p in pieces(extent))
            digests = tuple(self._digest(part) for part in parts)
        self._connection.send(Digests(extent, digests).frame())

    def _flush(self) -> None:
        with self._progress.busy.at("flush"):
            durable_until = self._leaf.make_durable()
        self._unflushed, self._flushed_at = 0, time.monotonic()
        self._progress.set(durable_until=durable_until)
        self._connection.send(durable_frame(durable_until))

    def _finish(self) -> None:
        with self._progress.busy.at("flush"):
            state = self._leaf.complete()
        self._progress.end(None, state=TransferState.DONE, leaf=state, durable_until=self._leaf.virtual_size)
        try:
            self._connection.send(Done(state).frame())
        except TransportError:
            pass  # the source connects again, and hears that the transfer is over
