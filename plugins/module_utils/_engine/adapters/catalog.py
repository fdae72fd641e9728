# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The catalog in an SQL database, through SQLAlchemy 2 Core: SQLite in a file, or PostgreSQL by URL.

Documented in docs/design/catalog.md. Fulfils ``ports.Catalog``; safe to use from several threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from ..errors import CatalogError, EngineError, FormatError, RequestError
from ..jobs import JobSpec
from ..libraries import missing, need
from ..reports import MachineReport, ReplicaEntry, SessionEntry, SessionReport
from . import files
from .catalog_refusals import refusal
from .catalog_schema import COLUMNS, VERSION, require_current, schema_version, table, upgrade
from .mounts import network_file_system

try:
    import sqlalchemy
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite
except ImportError:
    sqlalchemy = insert_postgresql = insert_sqlite = None

BUSY_SECONDS: Final = 15.0
_IN_MEMORY: Final = "sqlite://"
_WRITES: Final = "opendr_writes"  # execution option of connections that will write


def open_catalog(url: str) -> SqlCatalog:
    """Open a catalog to write to it; a schema that is missing or older is brought up to date.

    Raises:
        RequestError: the URL names no database that is supported, or a SQLite file on a network file system.
        LibraryMissing: SQLAlchemy or psycopg is not installed.
        CatalogError: the database cannot be reached, or is newer than this program.
    """
    catalog = _connected(_parse(url), read_only=False)
    with _closed_on_error(catalog):
        with catalog.reading() as connection:
            version = schema_version(connection)
        if version < VERSION:
            with catalog.writing() as connection:
                upgrade(connection)
    return catalog


