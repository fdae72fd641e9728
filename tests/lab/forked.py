# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that start within milliseconds: forked from a server that has imported the engine already.

What production starts from a command line runs here from the same code. A process ends when its test's process does,
however that ends.
"""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine import worker
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp_settings import HostConnectionSettings
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.config import MoverConfig
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.functions import MoverFunctions
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.server import MoverServer
from ansible_collections.opendr.hyperv.tests.lab.direct_host import ControlledHost, DirectHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.client import LabControl
from ansible_collections.opendr.hyperv.tests.lab.hyperv.control import ControlServer, calls
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost

START_SECONDS: Final = 30.0
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__, f"{__package__}.places"])  # whatever else `serve` needs is imported late


class Forked:
    """A process that runs ``serve(say, **arguments)``; ``say`` tells the starter one thing, and then it is ready."""

    def __init__(self, name: str, *, log: Path) -> None:
        self._name = name
        self._log = log
        self._process: Any = None
        self._line: Connection | None = None

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def exit_code(self) -> int | None:
        """What the process ended with; negative: the signal. None while it runs."""
        code: int | None = self._process.exitcode
        return code

    def run(self, serve: Callable[..., None], **arguments: object) -> object:
        """Start; return what the process said. Raises RuntimeError when it ends before."""
        self._line, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(
            target=_begin, args=(serve, other, str(self._log), arguments), name=self._name, daemon=True
        )
        self._process.start()
        other.close()
        if not self._line.poll(START_SECONDS):
            self.kill()
            raise RuntimeError(f"{self._name} did not start: {self._log.read_text()[-2000:]}")
        try:
            return self._line.recv()
        except EOFError:
            self.kill()
            raise RuntimeError(f"{self._name} did not start: {self._log.read_text()[-2000:]}") from None

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until the process has ended by itself; return its exit code, None when it still runs."""
        self._process.join(seconds)
        return self.exit_code

    def kill(self) -> None:
        """End it the hard way, and wait until it is gone."""
        if self._process is None:
            return
        self._process.kill()
        self._process.join()
        if self._line is not None:
            self._line.close()


def _begin(serve: Callable[..., None], line: Connection, log: str, arguments: dict[str, object], /) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    threading.Thread(target=_end_with_starter, args=(line,), daemon=True).start()
    serve(line.send, **arguments)


def _end_with_starter(line: Connection) -> None:
    line.poll(None)
    os._exit(0)


class ForkedMover:
    """A data mover as a process; it keeps its port and its state folder when it is started again."""

    def __init__(self, config: MoverConfig, *, log: Path, serve: Callable[..., None] | None = None) -> None:
        """``serve`` stands in for ``serve_mover``."""
        self._config = config
        self._serve = serve or serve_mover
        self._process = Forked(config.name, log=log)
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, **arguments: object) -> ForkedMover:
        """Start it; ``arguments`` go to ``serve``."""
        config = replace(self._config, listen=("127.0.0.1", self.port))
        port = self._process.run(self._serve, config=config, **arguments)
        self.port = int(str(port))
        return self

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait until it has ended by itself; return its exit code, None when it still runs."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        self._process.kill()

    stop = kill


def serve_mover(say: Callable[[object], None], config: MoverConfig) -> None:
    """Serve until the process ends; tell the port."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    server = MoverServer(MoverFunctions(config, version="test", platform="test"))
    say(server.port)
    server.serve()


class ForkedHost:
    """A lab host as a process, reached by its control socket alone; it goes on with its folder when started again."""

    port = 0  # there is no WSMan

    def __init__(self, folder: Path, *, name: str) -> None:
        self._folder = folder
        self._name = name
        folder.mkdir(parents=True, exist_ok=True)
        self._process = Forked(name, log=folder / "log.txt")

    def start(self) -> ForkedHost:
        self._process.run(serve_host, folder=str(self._folder), name=self._name)
        return self

    def control(self) -> LabControl:
        """Open a control connection."""
        return LabControl(self._folder)

    def kill(self) -> None:
        self._process.kill()

    stop = kill


def serve_host(say: Callable[[object], None], *, folder: str, name: str) -> None:
    """Be a lab host until the process ends."""
    host = ModelHost(Path(folder), name=name)
    server = ControlServer(host.lab.folder, calls(host, Front(host)))
    host.start()
    server.start()
    say("ready")
    threading.Event().wait()


def serve_session(say: Callable[[object], None], *, topology: dict[str, Any], folders: dict[str, str]) -> None:
    """Be the worker of a session: all of it but WSMan, hosts are reached by their control sockets."""

    def host(settings: HostConnectionSettings, **_given: object) -> DirectHost:
        return DirectHost(settings.name, ControlledHost(settings.name, Path(folders[settings.name])))

    vars(worker)["PsrpHost"] = host
    sys.stdin = io.TextIOWrapper(io.BytesIO(json.dumps(topology).encode()))
    say("begun")
    sys.exit(worker.run())
