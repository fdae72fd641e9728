# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m ...tests.lab.hyperv``: one lab Hyper-V host as a process. Prints ``ready <port>`` when it serves."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path

from ansible_collections.opendr.hyperv.tests.lab.hyperv.control import ControlServer, calls
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

PASSWORD_VARIABLE = "OPENDR_LAB_PASSWORD"


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
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # inherited by every thread
    password = options.password_file.read_text(encoding="utf-8").strip() if options.password_file else ""
    host = ModelHost(options.folder, name=options.name)
    if options.replica_root:
        host.lab.state.replica_roots = options.replica_root
        host.lab.commit()
    front = Front(host)
    wsman = WsmanServer(
        front,
        files=Credentials(options.certificate, options.key, options.ca),
        users={options.user: password or os.environ[PASSWORD_VARIABLE]},
        host=options.listen,
        port=options.port,
    )
    control = ControlServer(options.folder, calls(host, front, wsman=wsman))
    host.start()
    control.start()
    wsman.start()
    print(f"ready {wsman.port}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    front.faults.clear()
    wsman.stop()
    control.stop()
    host.stop()


if __name__ == "__main__":
    main()
