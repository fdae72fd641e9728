# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network between two movers that can be cut, held and counted."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Link:
    """One connection through the relay; ``forwarded`` counts the bytes towards the target."""

    client: socket.socket
    server: socket.socket
    forwarded: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class Relay:
    """Listens on a port of its own and forwards to another one, as long as nothing is wrong with the network."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._allowed: int | None = None  # bytes towards the target that pass in all; None: any number
        self._passed = 0
        self._closed = False
        self.links: list[Link] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", int(self._listener.getsockname()[1]))

    def is_holding(self) -> bool:
        """Whether the link has delivered all it may."""
        with self._changed:
            return self._allowed is not None and self._passed >= self._allowed

    def hold_after(self, count: int) -> None:
        """Let so many more bytes pass towards the target, then stall without a word."""
        with self._changed:
            self._allowed = self._passed + count
            self._changed.notify_all()

    def release(self) -> None:
        with self._changed:
            self._allowed = None
            self._changed.notify_all()

    def cut(self) -> None:
        """Break all connections; new ones are possible."""
        for link in list(self.links):
            link.close()
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._listener.close()
        self.cut()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            self.links.append(link)
            threading.Thread(target=self._forward, args=(link,), daemon=True).start()
            threading.Thread(target=self._backward, args=(link,), daemon=True).start()

    def _forward(self, link: Link) -> None:
        try:
            while data := link.client.recv(self._share()):
                link.server.sendall(data)
                link.forwarded += len(data)
        except OSError:
            pass
        link.close()

    def _backward(self, link: Link) -> None:
        try:
            while data := link.server.recv(65536):
                link.client.sendall(data)
        except OSError:
            pass
        link.close()

    def _share(self) -> int:
        """Wait until bytes may pass; return how many may at once, and count them."""
        with self._changed:
            while self._allowed is not None and self._passed >= self._allowed and not self._closed:
                self._changed.wait()
            share = 16384 if self._allowed is None else min(16384, self._allowed - self._passed)
            self._passed += share
            return max(1, share)
