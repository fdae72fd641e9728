# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What the stages of a transfer hand to each other: bounded, and woken up when one of them fails."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ..adapters.files import aligned_memory
from ..errors import EngineError

T = TypeVar("T")


class Pipe(Generic[T]):
    """A bounded queue between threads. ``finish`` lets readers drain it, ``fail`` stops both sides at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._finished = False
        self._last_word: EngineError | None = None  # after the last item
        self._error: EngineError | None = None

    def put(self, item: T) -> None:
        """Add an item, waiting for room. Raises what ``fail`` was given."""
        with self._changed:
            while len(self._items) >= self._limit and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._items.append(item)
            self._changed.notify_all()

    def get(self) -> T:
        """Take the oldest item, waiting for one.

        Raises what ``fail`` was given; after the last item what ``finish`` was given, or EOFError.
        """
        with self._changed:
            while not self._items and not self._finished and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            if not self._items:
                raise self._last_word or EOFError
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def finish(self, error: EngineError | None = None) -> None:
        """Say that nothing more comes, and why, when that is no good end."""
        with self._changed:
            self._finished, self._last_word = True, error
            self._changed.notify_all()

    def fail(self, error: EngineError) -> None:
        """End both sides with an error; the first one stays."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                yield self.get()
            except EOFError:
                return


class MemoryPool:
    """Memory for payloads, used again and again; who takes waits until somebody gives back."""

    def __init__(self, count: int) -> None:
        self._free: Pipe[memoryview] = Pipe(count)
        for _index in range(count):
            self._free.put(memoryview(b""))

    def take(self, length: int) -> memoryview:
        """Lend memory of exactly ``length`` bytes. Raises what ``fail`` was given."""
        memory = self._free.get()
        return (memory if len(memory) >= length else aligned_memory(length))[:length]

    def give(self, memory: memoryview) -> None:
        """Take back what ``take`` lent."""
        self._free.put(memoryview(memory.obj))

    def fail(self, error: EngineError) -> None:
        self._free.fail(error)


class Busy:
    """Seconds that each stage of a transfer was at work; waiting for another stage does not count."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def at(self, stage: str, *, threads: int = 1) -> Iterator[None]:
        """Count the time of a block of work; each of several threads of a stage counts its share."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, (time.perf_counter() - begin) / threads)

    def add(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def snapshot(self) -> dict[str, float]:
        with self._lock:
            return {stage: round(seconds, 3) for stage, seconds in self._seconds.items()}
