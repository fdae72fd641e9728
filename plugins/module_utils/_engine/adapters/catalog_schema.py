# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Tables of the catalog and the steps that lead an older one to them. Documented in docs/design/catalog.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import CatalogError
from ..libraries import need

try:
    import sqlalchemy
except ImportError:
    sqlalchemy = None

# What queries use; the migrations make them. A test holds the two together.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "jobs": ("name", "definition", "updated_at"),
    "sessions": ("session_id", "job", "manager", "state", "started_at", "ended_at", "result"),
    "machine_tasks": (
        "session_id",
        "name",
        "vm_id",
        "replica_id",
        "state",
        "seconds",
        "restore_point",
        "error_code",
        "error_reason",
    ),
    "disk_transfers": (
        "session_id",
        "machine",
        "disk_id",
        "slot",
        "scope",
        "reason",
        "bytes_disk",
        "bytes_total",
        "bytes_read",
        "bytes_sent",
        "bytes_zero",
        "bytes_same",
        "seconds",
        "bottleneck",
    ),
    "replicas": (
        "replica_id",
        "job",
        "vm_id",
        "vm_name",
        "source_host",
        "target_host",
        "folder",
        "replica_name",
        "epoch",
        "state",
        "restore_point_count",
        "newest_source_time",
        "last_error",
        "updated_at",
    ),
}

_FIRST: Final = (
    "CREATE TABLE jobs (name TEXT PRIMARY KEY, definition TEXT NOT NULL, updated_at DOUBLE PRECISION NOT NULL)",
    """CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY, job TEXT NOT NULL, manager TEXT NOT NULL, state TEXT NOT NULL,
        started_at DOUBLE PRECISION NOT NULL, ended_at DOUBLE PRECISION, result TEXT)""",
    "CREATE INDEX sessions_by_job ON sessions (job, started_at)",
    """CREATE TABLE machine_tasks (
        session_id TEXT NOT NULL REFERENCES sessions (session_id), name TEXT NOT NULL, vm_id TEXT, replica_id TEXT,
        state TEXT NOT NULL, seconds DOUBLE PRECISION NOT NULL, restore_point TEXT, error_code TEXT, error_reason TEXT,
        PRIMARY KEY (session_id, name))""",
    "CREATE INDEX machine_tasks_by_vm ON machine_tasks (vm_id)",
    """CREATE TABLE disk_transfers (
        session_id TEXT NOT NULL REFERENCES sessions (session_id), machine TEXT NOT NULL, disk_id TEXT NOT NULL,
        slot TEXT NOT NULL, scope TEXT NOT NULL, reason TEXT NOT NULL, bytes_disk BIGINT NOT NULL,
        bytes_total BIGINT NOT NULL, bytes_read BIGINT NOT NULL, bytes_sent BIGINT NOT NULL, bytes_zero BIGINT NOT NULL,
        bytes_same BIGINT NOT NULL, seconds DOUBLE PRECISION NOT NULL, bottleneck TEXT NOT NULL,
        PRIMARY KEY (session_id, machine, disk_id))""",
    """CREATE TABLE replicas (
        replica_id TEXT PRIMARY KEY, job TEXT NOT NULL, vm_id TEXT NOT NULL, vm_name TEXT NOT NULL,
        source_host TEXT NOT NULL, target_host TEXT NOT NULL, folder TEXT NOT NULL, replica_name TEXT NOT NULL,
        epoch BIGINT NOT NULL, state TEXT NOT NULL, restore_point_count BIGINT NOT NULL,
        newest_source_time DOUBLE PRECISION, last_error TEXT, updated_at DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX replicas_by_job ON replicas (job)",
)


def _run(statements: tuple[str, ...]) -> Callable[[Any], None]:
    def migrate(connection: Any) -> None:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))

    return migrate


# Migration number i leads from version i to version i + 1. Never change one that was released.
MIGRATIONS: Final[tuple[Callable[[Any], None], ...]] = (_run(_FIRST),)
VERSION: Final = len(MIGRATIONS)
_POSTGRESQL_LOCK: Final = 0x4F444B52  # any number that only this program uses


def table(name: str) -> Any:
    """Return a table for queries."""
    need(sqlalchemy, "SQLAlchemy")
    return sqlalchemy.table(name, *(sqlalchemy.column(column) for column in COLUMNS[name]))


def schema_version(connection: Any) -> int:
    """Return the version of the schema, 0 when there is none. It changes nothing and waits for nobody.

    Raises:
        CatalogError: reason ``catalog_newer``, a newer version of this program made it.
    """
    if not sqlalchemy.inspect(connection).has_table("schema_version"):
        return 0
    return _known(connection.execute(sqlalchemy.text("SELECT version FROM schema_version")).scalar(), MIGRATIONS)


def require_current(version: int) -> None:
    """Raise CatalogError, reason ``catalog_older``, for a schema that is to be upgraded before it can be read."""
    if version < VERSION:
        raise CatalogError(
            f"the catalog has schema version {version}, this program reads {VERSION}",
            hint="any task or session that writes to the catalog brings it up to date",
            reason="catalog_older",
        )


def upgrade(connection: Any, *, migrations: tuple[Callable[[Any], None], ...] = MIGRATIONS) -> None:
    """Bring the schema to the newest version, within the transaction of the connection.

    Raises:
        CatalogError: reason ``catalog_newer``, a newer version of this program made it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})"))
    connection.execute(sqlalchemy.text("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)"))
    found = connection.execute(sqlalchemy.text("SELECT version FROM schema_version")).scalar()
    if found is None:
        connection.execute(sqlalchemy.text("INSERT INTO schema_version (version) VALUES (0)"))
    for migrate in migrations[_known(found, migrations) :]:
        migrate(connection)
    connection.execute(sqlalchemy.text("UPDATE schema_version SET version = :new"), {"new": len(migrations)})


def _known(found: int | None, migrations: tuple[Callable[[Any], None], ...]) -> int:
    version = int(found or 0)
    if version > len(migrations):
        raise CatalogError(
            f"the catalog has schema version {version}, this program knows {len(migrations)}",
            hint="use the newer version of the collection on this manager too",
            reason="catalog_newer",
        )
    return version
