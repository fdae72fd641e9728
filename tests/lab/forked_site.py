# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site whose processes start within milliseconds, for tests that kill many of them."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.tests.lab.forked import Forked, ForkedHost, ForkedMover, serve_session
from ansible_collections.opendr.hyperv.tests.lab.mover import tls_files
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET, ProcessSite, mover_config


class ForkedSite(ProcessSite):
    """The same processes but for WSMan, each started within milliseconds; the worker is one of them."""

    hosts: dict[str, ForkedHost]  # type: ignore[assignment]
    movers: dict[str, ForkedMover]  # type: ignore[assignment]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hosts = {name: ForkedHost(folder / name, name=name) for name in (SOURCE, TARGET)}
        self.worker = Forked("worker", log=folder / "worker.txt")

    def start(self) -> Self:
        for name, host in self.hosts.items():
            host.start()
            self._connect(name)
            files = tls_files(self.authority.issue(name, role="mover"))
            config = mover_config(self, files, name=name, serves=[name])
            self.movers[name] = ForkedMover(config, log=self.folder / f"mover-{name}.txt").start()
        return self

    def stop(self) -> None:
        self.worker.kill()
        super().stop()

    def restart_host(self, name: str) -> None:
        """Kill a host and start it again."""
        self.control(name).close()
        self.hosts[name].kill()
        self.hosts[name].start()
        self._connect(name)

    def _connect(self, name: str) -> None:
        if name == SOURCE:
            self.source = self.hosts[name].control()
        else:
            self.target = self.hosts[name].control()

    def begin(self, job: JobSpec) -> str:
        """Start a session; return its id."""
        topology = self.topology(job)
        folders = {name: str(self.folder / name) for name in self.hosts}
        self.worker.run(serve_session, topology=topology, folders=folders)
        return str(topology["session_id"])
