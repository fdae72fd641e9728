# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from ansible_collections.opendr.hyperv.tests.lab.relay import Line, SlowRelay


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it gets."""
    with echo_server(0) as listener:
        yield listener.getsockname()[1]


def echo_server(port: int) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        connection, _peer = listener.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def received(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_bytes_come_back_unchanged_and_the_end_is_passed_on(echo_port: int) -> None:
    data = bytes(range(256)) * 512
    with SlowRelay(echo_port, rate=10e6) as relay, socket.create_connection(("127.0.0.1", relay.port)) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert received(client) == data


def test_line_is_never_faster_than_its_rate() -> None:
    line = Line(rate=1e6)
    began = time.monotonic()
    threads = [threading.Thread(target=line.carry, args=(25_000,)) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.1


def test_rate_can_be_changed_while_data_crosses(echo_port: int) -> None:
    data = bytes(256 * 1024)
    with SlowRelay(echo_port, rate=1.0) as relay, socket.create_connection(("127.0.0.1", relay.port)) as client:
        relay.set_rate(100e6)
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert received(client) == data


def test_closed_relay_cuts_its_connections(echo_port: int) -> None:
    relay = SlowRelay(echo_port, rate=10e6)
    with socket.create_connection(("127.0.0.1", relay.port)) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        relay.close()
        assert client.recv(1) == b""


def test_relay_goes_on_after_its_target_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = int(nobody.getsockname()[1])
    with SlowRelay(port, rate=10e6) as relay:
        for _time in range(2):
            with socket.create_connection(("127.0.0.1", relay.port)) as refused:
                assert received(refused) == b""
        with echo_server(port), socket.create_connection(("127.0.0.1", relay.port)) as client:
            client.sendall(b"x")
            client.shutdown(socket.SHUT_WR)
            assert received(client) == b"x"
