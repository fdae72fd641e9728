# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""TLS 1.3 between managers, movers and accelerators, over plain sockets; there is no mode without it.

Both sides show a certificate of the installation's own CA. Who a peer is stands in a URI of its certificate,
``opendr://<role>/<name>``; host names and addresses do not count.

The TLS engine works on memory (``ssl.MemoryBIO``), the socket is read and written in large parts: an ``SSLSocket``
makes a system call for each record of 16 KiB, and may not be read and written by two threads at once.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ..errors import PeerError, RequestError, TransportError
from ..units import KiB
from .certificates import end_of, regardless_of_time, shown_at, validity

READ_SIZE: Final = 512 * KiB  # bytes asked of the socket at once
WRITE_SIZE: Final = 256 * KiB  # bytes encrypted before they go to the socket
WAIT_SECONDS: Final = 0.5
LAST_WORD_SECONDS: Final = 2.0
SCHEME: Final = "opendr://"
RENEWAL_HINT: Final = (
    "renew it: issue a new one for the same name and replace the files, they are read at each connection; then run the "
    "job again. If it is still valid, compare the clocks of both sides"
)
CERTIFICATE_HINT: Final = (
    "compare the CA file of both sides, and the dates of their certificates; a manager's files are named by "
    "opendr_manager_certificate, opendr_manager_key and opendr_manager_ca, a mover's by its configuration"
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one party: its certificate, its key, and the CA that all parties share."""

    certificate: str
    key: str
    ca: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as its certificate says."""

    role: str
    name: str

    def __str__(self) -> str:
        return f"{self.role} {self.name}"


@dataclass(frozen=True, slots=True)
class Patience:
    """Deadlines of a connection, in seconds."""

    connect: float = 10.0
    silence: float = 60.0  # a peer that says nothing for so long is gone
    heartbeat: float = 10.0  # how often this side says something


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Build the context of a listener. Raises RequestError when the files do not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    return _prepared(context, files)


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Build the context of a client. Raises RequestError when the files do not fit together."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the URI counts, see expect_peer
    return _prepared(context, files)


def _prepared(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    for part in ("ca", "certificate", "key"):
        _require_readable(getattr(files, part), part)
    try:
        context.load_verify_locations(files.ca)
    except ssl.SSLError as error:
        raise _unusable(f"{files.ca} holds no certificates in PEM form", "ca") from error
    try:
        context.load_cert_chain(files.certificate, files.key, password=lambda: "")  # never ask the terminal
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise _unusable(f"key {files.key} does not belong to certificate {files.certificate}", "key") from error
        text = f"certificate {files.certificate} with key {files.key} cannot be used: {error.reason or error}"
        raise _unusable(text, "certificate") from error
    return context


def _require_readable(path: str, part: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise _unusable(f"file {path} cannot be read: {error.strerror}", part) from error


def _unusable(text: str, part: str) -> RequestError:
    return RequestError(
        text,
        hint=f"correct the file, or who may read it, or what names it: opendr_manager_{part} for a manager, "
        f"tls.{part} in the configuration of a mover",
        reason="certificate_unusable",
    )


@dataclass(frozen=True, slots=True)
class Names:
    """How errors about certificates name the other side, and this side's own file."""

    peer: str = "the peer"
    own: str = ""


class Channel:
    """A TLS connection. One thread may send while another receives; ``close`` may come from any thread."""

    def __init__(
        self,
        connected: socket.socket,
        context: ssl.SSLContext,
        *,
        server: bool,
        patience: Patience,
        names: Names | None = None,
    ) -> None:
        """Take over a connected socket and shake hands; the socket is closed when that fails."""
        self._names = names or Names()
        self._socket = connected
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server)
        self._tls_lock = threading.Lock()  # the TLS engine serves one thread at a time; it never waits
        self._send_lock = threading.Lock()  # keeps records in order on the socket
        self._received = memoryview(bytearray(READ_SIZE))
        self._heard_at = time.monotonic()
        self._silence_max = patience.silence
        self._deadline = time.monotonic() + patience.connect
        self._closed = False
        try:
            self._prepare_socket()
            with _translated(self._names, in_handshake=True):
                self._shake_hands()
            self._deadline = float("inf")
            self.peer = _peer_of(self._tls.getpeercert())
        except BaseException:
            self._say_goodbye()
            raise

    def send(self, *parts: bytes | memoryview) -> None:
        """Send all parts. Raises TransportError when the peer is gone or silent for too long."""
        with _translated(self._names), self._send_lock:
            for part in parts:
                view, done = memoryview(part), 0
                while done < len(view):
                    done = self._encrypt(view, done)
                    self._drain()
            self._drain()

    def receive_into(self, room: memoryview) -> int:
        """Wait for bytes, fill ``room`` as far as they go, return how many. Raises TransportError, also at the end."""
        with _translated(self._names):
            while not (count := self._decrypt(room)):
                self._fill()
            return count

    def give_up_at(self, deadline: float) -> None:
        """Set a time (monotonic) after which waiting ends in a TransportError."""
        self._deadline = deadline

    def close(self) -> None:
        """End the connection; threads that wait in it get a TransportError."""
        self._closed = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not connected any more
        self._socket.close()

    def _prepare_socket(self) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Linux and Windows 10 know these; the heartbeat finds a dead peer where they are missing.
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                try:
                    self._socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
                except OSError:
                    pass
        # Each wait is short, so that a silent peer and a close are noticed in any of them.
        self._socket.settimeout(WAIT_SECONDS)

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._drain()
                self._fill()
                continue
            self._drain()
            return

    def _encrypt(self, view: memoryview, start: int) -> int:
        """Put a part of the plain bytes, from ``start``, into the outgoing memory; return where it ends."""
        limit = min(len(view), start + WRITE_SIZE)
        with self._tls_lock:
            while start < limit:
                start += self._tls.write(view[start:limit])  # one record
        return start

    def _decrypt(self, room: memoryview) -> int:
        """Put what has come so far into ``room``; return its length, 0 when the next record is not whole yet."""
        count = 0
        with self._tls_lock:
            try:
                while count < len(room):
                    count += int(self._tls.read(len(room) - count, room[count:]))  # one record at most
            except ssl.SSLWantReadError:
                pass
        return count

    def _drain(self) -> None:
        """Send what the TLS engine has for the peer."""
        with self._tls_lock:
            data = memoryview(self._outgoing.read())
        while data:
            try:
                data = data[self._socket.send(data) :]
            except TimeoutError:
                self._check_silence()

    def _fill(self) -> None:
        """Receive something for the TLS engine."""
        while True:
            try:
                count = self._socket.recv_into(self._received)
                break
            except TimeoutError:
                self._check_silence()
        if not count:
            raise _closed(self._names)
        self._heard_at = time.monotonic()
        self._check_silence()
        with self._tls_lock:
            self._incoming.write(self._received[:count])

    def _check_silence(self) -> None:
        if time.monotonic() > self._deadline:
            raise TransportError(f"{self._names.peer} took too long", reason="peer_silent")
        if self._closed:
            raise TransportError("the connection was closed on this side", reason="connection_closed")
        silent = time.monotonic() - self._heard_at
        if silent > self._silence_max:
            raise TransportError(f"{self._names.peer} has been silent for {silent:.0f} seconds", reason="peer_silent")

    def _say_goodbye(self) -> None:
        """Close after a failed handshake so that the peer can read why: the alert is not lost to a reset."""
        self.give_up_at(time.monotonic() + LAST_WORD_SECONDS)
        try:
            self._drain()
            self._socket.shutdown(socket.SHUT_WR)
            while True:
                self._fill()
        except (OSError, TransportError):
            pass  # it has hung up, or the time is over
        self.close()


def connect(address: tuple[str, int], files: TlsFiles, *, expected: Peer, patience: Patience) -> Channel:
    """Connect to a mover and make sure that it is the expected one.

    Raises:
        TransportError: nobody answers there.
        RequestError: a certificate is not accepted by one of the sides, or it is that of somebody else.
    """
    context, own = client_context(files), look_at(files)
    where = f"{expected} at {address[0]}:{address[1]}"
    try:
        connected = socket.create_connection(address, timeout=patience.connect)
    except OSError as error:
        raise TransportError(
            f"{where} cannot be reached: {error}",
            hint="is the mover running, and are opendr_mover_address and opendr_mover_port right?",
            reason="unreachable",
        ) from error
    names = Names(where, f"{files.certificate} of {_peer_of(own)}{validity(own)}")
    try:
        channel = Channel(connected, context, server=False, patience=patience, names=names)
    except RequestError as error:
        if error.reason != "certificate_expired":
            raise
        seen = validity(shown_at(address, client_context(files), timeout=patience.connect))
        raise RequestError(f"{error.message}{seen}", hint=error.hint, reason=error.reason) from error
    if channel.peer != expected:
        channel.close()
        raise RequestError(
            f"{where} shows the certificate of {channel.peer}",
            hint="check the address, and the name that the certificate was issued for",
            reason="peer_wrong",
        )
    return channel


def own_certificate(files: TlsFiles) -> tuple[Peer, float]:
    """Return role and name in a party's own certificate, and when it expires, in seconds since 1970.

    Raises RequestError when certificate, key and CA do not belong together, or when the certificate is expired.
    """
    found = look_at(files)
    try:
        _shake_own_hands(client_context(files), server_context(files))
    except ssl.SSLCertVerificationError as error:
        text = f"certificate {files.certificate} cannot be used with CA {files.ca}{validity(found)}"
        raise _certificate_error(text, said=error.verify_message) from error
    return _peer_of(found), end_of(found)


def look_at(files: TlsFiles) -> dict[str, Any]:
    """Return a party's own certificate, expired or not. Raises RequestError when it cannot be used with its CA."""
    try:
        return _shake_own_hands(regardless_of_time(client_context(files)), regardless_of_time(server_context(files)))
    except ssl.SSLCertVerificationError as error:
        text = f"certificate {files.certificate} cannot be used with CA {files.ca}"
        raise _certificate_error(text, said=error.verify_message) from error


def _shake_own_hands(client_side: ssl.SSLContext, server_side: ssl.SSLContext) -> dict[str, Any]:
    """Let a party shake hands with itself in memory: the way of the ssl module to read and prove a certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
    return dict(client.getpeercert() or {})


def _peer_of(certificate: object) -> Peer:
    names = certificate.get("subjectAltName", ()) if isinstance(certificate, dict) else ()
    uris = [value for kind, value in names if kind == "URI" and value.startswith(SCHEME)]
    role, _slash, name = uris[0].removeprefix(SCHEME).partition("/") if len(uris) == 1 else ("", "", "")
    if not role or not name:
        raise PeerError(
            f"the peer's certificate has {len(uris)} names of the form {SCHEME}role/name, want one",
            reason="certificate_nameless",
        )
    return Peer(role, name)


@contextmanager
def _translated(names: Names, *, in_handshake: bool = False) -> Iterator[None]:
    try:
        yield
    except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as error:
        raise _closed(names) from error
    except ssl.SSLCertVerificationError as error:
        raise _certificate_error(f"the certificate of {names.peer} is refused", said=error.verify_message) from error
    except ssl.SSLError as error:
        if "CERTIFICATE" in (error.reason or "") or "UNKNOWN_CA" in (error.reason or ""):
            said = (error.reason or "").rpartition("ALERT_")[2].replace("_", " ").lower()
            raise _certificate_error(f"{names.peer} refuses our certificate {names.own}".rstrip(), said=said) from error
        said = f"TLS with {names.peer} failed: {error.reason or error}"
        if in_handshake:
            raise PeerError(said, reason="tls_failed") from error
        raise TransportError(said, reason="connection_damaged") from error  # by the network: another one may be sound
    except OSError as error:
        raise TransportError(f"connection to {names.peer} lost: {error}", reason="connection_lost") from error


def _closed(names: Names) -> TransportError:
    return TransportError(f"{names.peer} closed the connection", reason="connection_closed")


def _certificate_error(text: str, *, said: str) -> RequestError:
    if "expired" in said:
        return RequestError(f"{text}: {said}", hint=RENEWAL_HINT, reason="certificate_expired")
    return RequestError(f"{text}: {said}", hint=CERTIFICATE_HINT, reason="certificate_untrusted")