def open_for_reading(url: str) -> SqlCatalog:
    """Open a catalog as it is: nothing is made, changed or locked. Where there is none, an empty one stands for it.

    Raises:
        CatalogError: reason ``catalog_older``, its schema is to be upgraded first.
        EngineError: as ``open_catalog``.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite" and not files.exists(parsed.database or ""):
        return open_catalog(_IN_MEMORY)
    catalog = _connected(parsed, read_only=True)
    with _closed_on_error(catalog):
        with catalog.reading() as connection:
            version = schema_version(connection)
        if version:
            require_current(version)
            return catalog
    catalog.close()
    return open_catalog(_IN_MEMORY)


def _connected(url: Any, *, read_only: bool) -> SqlCatalog:
    shown = url.render_as_string(hide_password=True)
    try:
        sqlite = url.get_backend_name() == "sqlite"
        engine = _sqlite(url, shown, read_only=read_only) if sqlite else _postgresql(url, read_only=read_only)
    except ImportError:
        raise missing("psycopg[binary]") from None
    return SqlCatalog(engine, shown)


@contextmanager
def _closed_on_error(catalog: SqlCatalog) -> Iterator[None]:
    try:
        yield
    except BaseException:
        catalog.close()
        raise


def sqlite_url(path: str) -> str:
    """Return the URL of a SQLite file."""
    need(sqlalchemy, "SQLAlchemy")
    return str(sqlalchemy.URL.create("sqlite", database=path).render_as_string())


class SqlCatalog:
    """See ``ports.Catalog``. Make it with ``open_catalog`` or ``open_for_reading``."""

    def __init__(self, engine: Any, shown_url: str) -> None:
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        self._shown = shown_url
        self._insert = insert_sqlite if engine.dialect.name == "sqlite" else insert_postgresql

    def save_job(self, job: JobSpec, *, now: float) -> None:
        row = {"name": job.name, "definition": json.dumps(job.as_dict(), sort_keys=True), "updated_at": now}
        with self.writing() as connection:
            self._upsert(connection, "jobs", row=row, keys=("name",))

    def find_job(self, name: str) -> JobSpec | None:
        jobs = table("jobs")
        with self.reading() as connection:
            row = connection.execute(sqlalchemy.select(jobs).where(jobs.c.name == name)).one_or_none()
        return None if row is None else self._job(row)

    def jobs(self) -> list[JobSpec]:
        jobs = table("jobs")
        with self.reading() as connection:
            rows = connection.execute(sqlalchemy.select(jobs).order_by(jobs.c.name)).all()
        return [self._job(row) for row in rows]

    def remove_job(self, name: str) -> None:
        jobs = table("jobs")
        with self.writing() as connection:
            connection.execute(sqlalchemy.delete(jobs).where(jobs.c.name == name))

    def open_session(self, session_id: UUID, *, job: str, manager: str, now: float) -> None:
        """Note a new session; what the same manager left running of the job was lost with its worker."""
        sessions = table("sessions")
        lost = json.dumps({"error": _session_lost().as_dict()})
        stale = (sessions.c.job == job) & (sessions.c.manager == manager) & (sessions.c.state == "running")
        with self.writing() as connection:
            connection.execute(
                sqlalchemy.update(sessions).where(stale).values(state="failed", ended_at=now, result=lost)
            )
            row = {"session_id": str(session_id), "job": job, "manager": manager, "state": "running"}
            self._upsert(
                connection,
                "sessions",
                row={**row, "started_at": now, "ended_at": None, "result": None},
                keys=("session_id",),
            )

    def save_machine(self, session_id: UUID, report: MachineReport) -> None:
        error = report.error or {}
        task = {
            "session_id": str(session_id),
            "name": report.name,
            "vm_id": _text(report.vm_id),
            "replica_id": _text(report.replica_id),
            "state": report.outcome.value,
            "seconds": report.seconds,
            "restore_point": _text(report.restore_point),
            "error_code": error.get("code"),
            "error_reason": error.get("reason"),
        }
        with self.writing() as connection:
            self._upsert(connection, "machine_tasks", row=task, keys=("session_id", "name"))
            for disk in report.disks:
                plain = disk.as_dict()
                row = {column: plain[column] for column in COLUMNS["disk_transfers"] if column in plain}
                row |= {"session_id": str(session_id), "machine": report.name, "seconds": disk.seconds}
                self._upsert(connection, "disk_transfers", row=row, keys=("session_id", "machine", "disk_id"))

    def close_session(self, report: SessionReport) -> None:
        sessions = table("sessions")
        values = {
            "state": report.outcome.value,
            "ended_at": report.ended_at,
            "result": json.dumps(report.as_dict(), sort_keys=True),
        }
        with self.writing() as connection:
            this = sessions.c.session_id == str(report.session_id)
            connection.execute(sqlalchemy.update(sessions).where(this).values(**values))

    def sessions(self, *, job: str | None = None, limit: int = 20) -> list[SessionEntry]:
        sessions = table("sessions")
        query = sqlalchemy.select(sessions).order_by(sessions.c.started_at.desc(), sessions.c.session_id).limit(limit)
        if job is not None:
            query = query.where(sessions.c.job == job)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [
            SessionEntry(
                session_id=UUID(row.session_id),
                job=row.job,
                manager=row.manager,
                state=row.state,
                started_at=row.started_at,
                ended_at=row.ended_at,
                result=_json(row.result),
            )
            for row in rows
        ]

    def save_replica(self, entry: ReplicaEntry) -> None:
        row = {column: getattr(entry, column) for column in COLUMNS["replicas"]}
        row["last_error"] = None if entry.last_error is None else json.dumps(entry.last_error, sort_keys=True)
        row |= {"replica_id": str(entry.replica_id), "vm_id": str(entry.vm_id)}
        with self.writing() as connection:
            self._upsert(connection, "replicas", row=row, keys=("replica_id",), not_older="epoch")

    def replicas(self, *, job: str | None = None) -> list[ReplicaEntry]:
        replicas = table("replicas")
        query = sqlalchemy.select(replicas).order_by(replicas.c.replica_name, replicas.c.replica_id)
        if job is not None:
            query = query.where(replicas.c.job == job)
        with self.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            ReplicaEntry(
                **{
                    **row,
                    "replica_id": UUID(row["replica_id"]),
                    "vm_id": UUID(row["vm_id"]),
                    "last_error": _json(row["last_error"]),
                }
            )
            for row in rows
        ]

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """Give a connection in a transaction that only reads."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """Give a connection in a transaction that is committed at the end, or undone."""
        with self._translated(), self._writer.begin() as connection:
            yield connection

    def _upsert(
        self, connection: Any, name: str, *, row: dict[str, Any], keys: tuple[str, ...], not_older: str = ""
    ) -> None:
        """Insert or replace a row; with ``not_older``, only when that column does not become smaller."""
        target = table(name)
        statement = self._insert(target).values(**row)
        new = {column: statement.excluded[column] for column in row if column not in keys}
        where = statement.excluded[not_older] >= target.c[not_older] if not_older else None
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new, where=where))

    def _job(self, row: Any) -> JobSpec:
        try:
            return JobSpec.from_dict(json.loads(row.definition))
        except (ValueError, TypeError, AttributeError, RequestError) as error:
            raise CatalogError(
                f"job {row.name} in catalog {self._shown} cannot be read: {error}",
                hint="define the job again (state: present)",
                reason="job_invalid",
            ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlalchemy.exc.SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise refusal(cause, shown=self._shown) from error


def _parse(url: str) -> Any:
    need(sqlalchemy, "SQLAlchemy")
    try:
        parsed = sqlalchemy.engine.make_url(url)
        backend = parsed.get_backend_name()
    except sqlalchemy.exc.ArgumentError:
        raise _unsupported("a text that is no URL") from None
    if backend == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if backend not in ("sqlite", "postgresql"):
        raise _unsupported(parsed.render_as_string(hide_password=True))
    return parsed


def _unsupported(shown: str) -> RequestError:
    return RequestError(
        f"option catalog_url: {shown} is not supported",
        hint="leave it out for a SQLite file, or give postgresql://user@host/database",
        reason="catalog_url_invalid",
    )


def _sqlite(url: Any, shown: str, *, read_only: bool) -> Any:
    network = network_file_system(url.database or "")
    if network:
        raise RequestError(
            f"option catalog_url: {shown} is on a network file system ({network})",
            hint="locks of SQLite cannot be relied on there: use a local folder, or PostgreSQL",
            reason="catalog_on_network",
        )
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    sqlalchemy.event.listen(engine, "connect", _prepare_to_read if read_only else _prepare_sqlite)
    sqlalchemy.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver shall not begin transactions by itself
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_to_read(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")


def _begin_sqlite(connection: Any) -> None:
    """Take the write lock at once where it will be needed: a reader that becomes a writer may deadlock."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: Any, *, read_only: bool) -> Any:
    return sqlalchemy.create_engine(
        url,
        pool_pre_ping=True,
        connect_args={"connect_timeout": int(BUSY_SECONDS)},
        execution_options={"postgresql_readonly": True} if read_only else {},
    )


def _session_lost() -> EngineError:
    return EngineError(
        "the worker of the session ended without a result",
        hint="the next session of the job went on from the replica records; worker.log of this one may say why",
        reason="session_lost",
    )


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _json(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise FormatError(f"the catalog holds no JSON where it should: {error}") from error
    return value if isinstance(value, dict) else {"value": value}
