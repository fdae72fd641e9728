# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow line: relays TCP connections to a port on loopback at a given number of bytes per second.

What crosses it stays encrypted end to end; the relay sees bytes only. All connections share the line in each direction.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Final

PIECE: Final = 16 * 1024  # bytes: what is sent at once, so that a slow line flows and does not jump


class Line:
    """One direction of the line: whoever sends waits for its turn. ``rate`` is bytes per second, and may be changed."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def carry(self, size: int) -> None:
        """Return when ``size`` bytes have crossed."""
        with self._lock:
            start = max(self._free_at, time.monotonic())
            self._free_at = start + size / self.rate
            arrival = self._free_at
        time.sleep(max(0.0, arrival - time.monotonic()))


class SlowRelay:
    """Listens on ``port`` and relays to ``target`` until it is closed."""

    def __init__(self, target: int, *, rate: float) -> None:
        self._target = target
        self._lines = Line(rate), Line(rate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def set_rate(self, rate: float) -> None:
        """Go on faster or slower from now."""
        for line in self._lines:
            line.rate = rate

    def close(self) -> None:
        """Cut the line. Its threads end by themselves."""
        for each in (self._listener, *self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def __enter__(self) -> SlowRelay:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _peer = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # nobody there now
                near.close()
                continue
            # Small buffers: what the sender believes to be sent shall really have crossed, or nearly.
            for each in (near, far):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * PIECE)
            self._sockets += [near, far]
            for source, target, line in ((near, far, self._lines[0]), (far, near, self._lines[1])):
                threading.Thread(target=_pump, args=(source, target, line), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket, line: Line) -> None:
    try:
        while data := source.recv(PIECE):
            line.carry(len(data))
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()
