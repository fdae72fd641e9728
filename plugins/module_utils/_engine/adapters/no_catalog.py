# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a session writes its history to when the catalog cannot be opened."""

# ruff: noqa: ARG002 - it has no use for what it is told

from __future__ import annotations

from uuid import UUID

from ..jobs import JobSpec
from ..reports import MachineReport, ReplicaEntry, SessionEntry, SessionReport


class NoCatalog:
    """See ``ports.Catalog``: it forgets at once, and knows nothing."""

    def save_job(self, job: JobSpec, *, now: float) -> None:
        pass

    def find_job(self, name: str) -> JobSpec | None:
        return None

    def jobs(self) -> list[JobSpec]:
        return []

    def remove_job(self, name: str) -> None:
        pass

    def open_session(self, session_id: UUID, *, job: str, manager: str, now: float) -> None:
        pass

    def save_machine(self, session_id: UUID, report: MachineReport) -> None:
        pass

    def close_session(self, report: SessionReport) -> None:
        pass

    def sessions(self, *, job: str | None = None, limit: int = 20) -> list[SessionEntry]:
        return []

    def save_replica(self, entry: ReplicaEntry) -> None:
        pass

    def replicas(self, *, job: str | None = None) -> list[ReplicaEntry]:
        return []

    def close(self) -> None:
        pass
