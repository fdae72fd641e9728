# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody in the middle of the connections to a mover: loses, repeats, delays, cuts and damages what passes.

``FrameMiddle`` has the keys of both ends: it ends TLS on either side and sees frames. ``ByteMiddle`` sees the stream of
bytes of TLS records only, as a network does. What happens to which piece is one ``Fault`` at a time.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import (
    Channel,
    Patience,
    TlsFiles,
    client_context,
    server_context,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import START_SIZE, Kind, parse_start

PATIENCE: Final = Patience(connect=5.0, silence=30.0)
READ_SIZE: Final = 4096  # bytes of a stream that count as one piece
DELAY_SECONDS: Final = 0.4


class What(Enum):
    """What happens to a piece."""

    LOST = "lost"
    TWICE = "twice"
    LATE = "late"
    RESET = "reset"  # the connection ends before it
    CUT = "cut"  # the connection ends in the middle of it
    DAMAGED = "damaged"  # one bit


@dataclass(frozen=True)
class Fault:
    """Strikes the nth piece that is called ``where``; the seed says which bit."""

    what: What
    where: str
    nth: int = 1
    seed: int = 0


class Cut(Exception):
    """This connection is over."""


class Faults:
    """The fault that is planned, for all connections of a site. ``trace`` names every piece since then.

    ``sent`` has the bytes of all pieces by name; ``watch`` hears of each before it is passed on, and may raise Cut.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self.trace: list[str] = []
        self.struck = False
        self.sent: Counter[str] = Counter()
        self.watch: Callable[[str], None] = lambda _where: None

    def plan(self, fault: Fault | None = None) -> None:
        with self._lock:
            self._fault, self.trace, self.struck = fault, [], False

    def pass_on(self, where: str, *, data: bytes, end: End) -> None:
        """Send a piece on, or do with it what was planned. Raises Cut."""
        self.watch(where)
        with self._lock:
            self.trace.append(where)
            self.sent[where] += len(data)
            fault = self._fault
            hit = fault is not None and fault.where == where and self.trace.count(where) == fault.nth
            self.struck |= hit
        if fault is None or not hit:
            end.send(data)
        elif fault.what is What.TWICE:
            end.send(data + data)
        elif fault.what is What.LATE:
            time.sleep(DELAY_SECONDS)
            end.send(data)
        elif fault.what is What.DAMAGED:
            end.send(_damaged(data, random.Random(fault.seed)))
        elif fault.what is What.CUT:
            end.send(data[: len(data) // 2])
            raise Cut
        elif fault.what is What.RESET:
            raise Cut


def _damaged(data: bytes, chance: random.Random) -> bytes:
    bit = chance.randrange(len(data) * 8)
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


class End(Protocol):
    """One end of a connection, as the middle sees it."""

    name: str

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Yield what comes, each piece with its kind, until the end hangs up."""

    def send(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class ByteEnd:
    """An end that is a socket."""

    def __init__(self, name: str, connected: socket.socket) -> None:
        self.name = name
        self._socket = connected
        # A close is a reset: what is under way is lost with it.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        while data := self._socket.recv(READ_SIZE):
            yield "bytes", data

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # gone already
        self._socket.close()


class FrameEnd:
    """An end behind TLS, whose frames are seen."""

    def __init__(self, name: str, channel: Channel) -> None:
        self.name = name
        self._channel = channel

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        while True:
            start = self._exactly(START_SIZE)
            found = parse_start(start)
            yield found.kind.name, start + self._exactly(found.header_length + found.payload_length)

    def _exactly(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            view = view[self._channel.receive_into(view) :]
        return bytes(data)

    def send(self, data: bytes) -> None:
        self._channel.send(data)

    def close(self) -> None:
        self._channel.close()


class ByteMiddle:
    """Stands before the mover ``name`` on ``port``; ``port`` of the middle is where clients come."""

    def __init__(self, name: str, port: int, *, faults: Faults) -> None:
        self.name = name
        self._mover = ("127.0.0.1", port)
        self._faults = faults
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._ends: list[End] = []
        self._thread = threading.Thread(target=self._accept, name="middle")
        self._thread.start()

    def cut(self) -> None:
        """End all connections; new ones are possible."""
        for end in self._ends:
            end.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._mover)
        except OSError:
            near.close()
            return
        try:
            client, mover = self._ends_of(near, far)
        except EngineError:  # a handshake failed; the channel has closed its socket
            near.close()
            far.close()
            return
        self._ends += [client, mover]
        threading.Thread(target=self._carry, args=(mover, client), daemon=True).start()
        self._carry(client, mover)

    def _ends_of(self, near: socket.socket, far: socket.socket) -> tuple[End, End]:
        return ByteEnd("client", near), ByteEnd(self.name, far)

    def _carry(self, sender: End, receiver: End) -> None:
        try:
            for kind, data in sender.pieces():
                if kind == Kind.HEARTBEAT.name:
                    receiver.send(data)
                else:
                    self._faults.pass_on(f"{sender.name}>{receiver.name} {kind}", data=data, end=receiver)
        except (OSError, EngineError, Cut):
            pass  # one of the ends has hung up, or the connection was cut
        sender.close()
        receiver.close()


class FrameMiddle(ByteMiddle):
    """Has the files of the mover, and of each client by role."""

    def __init__(self, name: str, port: int, *, faults: Faults, files: Mapping[str, TlsFiles]) -> None:
        self._files = files
        super().__init__(name, port, faults=faults)

    def _ends_of(self, near: socket.socket, far: socket.socket) -> tuple[End, End]:
        client = Channel(near, server_context(self._files[self.name]), server=True, patience=PATIENCE)
        files = self._files[client.peer.name]
        mover = Channel(far, client_context(files), server=False, patience=PATIENCE)
        return FrameEnd(client.peer.name, client), FrameEnd(self.name, mover)
