# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Entry point of a mover: from its configuration file to a served port."""

from __future__ import annotations

import logging
import platform
import signal
import sys

from .config import MoverConfig
from .functions import MoverFunctions
from .server import MoverServer

VERSION = "0.1.0"


def run(config_path: str) -> None:
    """Serve until SIGTERM or SIGINT; print ``ready <port>`` when connections are accepted. Raises EngineError."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)

    config = MoverConfig.load(config_path)
    server = MoverServer(MoverFunctions(config, version=VERSION, platform=platform.platform()))
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):  # the last one is Windows'
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_signal: server.stop())
    sys.stdout.write(f"ready {server.port}\n")
    sys.stdout.flush()
    server.serve()
