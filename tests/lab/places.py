# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places where a process can die, as names that are counted; and a mover that ends itself at one of them.

Places are frames, calls, writes, flushes and new names of files.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.connection import Connection
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import LocalFile
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.config import MoverConfig
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.functions import MoverFunctions
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import Kind
from ansible_collections.opendr.hyperv.tests.lab.forked import serve_mover

KILLED: Final = 137


@dataclass(frozen=True)
class Place:
    """The ``nth`` time that something happens: ``before New-HvrVm``, ``received UNIT``, ``Lab.commit``."""

    name: str
    nth: int

    def __str__(self) -> str:
        return f"{self.name} {self.nth}"


class Places:
    """In a mover's process: writes down each place, and ends the process at one of them."""

    def __init__(self, trace: str, place: Place | None) -> None:
        self._file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._place = place
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        with self._lock:
            self._seen[name] += 1
            os.write(self._file, f"{name}\n".encode())
            if self._place is not None and (self._place.name, self._place.nth) == (name, self._seen[name]):
                os._exit(KILLED)

    def around(self, owner: Any, function: str, *, name: Callable[..., str]) -> None:
        """Put a place before and after each call of a function; no name, no place."""
        real = getattr(owner, function)

        def call(*given: Any, **named: Any) -> Any:
            what = name(*given)
            if what:
                self.reach(f"before {what}")
            result = real(*given, **named)
            if what:
                self.reach(f"after {what}")
            return result

        setattr(owner, function, call)

    def after_receiving(self) -> None:
        real = Connection.receive

        def receive(connection: Connection) -> Any:
            frame = real(connection)
            self.reach(f"received {frame.kind.name}")
            return frame

        Connection.receive = receive  # type: ignore[method-assign, assignment]


def serve_until(say: Callable[[object], None], config: MoverConfig, *, trace: str, place: Place | None) -> None:
    """Serve, and die at a place."""
    places = Places(trace, place)
    # A heartbeat changes nothing, and when it comes is a matter of time.
    places.around(
        Connection, "send", name=lambda _to, frame: "" if frame.kind is Kind.HEARTBEAT else f"{frame.kind.name}"
    )
    places.after_receiving()
    places.around(MoverFunctions, "call", name=lambda _self, call: type(call).__name__)
    places.around(LocalFile, "write", name=lambda _file, *_data: "write")
    places.around(os, "fdatasync", name=lambda _descriptor: "flush")
    places.around(os, "fsync", name=lambda descriptor: f"fsync {kind_of(os.readlink(f'/proc/self/fd/{descriptor}'))}")
    places.around(os, "replace", name=lambda _old, new: f"rename {kind_of(new)}")
    places.around(os, "unlink", name=lambda path: f"unlink {kind_of(path)}")
    serve_mover(say, config)


def kind_of(path: str) -> str:
    """Name a file by what it is for."""
    kinds = {".opendr-journal": "journal", ".epoch": "epoch", "vhdx": "image"}
    return next((kind for part, kind in kinds.items() if part in os.path.basename(path)), "folder")
