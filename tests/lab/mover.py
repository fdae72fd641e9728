# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data movers of the lab: the real daemon as a process of its own, with certificates of the lab's authority."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.mover_client import MoverClient
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import Patience, TlsFiles

from .pki import Credentials, LabAuthority

ENGINE: Final = "ansible_collections.opendr.hyperv.plugins.module_utils._engine.cli"
TREE: Final = Path(__file__).parents[2] / ".build" / "tree"
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Access:
    """A rule of the access map: files of ``host`` below ``prefix`` are in the folder ``root``."""

    host: str
    prefix: str
    root: Path
    access: str = "write"


@dataclass(frozen=True)
class Runtime:
    """The Python that runs a mover, and how it sees the paths of this machine: another one for Wine."""

    python: Sequence[str] = (sys.executable,)
    see: Callable[[Path], str] = str
    environment: Mapping[str, str] = field(default_factory=lambda: {"PYTHONPATH": str(TREE)})


def tls_files(credentials: Credentials) -> TlsFiles:
    """Return the files of a party of the lab as the engine takes them."""
    return TlsFiles(str(credentials.certificate), str(credentials.key), str(credentials.ca))


class LabMover:
    """A mover process; it keeps its port and its state folder when it is started again."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        authority: LabAuthority,
        access: Sequence[Access],
        timing: Mapping[str, float] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.name = name
        self.port = 0
        self._folder = folder
        self._runtime = runtime or Runtime()
        self._access = access
        self._timing = dict(timing or {})
        self.credentials = authority.issue(name, role="mover")
        self._manager = authority.issue("manager-lab", role="manager")
        self._process: subprocess.Popen[str] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def log(self) -> Path:
        """What the process writes to its standard error."""
        return self._folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"mover {self.name} does not run")
        return self._process.pid

    def start(self) -> LabMover:
        """Start the process and wait until it serves; raises RuntimeError with its log when it does not."""
        config = self._folder / f"{self.name}.json"
        config.write_text(json.dumps(self._config(), indent=1))
        command = [*self._runtime.python, "-m", ENGINE, "mover", "--config", self._runtime.see(config)]
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                stderr=log,
                text=True,
                env={**os.environ, **self._runtime.environment},
            )
        self.port = self._read_port(self._process)
        return self

    def stop(self) -> int:
        """Ask it to end and wait; returns its exit status."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it the hard way, as a power cut of the mover's host would."""
        self._end(signal.SIGKILL)

    def client(self, *, patience: Patience | None = None) -> MoverClient:
        """Return a manager's connection to it."""
        return MoverClient(self.name, ("127.0.0.1", self.port), files=tls_files(self._manager), patience=patience)

    def __enter__(self) -> LabMover:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _config(self) -> dict[str, object]:
        see = self._runtime.see
        return {
            "name": self.name,
            "listen": ["127.0.0.1", self.port],
            "tls": {
                "certificate": see(self.credentials.certificate),
                "key": see(self.credentials.key),
                "ca": see(self.credentials.ca),
            },
            "access": [
                {"host": rule.host, "prefix": rule.prefix, "root": see(rule.root), "access": rule.access}
                for rule in self._access
            ],
            "state_folder": see(self._folder / f"{self.name}-state"),
            "timing": self._timing,
        }

    def _read_port(self, process: subprocess.Popen[str]) -> int:
        watchdog = threading.Timer(START_SECONDS, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline() if process.stdout else ""
        finally:
            watchdog.cancel()
        word, _space, port = line.strip().partition(" ")
        if word != "ready":
            self.kill()
            raise RuntimeError(f"mover {self.name} did not start: {line!r}\n{self.log.read_text()[-2000:]}")
        return int(port)

    def _end(self, signal_number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal_number)
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if process.stdout:
            process.stdout.close()
        return status
