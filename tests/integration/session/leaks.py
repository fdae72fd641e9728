# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test of sessions may not leave behind: threads, processes, open files, connections, files, checkpoints."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.tests.lab.site import PASSWORD

GRACE_SECONDS: Final = 10.0  # for who is just ending
TEXT_MAX: Final = 4 * 1024 * 1024  # bytes; disks are longer, or have other names
DISKS: Final = {".vhdx", ".avhdx", ".raw"}


class Leaks:
    """Compares what there is after a test with what was before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = set(threading.enumerate())
        self._sockets = set(own_sockets())

    def found(self) -> list[str]:
        """Return what is left, once nothing more of it goes away by itself."""
        deadline = time.monotonic() + GRACE_SECONDS
        while (left := self._running()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return [*left, *unfinished(self._folder), *secrets(self._folder), *orphans(self._folder)]

    def _running(self) -> list[str]:
        threads = [f"thread {each.name}" for each in threading.enumerate() if each not in self._threads]
        sockets = [f"connection {each}" for each in own_sockets() if each not in self._sockets]
        return [*threads, *sockets, *open_files(self._folder)]


def own_sockets() -> list[str]:
    return [target for _descriptor, target in descriptors(os.getpid()) if target.startswith("socket:")]


def open_files(folder: Path) -> list[str]:
    """Return files below a folder that any process has open; a lock and a memory map need one."""
    inside = f"{folder.resolve()}/"
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        found += [f"process {pid} has {target} open" for _fd, target in descriptors(pid) if target.startswith(inside)]
    return found


def descriptors(pid: int) -> Iterator[tuple[str, str]]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return  # it has ended, or is somebody else's
    for name in names:
        try:
            yield name, os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # closed meanwhile


def unfinished(folder: Path) -> list[str]:
    """Return files that were being made when something ended."""
    return [f"file {path}" for path in folder.rglob("*") if path.name.endswith(".new")]


def secrets(folder: Path) -> list[str]:
    """Return files that have the password of the hosts."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in DISKS]
    return [
        f"password in {path}"
        for path in files
        if path.stat().st_size <= TEXT_MAX and PASSWORD.encode() in path.read_bytes()
    ]


def orphans(folder: Path) -> list[str]:
    """Return checkpoints on source hosts that no record calls its own: the session that made them ended in order."""
    records = [path.read_text(errors="replace") for path in folder.rglob("replica.json")]  # damaged ones too
    found = []
    for path in folder.rglob("state.json"):
        for machine in json.loads(path.read_text()).get("machines", {}).values():
            names = [checkpoint["name"] for checkpoint in machine["checkpoints"]]
            found += [
                f"checkpoint {name}"
                for name in names
                if CheckpointName.parse(name) and not any(name in record for record in records)
            ]
    return found
