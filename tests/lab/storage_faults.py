# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage that fails: the Nth file operation of one part of a small site meets a full volume or a broken device.

The engine's files, and those that a lab host keeps for its user, go through ``adapters/files.py``, the host's own state
through ``hyperv/store.py``, the events of a session through ``adapters/session_files.py``, the catalog through SQLite.
Each is hooked at that one place. Who works is told by the file and, since a mover and its host share volumes, by
whether a host function is under way in the thread.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files, session_files
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.store import Store
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET, SmallSite

FULL: Final = errno.ENOSPC
BROKEN: Final = errno.EIO
NEEDS_ROOM: Final = frozenset({"create", "write", "resize", "make folder"})
MEETS_FULL: Final = NEEDS_ROOM | {"flush", "rename"}  # what may be told so; anything else meets ``BROKEN`` instead
CHANGES: Final = MEETS_FULL | {"remove"}
READS: Final = frozenset({"read"})
PARTS: Final = ("target mover", "source mover", "target host", "source host", "manager")
_SIDES: Final = {SOURCE: "source", TARGET: "target"}


@dataclass
class Plan:
    """Fail the ``nth`` operation of a part; a volume that is full stays so for all that needs room."""

    part: str
    nth: int = 0  # 0: only count
    error: int = BROKEN
    operations: frozenset[str] = CHANGES
    seen: int = 0
    struck: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    def meets(self, operation: str, name: str) -> int:
        """Count an operation; return the error that it is to meet, 0 for none."""
        if operation in self.operations:
            self.seen += 1
            self.counts[operation] += 1
            if self.seen == self.nth:
                self.struck = f"{operation} {name}"
                self.error = self.error if operation in MEETS_FULL else BROKEN
                return self.error
        return FULL if self.struck and self.error == FULL and operation in NEEDS_ROOM else 0


class StorageFaults:
    """Hooks the files of this process; nothing fails before ``during``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._root = Path("/")
        self._plan: Plan | None = None
        self._lock = threading.Lock()
        self._host = threading.local()
        self._opened: dict[int, str] = {}
        monkeypatch.setattr(files, "os", _FailingOs(self))
        monkeypatch.setattr(files, "open", self._open, raising=False)
        monkeypatch.setattr(session_files, "open", self._open_events, raising=False)
        monkeypatch.setattr(Front, "dispatch", self._hosted(Front.dispatch))
        monkeypatch.setattr(Store, "save", self._saved(Store.save))

    @contextmanager
    def during(self, site: SmallSite, plan: Plan):
        """Let a plan hold for a while in a site."""
        with self._lock:
            self._root, self._plan = site.folder, plan
        try:
            with self._catalog(site):
                yield plan
        finally:
            with self._lock:
                self._plan = None

    def check(self, operation: str, path: str) -> None:
        """Raise OSError when this operation is to fail."""
        with self._lock:
            plan, error = self._plan, 0
            if plan is not None and self._part_of(path) == plan.part:
                error = plan.meets(operation, os.path.basename(path))
        if error:
            raise OSError(error, os.strerror(error))

    def _part_of(self, path: str) -> str | None:
        try:
            first, second, *_rest = (*Path(path).relative_to(self._root).parts, "", "")
        except ValueError:
            return None
        if first == "state":
            return "manager"
        if first.startswith("mover-"):
            return f"{_SIDES[first.removeprefix('mover-')]} mover"
        if first not in _SIDES or second in ("shadows", "tracking"):
            return None  # the truth that a test is judged by
        if getattr(self._host, "calls", 0):
            return f"{_SIDES[first]} host"
        is_upkeep = threading.current_thread().name.startswith("hyperv-lab")
        return None if is_upkeep or second != "volumes" else f"{_SIDES[first]} mover"

    def _hosted(self, dispatch: Callable[..., Any]) -> Callable[..., Any]:
        def hosted(*given: Any, **named: Any) -> Any:
            self._host.calls = getattr(self._host, "calls", 0) + 1
            try:
                return dispatch(*given, **named)
            finally:
                self._host.calls -= 1

        return hosted

    def _saved(self, save: Callable[..., None]) -> Callable[..., None]:
        def saved(store: Store, state: Any) -> None:
            self.check("write", str(store._path))
            save(store, state)

        return saved

    def _open(self, file: str | int, mode: str = "r", **named: Any) -> Any:
        path = self._opened.get(file, "") if isinstance(file, int) else file
        return _FailingFile(builtins.open(file, mode, **named), path, faults=self)

    def _open_events(self, file: str, mode: str, **named: Any) -> Any:
        self.check("create", file)
        return _FailingFile(builtins.open(file, mode, **named), file, faults=self)

    @contextmanager
    def _catalog(self, site: SmallSite):
        path = str(site.state_dir / "catalog.sqlite")
        engine = site.catalog._engine

        def execute(_cursor: Any, statement: str, *_more: Any) -> None:
            if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
                self._refuse_sql("write", path)

        def commit(connection: Any) -> None:
            self._refuse_sql("flush", path)
            type(engine.dialect).do_commit(engine.dialect, connection)

        event.listen(engine, "do_execute", execute)
        engine.dialect.do_commit = commit
        try:
            yield
        finally:
            event.remove(engine, "do_execute", execute)
            del engine.dialect.do_commit

    def _refuse_sql(self, operation: str, path: str) -> None:
        try:
            self.check(operation, path)
        except OSError as error:
            said = "database or disk is full" if error.errno == FULL else "disk I/O error"
            raise sqlite3.OperationalError(said) from error


class _FailingFile(io.IOBase):
    """What the builtin ``open`` gives, with reads and writes that may fail."""

    def __init__(self, file: Any, path: str, *, faults: StorageFaults) -> None:
        self._file, self._path, self._faults = file, path, faults

    def read(self, size: int = -1) -> bytes:
        self._faults.check("read", self._path)
        return self._file.read(size)

    def write(self, data: bytes) -> int:
        self._faults.check("write", self._path)
        return self._file.write(data)

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
        super().close()


class _FailingOs:
    """The module ``os`` as ``adapters/files.py`` sees it."""

    def __init__(self, faults: StorageFaults) -> None:
        self._faults = faults
        self._paths = faults._opened

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT:
            self._faults.check("create", path)
        descriptor = os.open(path, flags, *mode)
        self._paths[descriptor] = path
        return descriptor

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        os.close(descriptor)

    def preadv(self, descriptor: int, *given: Any) -> int:
        self._check("read", descriptor)
        return os.preadv(descriptor, *given)

    def pwrite(self, descriptor: int, *given: Any) -> int:
        self._check("write", descriptor)
        return os.pwrite(descriptor, *given)

    def ftruncate(self, descriptor: int, size: int) -> None:
        self._check("resize", descriptor)
        os.ftruncate(descriptor, size)

    def fdatasync(self, descriptor: int) -> None:
        self._check("flush", descriptor)
        os.fdatasync(descriptor)

    def fsync(self, descriptor: int) -> None:
        self._check("flush", descriptor)
        os.fsync(descriptor)

    def replace(self, path: str, new_path: str) -> None:
        self._faults.check("rename", new_path)
        os.replace(path, new_path)

    def unlink(self, path: str) -> None:
        if os.path.lexists(path):
            self._faults.check("remove", path)
        os.unlink(path)

    def makedirs(self, path: str, *, exist_ok: bool) -> None:
        if not os.path.isdir(path):
            self._faults.check("make folder", path)
        os.makedirs(path, exist_ok=exist_ok)

    def _check(self, operation: str, descriptor: int) -> None:
        self._faults.check(operation, self._paths.get(descriptor, ""))
