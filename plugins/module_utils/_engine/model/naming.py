# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Natural keys: names by which a restart finds again what a session made on a host."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from ..jobs import RESERVED_FILE_NAME

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_CHECKPOINT: Final = re.compile(rf"OpenDR ({_UUID}) ({_UUID})")
_UNSAFE: Final = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
MARKER_PREFIX: Final = "OpenDR replica "
FILE_STEM_MAX: Final = 80  # characters; Windows paths are short


@dataclass(frozen=True, slots=True)
class CheckpointName:
    """Name of a recovery checkpoint: ``OpenDR <replica id> <session id>``.

    It belongs to the replica while its lease lasts, which the source host keeps (Set-HvrCheckpointLease).
    """

    replica_id: UUID
    session_id: UUID

    def __str__(self) -> str:
        return f"OpenDR {self.replica_id} {self.session_id}"

    @classmethod
    def parse(cls, name: str) -> CheckpointName | None:
        """Return None for a checkpoint that this project did not make."""
        match = _CHECKPOINT.fullmatch(name)
        return cls(UUID(match[1]), UUID(match[2])) if match else None


def readable_time(seconds: float) -> str:
    """Return UTC as ``2026-11-25 13:33:00Z``, for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def restore_point_name(*, source_time: float, cycle_id: UUID) -> str:
    """Name a restore point for people (its moment) and for restarts (the last cycle in it)."""
    return f"OpenDR {readable_time(source_time)} {cycle_id}"


def marker(replica_id: UUID) -> str:
    """Return the line in ``Notes`` by which a replica's machine is found again."""
    return f"{MARKER_PREFIX}{replica_id}"


def journal_of(path: str) -> str:
    """Return the file in which a target mover notes how far it is with an image (docs/design/mover_protocol.md)."""
    return f"{path}.opendr-journal"


def safe_stem(name: str) -> str:
    """Turn any name into the stem of a Windows file name."""
    stem = _UNSAFE.sub("_", name)[:FILE_STEM_MAX].strip(" .") or "_"
    return f"_{stem}" if RESERVED_FILE_NAME.fullmatch(stem) else stem


def unused(stem: str, *, taken: Collection[str], key: UUID) -> str:
    """Return the stem, with digits of ``key`` and then a number appended when others have it; case does not count."""
    lower = {name.lower() for name in taken}
    candidates = [stem, f"{stem}_{key.hex[:8]}", *(f"{stem}_{key.hex[:8]}_{number}" for number in range(2, 1000))]
    return next(candidate for candidate in candidates if candidate.lower() not in lower)
