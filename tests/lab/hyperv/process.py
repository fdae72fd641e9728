# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host as a process of its own, for tests and the demo: start it, kill it, start it again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.client import LabControl
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials

MODULE: Final = "ansible_collections.opendr.hyperv.tests.lab.hyperv"
PASSWORD_VARIABLE: Final = "OPENDR_LAB_PASSWORD"
TREE: Final = str(Path(__file__).absolute().parents[6])  # the folder that holds ansible_collections
_STOP_SECONDS: Final = 20.0


class LabHostProcess:
    """Runs ``python -m`` on a folder. After a kill the folder holds everything: ``start`` goes on with it."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        files: Credentials,
        user: str = "opendr",
        password: str = "lab",
        port: int = 0,
        replica_roots: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.name = name
        self.port = port
        self._password = password
        self._arguments = ["--folder", str(folder), "--name", name, "--user", user]
        self._arguments += ["--certificate", str(files.certificate), "--key", str(files.key), "--ca", str(files.ca)]
        for root in replica_roots:
            self._arguments += ["--replica-root", root]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> LabHostProcess:
        """Start the process on the same port as before; returns when it serves. Raises RuntimeError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = [TREE, os.environ.get("PYTHONPATH", "")]
        environment = {
            **os.environ,
            PASSWORD_VARIABLE: self._password,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, *self._arguments, "--port", str(self.port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )
        word, _unused, port = (self._process.stdout.readline() if self._process.stdout else "").partition(" ")
        if word != "ready":
            self.kill()
            raise RuntimeError(f"lab host {self.name} did not start, see {self.folder / 'log.txt'}")
        self.port = int(port)
        return self

    def control(self) -> LabControl:
        """Open a control connection."""
        return LabControl(self.folder)

    def kill(self) -> None:
        """Kill the process, as a power button would."""
        if self._process is not None:
            self._process.kill()
            self._reap(self._process)

    def stop(self) -> None:
        """End the process in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        if self._process is not None:
            self._reap(self._process)

    def _reap(self, process: subprocess.Popen[str]) -> None:
        process.wait()
        if process.stdout:
            process.stdout.close()
        self._process = None

    def __enter__(self) -> LabHostProcess:
        return self.start()

    def __exit__(self, *_unused: object) -> None:
        self.stop()
