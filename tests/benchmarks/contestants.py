# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two contestants: a pair of data movers, and rsync with its daemon. Both make everything durable."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import HostPath
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import (
    Scope,
    Side,
    SourceOrder,
    TargetOrder,
    Ticket,
    TransferState,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.mover import Access, LabMover
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority

HOST, PREFIX = "bench", r"X:\disks"
START_SECONDS = 10.0


@dataclass(frozen=True)
class Sample:
    """One run: wall seconds, CPU seconds of both ends, and MiB sent where that is known."""

    wall: float
    cpu: float
    sent_mib: float = 0.0


def start_from(base: Path | None, replica: Path) -> None:
    """Put the replica into its state before the run, out of the way of the measurement."""
    for path in replica.parent.glob(replica.name + "*"):
        path.unlink()
    if base is not None:
        shutil.copyfile(base, replica)
    os.sync()


class Movers:
    """Two mover processes with a connection of the manager to each."""

    def __init__(self, folder: Path, *, source: Path, target: Path) -> None:
        authority = LabAuthority(folder / "pki")
        self._source = LabMover("bench-a", folder, authority=authority, access=[Access(HOST, PREFIX, source, "read")])
        self._target = LabMover("bench-b", folder, authority=authority, access=[Access(HOST, PREFIX, target)])

    def __enter__(self) -> Movers:
        self._source.start()
        self._target.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._source.stop()
        self._target.stop()

    def run(
        self, source: Path, replica: Path, *, extents: Sequence[Extent] | None, level: int | None, unit: int = MiB
    ) -> Sample:
        """Copy a disk, or its changed extents, from the first order to the durable end."""
        chain = Chain.open([files.open_for_reading(str(source))])
        geometry = chain.geometry
        chain.close()
        path = HostPath(HOST, f"{PREFIX}\\{replica.name}")
        with self._source.client() as sender, self._target.client() as receiver:
            receiver.describe(), sender.describe()
            begin, cpu = time.perf_counter(), self._cpu()
            ticket = self._ticket(geometry.disk_id)
            if extents is None:
                receiver.create_disk(path, geometry, replica_id=ticket.replica_id, epoch=1)
            receiver.open_target(TargetOrder(ticket, (path,), None))
            order = SourceOrder(
                ticket,
                (HostPath(HOST, f"{PREFIX}\\{source.name}"),),
                Scope.ALLOCATED if extents is None else Scope.CHANGED,
                tuple(extents or ()),
                unit,
                level,
                receiver_address(self._target),
            )
            status = sender.start_source(order)
            while status.state in (TransferState.WAITING, TransferState.RUNNING):
                time.sleep(0.02)
                status = sender.status(ticket, side=Side.SOURCE)
            sample = Sample(time.perf_counter() - begin, self._cpu() - cpu, status.sent / MiB)
            for client in (sender, receiver):
                client.close_transfer(ticket)
        if status.state is not TransferState.DONE:
            raise RuntimeError(f"the transfer failed: {status.error}")
        return sample

    def _ticket(self, disk_id: uuid.UUID) -> Ticket:
        return Ticket(
            secrets.token_bytes(32), "bench-a", "bench-b", uuid.uuid4(), disk_id, "cycle", 1, time.time() + 3600
        )

    def _cpu(self) -> float:
        return process_cpu(self._source.pid) + process_cpu(self._target.pid)


def receiver_address(mover: LabMover) -> tuple[str, int]:
    """Return where the movers of this machine reach each other."""
    return ("127.0.0.1", mover.port)


def process_cpu(pid: int) -> float:
    """Return user and system seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Rsync:
    """An rsync daemon that receives into a folder."""

    def __init__(self, folder: Path, *, target: Path) -> None:
        self._config = folder / "rsyncd.conf"
        self._config.write_text(
            f"use chroot = no\n[disks]\npath = {target}\nread only = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rsync:
        command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={self._port}"]
        self._daemon = subprocess.Popen([*command, f"--config={self._config}"])
        deadline = time.monotonic() + START_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", self._port)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()

    def run(self, source: Path, replica: Path, *options: str) -> Sample:
        """Copy a file."""
        if self._daemon is None:
            raise RuntimeError("the rsync daemon does not run")
        begin, cpu = time.perf_counter(), os.times().children_user + os.times().children_system
        served = process_cpu(self._daemon.pid)
        url = f"rsync://127.0.0.1:{self._port}/disks/{replica.name}"
        subprocess.run(["rsync", "--fsync", *options, str(source), url], check=True)
        wall = time.perf_counter() - begin
        spent = os.times().children_user + os.times().children_system - cpu
        deadline = time.monotonic() + 1.0
        while process_cpu(self._daemon.pid) == served and time.monotonic() < deadline:
            time.sleep(0.01)  # the daemon has not collected its child yet
        return Sample(wall, spent + process_cpu(self._daemon.pid) - served)
