# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The one port of a mover: TLS, then by the peer's role the control functions (manager) or data (another mover)."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Final

from ..adapters.connection import Connection
from ..adapters.tls import Channel, server_context
from ..errors import EngineError, StateError, TransportError
from ..extents import Extent
from ..wire.control import Call, parse_extents, parse_request
from ..wire.conversation import Ear
from ..wire.frames import Kind
from ..wire.messages import Hello, Ready, error_frame, reply_frame
from ..wire.plain import to_plain
from .functions import MoverFunctions

BACKLOG: Final = 64
ACCEPT_SECONDS: Final = 0.1  # how long a stop may go unnoticed
CONNECTIONS_MAX: Final = 256
EXPIRY_SECONDS: Final = 5.0
LAST_WORD_SECONDS: Final = 2.0
EARS: Final = {"manager": Ear.CONTROLLED, "mover": Ear.TARGET}

log = logging.getLogger(__name__)


class MoverServer:
    """Listens from the moment it is made; ``serve`` returns after ``stop``."""

    def __init__(self, functions: MoverFunctions) -> None:
        self._functions = functions
        self._patience = functions.config.timing.patience
        server_context(functions.config.tls)  # says now what is wrong with the files
        try:
            self._listener = socket.create_server(functions.config.listen, backlog=BACKLOG)
        except OSError as error:
            raise TransportError(f"cannot listen on {functions.config.listen}: {error}", reason="port_taken") from error
        self.port = int(self._listener.getsockname()[1])
        self._listener.settimeout(ACCEPT_SECONDS)
        self._stopped = threading.Event()
        self._room = threading.Semaphore(CONNECTIONS_MAX)
        self._connections: set[Connection] = set()
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Ask ``serve`` to return; may be called from a signal handler."""
        self._stopped.set()

    def serve(self) -> None:
        """Accept connections until ``stop``, then end all transfers cleanly."""
        threading.Thread(target=self._expire, name="expire", daemon=True).start()
        try:
            while not self._stopped.is_set():
                self._accept()
        finally:
            self._stopped.set()
            self._listener.close()
            self._functions.registry.close()
            with self._lock:
                remaining = list(self._connections)
            for connection in remaining:
                connection.close()

    def _accept(self) -> None:
        try:
            accepted, address = self._listener.accept()
        except (TimeoutError, OSError):
            return
        if not self._room.acquire(blocking=False):
            log.warning("%s: refused, %d connections are open", address, CONNECTIONS_MAX)
            accepted.close()
            return
        threading.Thread(target=self._serve_one, args=(accepted, address), name=f"peer {address}", daemon=True).start()

    def _expire(self) -> None:
        while not self._stopped.wait(EXPIRY_SECONDS):
            self._functions.registry.expire()

    def _serve_one(self, accepted: socket.socket, address: object) -> None:
        try:
            context = server_context(self._functions.config.tls)  # each time anew: certificates get renewed
            channel = Channel(accepted, context, server=True, patience=self._patience)
            self._serve_peer(channel, f"{channel.peer} at {address}")
        except EngineError as error:
            log.warning("%s: no connection: %s", address, error)
            accepted.close()
        finally:
            self._room.release()

    def _serve_peer(self, channel: Channel, who: str) -> None:
        connection = Connection(channel, EARS.get(channel.peer.role, Ear.TARGET), patience=self._patience)
        with self._lock:
            self._connections.add(connection)
        try:
            self._converse(connection)
        except TransportError:
            pass  # the peer has hung up
        except EngineError as error:
            log.warning("%s: %s", who, error)
            _refuse(connection, error)
        except Exception:
            log.exception("%s", who)
        finally:
            connection.close()
            with self._lock:
                self._connections.discard(connection)

    def _converse(self, connection: Connection) -> None:
        role = connection.peer.role
        hello = Hello.parse(connection.receive())
        if role == "manager" and hello.service == "control":
            connection.send(Ready(self._functions.config.name).frame())
            self._control(connection)
        elif role == "mover" and hello.service == "data":
            self._functions.registry.admit_source(connection.peer, hello).serve(connection, hello)
        else:
            raise StateError(
                f"mover {self._functions.config.name} refuses a {hello.service[:20]} connection to {connection.peer}: "
                f"its certificate has the role {role}",
                hint="a manager needs a certificate of role manager (opendr_manager_certificate names it), a mover one "
                "of role mover",
                reason="role_refused",
            )

    def _control(self, connection: Connection) -> None:
        """Answer one call after another."""
        extents: list[Extent] = []
        while True:
            frame = connection.receive()
            if frame.kind is Kind.EXTENTS:
                extents += parse_extents(frame, known=len(extents))
                continue
            call, extents = parse_request(frame, extents), []
            self._answer(connection, call)

    def _answer(self, connection: Connection, call: Call) -> None:
        try:
            answer = reply_frame(to_plain(self._functions.call(call)))
        except EngineError as error:
            answer = error_frame(error)
        except Exception as error:
            log.exception("%s", type(call).__name__)
            answer = error_frame(EngineError(f"the mover failed: {error!r}"))
        connection.send(answer)


def _refuse(connection: Connection, error: EngineError) -> None:
    """Say why, and wait until the peer hangs up: closing at once could lose what was said."""
    try:
        connection.send(error_frame(error))
        connection.drain(LAST_WORD_SECONDS)
    except TransportError:
        pass
