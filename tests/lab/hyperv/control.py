# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control socket: guest, administrator, faults, and every modelled cmdlet and WMI method by its name.

The last is the seam for another front (PowerShell stubs): ``{"call": "Checkpoint-VM", "with": {"vm_id": ...}}``.
Whoever can open the socket may do everything; it lies in the lab's folder.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import Admin, NewDisk
from ansible_collections.opendr.hyperv.tests.lab.hyperv.faults import Action, Fault, When
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.wire import SOCKET_NAME, decode, encode, socket_address
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError
from ansible_collections.opendr.hyperv.tests.lab.wsman.faults import FaultKind
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

Calls = Mapping[str, Callable[..., Any]]


def calls(host: ModelHost, front: Front, *, wsman: WsmanServer | None = None) -> Calls:
    """Return everything that can be called, by name."""
    admin = Admin(host)
    by_name: dict[str, Callable[..., Any]] = dict(host.calls())
    for name in (each for each in dir(admin) if not each.startswith("_")):
        by_name[f"lab.{name}"] = getattr(admin, name)
    by_name |= {
        "lab.create_machine": lambda **given: admin.create_machine(**_with_disks(given)),
        "lab.add_disk": lambda vm_id, disk: admin.add_disk(vm_id, NewDisk(**disk)),
        "lab.machines": lambda: list(host.lab.state.machines.values()),
        "lab.switches": lambda: host.lab.state.switches,
        "guest.write": host.guest.write,
        "guest.read": host.guest.read,
        "guest.write_image": lambda vm_id, slot, image: host.guest.write_image(vm_id, slot, image=Path(image)),
        "faults.plan": lambda **given: front.faults.plan(_fault(given)),
        "faults.planned": front.faults.planned,
        "faults.clear": front.faults.clear,
        "front.dispatch": lambda function, parameters, user="lab": list(
            front.dispatch(function, parameters, user=user)
        ),
    }
    if wsman is not None:
        by_name |= {
            "wsman.fault": lambda operation, kind, **given: wsman.faults.add(operation, FaultKind(kind), **given),
            "wsman.clear": wsman.faults.clear,
            "wsman.lose_shells": wsman.lose_shells,
        }
    return by_name


class ControlServer:
    """Serves ``calls`` on a Unix socket in the lab's folder, one thread for each connection."""

    def __init__(self, folder: Path, served: Calls) -> None:
        self._path = folder / SOCKET_NAME
        self._path.unlink(missing_ok=True)
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._server = _Server(socket_address(self._folder), served)
        self._thread = threading.Thread(target=self._server.serve_forever, name="hyperv-lab-control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)
        os.close(self._folder)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: str, served: Calls) -> None:
        self.served = served
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no event."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for line in self.rfile:
            self.wfile.write(encode(self._answer(line)))

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            message = decode(line)
            served = self.server.served.get(message["call"])
            if served is None:
                raise Refusal(Kind.INVALID_ARGUMENT, f"the lab has no call {message['call']}")
            return {"result": served(**message.get("with", {}))}
        except Refusal as refusal:
            return {"error": {"kind": refusal.kind.value, "code": refusal.code, "message": refusal.message}}
        except HostError as error:
            return {"error": {"kind": error.error_id, "code": 0, "message": error.message}}
        except (KeyError, TypeError, ValueError, OSError) as error:
            return {"error": {"kind": "control", "code": 0, "message": f"{type(error).__name__}: {error}"}}


def _with_disks(given: dict[str, Any]) -> dict[str, Any]:
    return given | {"disks": [NewDisk(**disk) for disk in given.get("disks") or []]}


def _fault(given: dict[str, Any]) -> Fault:
    return Fault(**given | {"action": Action(given["action"]), "when": When(given.get("when", "before"))})
