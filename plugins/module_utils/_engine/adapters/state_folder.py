# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Where a manager keeps its sessions: paths, locks and identity. Layout: docs/design/session.md.

A lock is a file that a live process holds; it ends with the process.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID, uuid4

from ..errors import FormatError, RequestError, StateError
from . import files

SMALL: Final = 64 * 1024  # bytes: more than any of these files holds
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MANAGER_WAIT_SECONDS: Final = 5.0


class StateFolder:
    """The state folder of a manager. Making the object touches nothing."""

    def __init__(self, path: str) -> None:
        self.path = path

    def make(self) -> None:
        """Create what is missing. Raises RequestError, reason ``state_dir_unusable``."""
        self._make([os.path.join(self.path, name) for name in ("locks", "jobs", "sessions")])

    def make_session(self, session_id: UUID) -> None:
        """Create the folder of a session. Raises as ``make`` does."""
        self._make([self.session(session_id)])

    def _make(self, folders: Sequence[str]) -> None:
        try:
            for folder in folders:
                files.make_folder(folder)
        except (RequestError, StateError) as error:
            raise unusable(f"{self.path} cannot be used: {error.message}") from error

    @property
    def catalog(self) -> str:
        return os.path.join(self.path, "catalog.sqlite")

    @property
    def _manager_file(self) -> str:
        return os.path.join(self.path, "manager.id")

    @property
    def session_root(self) -> str:
        return os.path.join(self.path, "sessions")

    @property
    def engines(self) -> str:
        """Where the action plugin puts the archives that workers run from."""
        return os.path.join(self.path, "engine")

    def session(self, session_id: UUID | str, *names: str) -> str:
        """Return a path in the folder of a session. Raises RequestError for an id that is no UUID."""
        try:
            folder = str(UUID(str(session_id)))
        except ValueError:
            raise RequestError(f"{session_id!r} is no id of a session", reason="session_id_invalid") from None
        return os.path.join(self.session_root, folder, *names)

    def is_alive(self, session_id: UUID | str) -> bool:
        """Tell whether the worker of a session lives."""
        path = self.session(session_id, "alive")
        return files.exists(path) and files.is_locked(path)

    def job(self, job: str) -> str:
        """Return the file that names the newest session of a job."""
        return os.path.join(self.path, "jobs", f"{plain_name(job)}.json")

    def note_session(self, job: str, session_id: UUID) -> None:
        """Make a session the newest of its job, which it holds."""
        files.remove_unfinished(self.job(job))
        files.write_atomically(self.job(job), json.dumps({"session_id": str(session_id)}).encode())

    def newest_session(self, job: str) -> str | None:
        """Return the id of the newest session of a job; None when there is none."""
        if not files.exists(self.job(job)):
            return None
        try:
            value = json.loads(files.read_small(self.job(job), limit=SMALL))
        except (FormatError, ValueError):
            return None
        found = value.get("session_id") if isinstance(value, dict) else None
        return found if isinstance(found, str) else None

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lock: ``ports.Locks``."""
        path = os.path.join(self.path, "locks", plain_name(name))
        with held(path):
            yield

    def known_manager_id(self) -> UUID | None:
        """Return the identity of this folder, None when nobody has asked for it yet."""
        return _read_id(self._manager_file) if files.exists(self._manager_file) else None

    def manager_id(self) -> UUID:
        """Return the identity of this folder, made when first asked for."""
        deadline = time.monotonic() + _MANAGER_WAIT_SECONDS
        while True:
            try:
                with self.hold("manager"):
                    return self.known_manager_id() or _make_id(self._manager_file)
            except StateError as error:
                if error.reason != "locked" or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)


def _make_id(path: str) -> UUID:
    made = uuid4()
    files.remove_unfinished(path)
    files.write_atomically(path, str(made).encode())
    return made


def _read_id(path: str) -> UUID:
    try:
        return UUID(files.read_small(path, limit=SMALL).decode().strip())
    except ValueError as error:
        raise FormatError(f"{path} holds no UUID", hint="remove it while no session runs") from error


@contextmanager
def held(path: str) -> Iterator[None]:
    """Hold a lock file, made when missing. Raises StateError, reason ``locked``, when another process has it."""
    try:
        lock = _open(path)
    except StateError as error:
        if error.reason not in ("leaf_locked", "file_locked"):
            raise
        raise StateError(f"{path} is held by another session", reason="locked") from error
    try:
        yield
    finally:
        lock.close()


def _open(path: str) -> files.LocalFile:
    if not files.exists(path):
        try:
            return files.create_file(path)
        except StateError as error:
            if error.reason != "file_exists":
                raise
    return files.open_leaf(path)


def unusable(problem: str) -> RequestError:
    """Build the error of a state folder that this user cannot work with."""
    return RequestError(
        f"option state_dir: {problem}",
        hint="give a folder that this user may write to and that has room, or let role manager make it",
        reason="state_dir_unusable",
    )


def plain_name(name: str) -> str:
    """Return a name as a file name: itself where that is safe, else a digest of it."""
    if _PLAIN.fullmatch(name):
        return name
    return f"~{hashlib.sha256(name.encode()).hexdigest()[:32]}"
