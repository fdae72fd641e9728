# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ...tests.lab.hyperv``: one lab Hyper-V host as a process. Prints ``ready <port>`` when it serves."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import Admin
from ansible_collections.opendr.hyperv.tests.lab.hyperv.control import ControlServer, calls
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

PASSWORD_VARIABLE: Final = "OPENDR_LAB_PASSWORD"
_STOP: Final = {signal.SIGTERM, signal.SIGINT}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hyperv-lab", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the host keeps everything")
    parser.add_argument("--name", required=True, help="name of the host")
    parser.add_argument("--listen", default="127.0.0.1", help="address of the WSMan listener")
    parser.add_argument("--port", type=int, default=0, help="port of the WSMan listener, 0: any")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--ca", type=Path, required=True, help="signs the certificates of clients")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password-file", type=Path, help=f"else the password is in ${PASSWORD_VARIABLE}")
    parser.add_argument("--replica-root", action="append", help="folder that may hold replicas; may be repeated")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)  # inherited by every thread
    host = ModelHost(options.folder, name=options.name)
    if options.replica_root:
        Admin(host).set_replica_roots(options.replica_root)
    front = Front(host)
    with started(host, front, wsman=wsman_server(front, options)) as port:
        print(f"ready {port}", flush=True)
        signal.sigwait(_STOP)


def wsman_server(front: Front, options: argparse.Namespace) -> WsmanServer:
    """Return the WSMan front, not started yet."""
    file: Path | None = options.password_file
    password = file.read_text(encoding="utf-8").strip() if file else os.environ[PASSWORD_VARIABLE]
    return WsmanServer(
        front,
        files=Credentials(options.certificate, options.key, options.ca),
        users={options.user: password},
        host=options.listen,
        port=options.port,
    )


@contextmanager
def started(host: ModelHost, front: Front, *, wsman: WsmanServer) -> Iterator[int]:
    """Serve until the block ends; gives the port of the WSMan listener."""
    control = ControlServer(host.lab.folder, calls(host, front, wsman=wsman))
    host.start()
    control.start()
    wsman.start()
    yield wsman.port
    front.faults.clear()
    wsman.stop()
    control.stop()
    host.stop()


if __name__ == "__main__":
    main()
