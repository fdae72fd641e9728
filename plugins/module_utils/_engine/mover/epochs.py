# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The highest epoch that a mover has seen of each replica, kept on disk: who comes with an older one is refused."""

from __future__ import annotations

import os
import threading
from uuid import UUID

from ..adapters import files
from ..errors import RequestError, StateError

FILE_MAX = 64  # bytes


class EpochGuard:
    """One small file for each replica in a folder of the mover's state."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        files.make_folder(folder)

    def admit(self, replica_id: UUID, epoch: int) -> None:
        """Note an epoch, durably. Raises StateError, reason ``fenced``, when a higher one was seen."""
        with self._lock:
            seen = self._seen(replica_id)
            if epoch < seen:
                raise fenced(replica_id, epoch=epoch, seen=seen)
            if epoch > seen:
                self._note(replica_id, epoch)

    def _note(self, replica_id: UUID, epoch: int) -> None:
        try:
            files.remove_unfinished(self._path(replica_id))
            files.write_atomically(self._path(replica_id), str(epoch).encode())
        except StateError as error:
            if error.reason != "volume_full":
                raise
            raise StateError(
                f"the mover's state folder {self._folder} has no room left",
                hint="free space on the mover's own volume, then run the job again",
                reason="state_folder_full",
            ) from error

    def _seen(self, replica_id: UUID) -> int:
        try:
            text = files.read_small(self._path(replica_id), limit=FILE_MAX)
        except RequestError as error:
            if error.reason != "file_missing":
                raise
            return 0
        if not text.isdigit():
            raise StateError(
                f"{self._path(replica_id)} on this mover holds no epoch",
                hint="remove the file when no other session works on this replica: the next session writes it anew",
                reason="epoch_unreadable",
            )
        return int(text)

    def _path(self, replica_id: UUID) -> str:
        return os.path.join(self._folder, f"{replica_id}.epoch")


def fenced(replica_id: UUID, *, epoch: int, seen: int) -> StateError:
    """Build the refusal of an old session."""
    return StateError(
        f"replica {replica_id}: epoch {epoch} is over, {seen} is the current one",
        current=str(seen),
        hint="a newer session has taken over this replica; leave it to that one",
        reason="fenced",
    )
