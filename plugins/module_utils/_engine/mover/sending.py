# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a source does on one connection: read, leave out what need not travel, compress, send.

Three stages overlap: one thread reads units, a pool of workers packs them, the transfer's own thread sends them in
order. A fourth thread listens to the target.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ..adapters.connection import Connection
from ..errors import Cancelled, EngineError, TransportError
from ..extents import Extent, cut, total
from ..libraries import Compressor, keyed_blake3, zstd_compressor
from ..ports import DiskReader
from ..transfers import Scope, Ticket, TransferState
from ..wire.frames import Kind
from ..wire.messages import (
    END,
    Digests,
    Done,
    Hello,
    Ready,
    error_frame,
    parse_durable,
    parse_error,
    place_frame,
)
from ..wire.unit import SAME, ZERO, Unit, build_unit, pieces
from .pipes import Pipe
from .transfer import Plan, Progress, digest_key

DEPTH: Final = 4  # units between two stages
COMPARE_AHEAD: Final = 16  # units whose digests are asked for before they are read
LAST_WORD_SECONDS: Final = 5.0
WORKERS: Final = max(1, (os.cpu_count() or 1) - 1)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a transfer sends, and where it tells how far it is."""

    ticket: Ticket
    disk: DiskReader
    plan: Plan
    unit: int  # bytes
    compression: int | None  # zstd level
    progress: Progress


@dataclass(frozen=True, slots=True)
class Packed:
    """A unit ready to go, and the memory it may use until it is sent. Without a unit: a gap, or it was compared."""

    extent: Extent
    unit: Unit | None = None
    memory: bytearray | None = None
    bad: tuple[Extent, ...] = ()  # pieces that differ at the target


class Sending:
    """The pipeline of one connection."""

    def __init__(self, outgoing: Outgoing, connection: Connection) -> None:
        self._ticket = outgoing.ticket
        self._progress = outgoing.progress
        self._disk, self._plan, self._unit = outgoing.disk, outgoing.plan, outgoing.unit
        self._compression = outgoing.compression
        self._connection = connection
        self._memory: Pipe[bytearray] = Pipe(DEPTH + WORKERS + 1)
        self._packed: Pipe[Future[Packed]] = Pipe(DEPTH)
        self._answers: Pipe[Done] = Pipe(1)
        self._digests = DigestTable()
        self._compares = self._plan.scope in (Scope.COMPARE, Scope.VERIFY)
        self._digest = keyed_blake3(digest_key(self._ticket))
        self._local = threading.local()
        self._error: EngineError | None = None
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="pack")
        for _index in range(DEPTH + WORKERS + 1):
            self._memory.put(bytearray(self._unit))

    def run(self) -> None:
        """Send everything that is not durable yet, and wait until it is. Raises EngineError."""
        ready = self._greet()
        listener = threading.Thread(target=self._guarded(self._listen), name="listen", daemon=True)
        reader = threading.Thread(target=self._guarded(self._read, ready), name="read", daemon=True)
        listener.start()
        reader.start()
        try:
            self._send()
            self._answers.get()
            self._progress.end(None, state=TransferState.DONE, durable_until=self._plan.size)
        except EngineError as error:
            if isinstance(error, TransportError):
                listener.join(LAST_WORD_SECONDS)  # the target may have said why before it closed
            self._fail(error)
            self._tell(self._error or error)
            raise (self._error or error) from error
        finally:
            self._fail(Cancelled("the connection has ended"))
            self._connection.close()
            reader.join()
            listener.join()
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _greet(self) -> Ready:
        plan = self._plan
        hello = Hello(
            "data", self._ticket.secret, plan.name, virtual_size=plan.size, whole_disk=plan.scope is Scope.ALLOCATED
        )
        self._connection.send(hello.frame())
        frame = self._connection.receive()
        if frame.kind is Kind.ERROR:
            raise parse_error(frame)
        ready = self._resume(Ready.parse(frame))
        done = total(plan.extents) - total(plan.remaining(ready.durable_until))
        self._progress.set(state=TransferState.RUNNING, processed=done, durable_until=ready.durable_until)
        return ready

    def _resume(self, ready: Ready) -> Ready:
        """Return from where on it goes on; the target decides, as it knows what is durable."""
        return ready

    def _read(self, ready: Ready) -> None:
        """First stage: read units, in order."""
        steps = self._units(self._plan.steps(ready.durable_until, with_gaps=ready.wants_gaps))
        for extent, is_gap in self._asked_ahead(steps) if self._compares else steps:
            if is_gap:
                future: Future[Packed] = Future()
                future.set_result(Packed(extent))
            else:
                memory = self._memory.get()
                with self._progress.busy.at("read"):
                    self._disk.read_into(extent.offset, memoryview(memory)[: extent.length])
                future = self._pool.submit(self._pack, extent, memory)
            self._packed.put(future)
        self._packed.finish()

    def _units(self, steps: Iterator[tuple[Extent, bool]]) -> Iterator[tuple[Extent, bool]]:
        for extent, is_gap in steps:
            if is_gap:
                yield extent, True
            else:
                yield from ((part, False) for part in cut([extent], unit=self._unit))

    def _asked_ahead(self, steps: Iterator[tuple[Extent, bool]]) -> Iterator[tuple[Extent, bool]]:
        """Ask for digests some units before they are needed."""
        waiting: list[tuple[Extent, bool]] = []
        for extent, is_gap in steps:
            if not is_gap:
                self._connection.send(place_frame(Kind.COMPARE, extent))
            waiting.append((extent, is_gap))
            if len(waiting) > COMPARE_AHEAD:
                yield waiting.pop(0)
        yield from waiting

    def _pack(self, extent: Extent, memory: bytearray) -> Packed:
        """Second stage, in a worker: find zeros and equal pieces, compress."""
        is_same = None
        if self._compares:
            theirs = self._digests.take(extent)

            def is_same(offset: int, content: memoryview) -> bool:
                return theirs[offset] == self._digest(content)

        with self._progress.busy.at("compress", threads=WORKERS):
            unit = build_unit(extent, memory, compressor=self._compressor(), is_same=is_same)
        return Packed(extent, unit, memory)

    def _compressor(self) -> Compressor | None:
        if self._compression is None:
            return None
        if not hasattr(self._local, "compressor"):
            self._local.compressor = zstd_compressor(self._compression)
        compressor: Compressor = self._local.compressor
        return compressor

    def _send(self) -> None:
        """Third stage."""
        for future in self._packed:
            packed = future.result()
            self._deliver(packed)
            if packed.memory is not None:
                self._memory.put(packed.memory)
        self._connection.send(END)

    def _deliver(self, packed: Packed) -> None:
        unit = packed.unit
        frame = unit.frame() if unit is not None else place_frame(Kind.ZERO, packed.extent)
        with self._progress.busy.at("send"):
            self._connection.send(frame)
        self._count(unit, sent=frame.size)

    def _count(self, unit: Unit | None, *, sent: int) -> None:
        if unit is None:
            self._progress.add(sent=sent)
            return
        length = unit.extent.length
        self._progress.add(sent=sent, processed=length, read=length, zero=unit.bytes_in(ZERO), same=unit.bytes_in(SAME))

    def _listen(self) -> None:
        while True:
            frame = self._connection.receive()
            if frame.kind is Kind.DURABLE:
                self._note_durable(parse_durable(frame))
            elif frame.kind is Kind.DIGESTS:
                self._digests.add(Digests.parse(frame))
            elif frame.kind is Kind.ERROR:
                raise parse_error(frame)
            else:
                self._answers.put(Done.parse(frame))
                return

    def _note_durable(self, offset: int) -> None:
        self._progress.set(durable_until=offset)

    def _guarded(self, stage: Callable[..., None], *arguments: object) -> Callable[[], None]:
        """Let a stage that fails stop the others."""

        def run() -> None:
            try:
                stage(*arguments)
            except EngineError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - the outer loop of a thread: told, not lost
                self._fail(EngineError(f"the source mover failed: {error!r}"))

        return run

    def _fail(self, error: EngineError) -> None:
        """Stop all stages; the first error counts, but what the target said counts more than a lost connection."""
        if self._error is None or isinstance(self._error, TransportError):
            self._error = error
        for pipe in (self._memory, self._packed, self._answers):
            pipe.fail(error)
        self._digests.fail(error)

    def _tell(self, error: EngineError) -> None:
        """Let the target know, unless it is gone or knows best."""
        if not isinstance(error, TransportError):
            try:
                self._connection.send(error_frame(error))
            except EngineError:
                pass


class DigestTable:
    """Digests of the target that wait for the unit they belong to."""

    def __init__(self) -> None:
        self._found: dict[Extent, tuple[bytes, ...]] = {}
        self._changed = threading.Condition()
        self._error: EngineError | None = None

    def add(self, digests: Digests) -> None:
        with self._changed:
            self._found[digests.extent] = digests.digests
            self._changed.notify_all()

    def take(self, extent: Extent) -> dict[int, bytes]:
        """Wait for the digests of a unit; return them by the offset of the piece."""
        with self._changed:
            while extent not in self._found:
                if self._error is not None:
                    raise self._error
                self._changed.wait()
            found = self._found.pop(extent)
        return {piece.offset: digest for piece, digest in zip(pieces(extent), found, strict=True)}

    def fail(self, error: EngineError) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
