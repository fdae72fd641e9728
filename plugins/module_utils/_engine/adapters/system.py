# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Time and threads of this machine, as ports."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from ..stops import cancelled


class SystemClock:
    """See ``ports.Clock``; nothing stops it."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class StoppableClock(SystemClock):
    """A clock whose ``sleep`` ends with Cancelled once ``stop`` was called; any thread may call either."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._why = "cancelled"

    def stop(self, why: str = "cancelled") -> None:
        """End every sleep from now on; ``why`` completes "the session was"."""
        self._why = why
        self._stopped.set()

    def sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise cancelled(self._why)


class SharedClaims:
    """See ``ports.Claims``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: dict[tuple[str, UUID], int] = {}
        self._left: dict[tuple[str, UUID], int] = {}

    def claim(self, volume: str, owner: UUID, *, size: int, room: int) -> int:
        with self._lock:
            others = sum(left for key, left in self._left.items() if key[0] == volume and key[1] != owner)
            if size + others <= room:
                self._claimed[volume, owner] = self._left[volume, owner] = size
            return others

    def release(self, owner: UUID, *, left: float = 0.0) -> None:
        with self._lock:
            for key, size in self._claimed.items():
                if key[1] == owner:
                    self._left[key] = int(size * left)


class ThreadExecutor:
    """See ``ports.Executor``."""

    def run(self, tasks: Sequence[Callable[[], None]], *, limit: int) -> None:
        with ThreadPoolExecutor(max_workers=max(1, limit), thread_name_prefix="machine") as pool:
            futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.result()
