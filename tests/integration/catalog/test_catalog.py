# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the catalog promises, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy

from ansible_collections.opendr.hyperv.plugins.module_utils import _services
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import catalog as catalog_adapter
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import catalog_schema
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import (
    open_catalog,
    open_for_reading,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog_schema import (
    COLUMNS,
    MIGRATIONS,
    VERSION,
    upgrade,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import CatalogError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import (
    DiskReport,
    MachineReport,
    Outcome,
    ReplicaEntry,
    SessionReport,
    Traffic,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import TiB

DATABASES = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.needs("initdb", "postgres", "createdb", "pg_isready")),
]
pytestmark = pytest.mark.parametrize("new_database", DATABASES, indirect=True)

ONE, TWO, VM, REPLICA, DISK = (UUID(int=number) for number in range(1, 6))
JOB = JobSpec.from_dict(
    {"name": "wéb", "vms": ["a"], "source_host": "s", "target_host": "t", "target_path": "D:\\R", "block_size": "4MiB"}
)
ENTRY = ReplicaEntry(
    REPLICA, "wéb", VM, "a", "s", "t", "D:\\R\\a", "a_replica", 3, "ready", 2, 99.5, {"code": "x"}, 100.0
)


def machine(*, sent: int = 7, outcome: Outcome = Outcome.DONE) -> MachineReport:
    traffic = Traffic(disk=64 * TiB, total=9, read=8, sent=sent, zero=1, same=1)
    disk = DiskReport("SCSI 0:0", DISK, "changed", "tracked", traffic, 1.25, "network")
    return MachineReport("a", outcome, VM, "a_replica", REPLICA, 2.0, 1.25, "network", TWO, disks=(disk,))


def test_job_is_kept_replaced_and_forgotten(catalog):
    catalog.save_job(JOB, now=1.0)
    catalog.save_job(replace(JOB, restore_points=3), now=2.0)
    assert catalog.find_job("wéb") == replace(JOB, restore_points=3)
    assert catalog.jobs() == [replace(JOB, restore_points=3)]
    catalog.remove_job("wéb")
    catalog.remove_job("wéb")
    assert catalog.find_job("wéb") is None


def test_job_that_cannot_be_read_is_named(catalog):
    catalog.save_job(JOB, now=1.0)
    with catalog.writing() as connection:
        connection.execute(sqlalchemy.text("UPDATE jobs SET definition = '[]'"))
    with pytest.raises(CatalogError, match="job wéb in catalog"):
        catalog.find_job("wéb")


def test_session_is_running_until_its_report_comes(catalog):
    catalog.open_session(ONE, job="wéb", manager="m", now=10.0)
    running = catalog.sessions(job="wéb")[0]
    assert (running.state, running.ended_at, running.result) == ("running", None, None)
    report = SessionReport(ONE, "wéb", 10.0, 12.0, (machine(),))
    catalog.save_machine(ONE, machine())
    catalog.close_session(report)
    ended = catalog.sessions()[0]
    assert (ended.session_id, ended.manager, ended.state, ended.ended_at) == (ONE, "m", "done", 12.0)
    assert ended.result == report.as_dict()


def test_sessions_come_newest_first_and_limited(catalog):
    for number in range(1, 6):
        catalog.open_session(
            UUID(int=number), job="even" if number % 2 == 0 else "odd", manager=f"m{number}", now=number
        )
    assert [entry.session_id.int for entry in catalog.sessions(limit=3)] == [5, 4, 3]
    assert [entry.session_id.int for entry in catalog.sessions(job="even")] == [4, 2]


def test_session_of_a_dead_worker_is_closed_by_the_next_one(catalog):
    catalog.open_session(ONE, job="wéb", manager="m", now=10.0)
    catalog.open_session(TWO, job="wéb", manager="m", now=20.0)
    catalog.open_session(VM, job="wéb", manager="other", now=30.0)
    states = {entry.session_id: entry.state for entry in catalog.sessions()}
    assert states == {ONE: "failed", TWO: "running", VM: "running"}
    lost = next(entry for entry in catalog.sessions() if entry.session_id == ONE).result["error"]
    assert (lost["code"], lost["reason"], lost["retryable"]) == ("engine_failed", "session_lost", False)
    assert "ended without a result" in lost["message"]


def test_machine_and_its_disks_are_kept_and_replaced(catalog):
    catalog.open_session(ONE, job="wéb", manager="m", now=10.0)
    catalog.save_machine(ONE, machine())
    catalog.save_machine(ONE, machine(sent=8, outcome=Outcome.FAILED))
    with catalog.reading() as connection:
        tasks = connection.execute(sqlalchemy.text("SELECT state FROM machine_tasks")).all()
        disks = connection.execute(sqlalchemy.text("SELECT bytes_disk, bytes_sent, seconds FROM disk_transfers")).all()
    assert [tuple(row) for row in tasks] == [("failed",)]
    assert [tuple(row) for row in disks] == [(64 * TiB, 8, 1.25)]


def test_replica_follows_its_record_and_never_turns_back(catalog):
    catalog.save_replica(ENTRY)
    catalog.save_replica(replace(ENTRY, epoch=4, state="failover", last_error=None))
    catalog.save_replica(replace(ENTRY, epoch=3, state="ready"))
    assert catalog.replicas() == [replace(ENTRY, epoch=4, state="failover", last_error=None)]
    catalog.save_replica(replace(ENTRY, epoch=4, state="ready"))
    assert catalog.replicas(job="wéb") == [replace(ENTRY, epoch=4)]
    assert catalog.replicas(job="other") == []


def test_threads_write_side_by_side(catalog):
    catalog.open_session(ONE, job="wéb", manager="m", now=10.0)

    def write(number: int) -> None:
        catalog.save_machine(ONE, replace(machine(), name=f"vm{number % 4}"))
        catalog.save_replica(replace(ENTRY, epoch=number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    with catalog.reading() as connection:
        assert connection.execute(sqlalchemy.text("SELECT count(*) FROM machine_tasks")).scalar() == 4
    assert catalog.replicas()[0].epoch == 39


def test_schema_is_what_the_queries_use(catalog):
    inspector = sqlalchemy.inspect(catalog._engine)
    for name, columns in COLUMNS.items():
        assert {column["name"] for column in inspector.get_columns(name)} == set(columns)


def test_opening_twice_at_once_makes_one_schema(new_database):
    url = new_database()
    with ThreadPoolExecutor(4) as pool:
        for opened in pool.map(open_catalog, [url] * 8):
            opened.close()


def test_reading_makes_nothing(new_database):
    url = new_database()
    reader = open_for_reading(url)
    assert (reader.jobs(), reader.sessions(), reader.replicas()) == ([], [], [])
    reader.close()
    engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_reading_finds_what_is_there_and_cannot_write(new_database):
    url = new_database()
    writer = open_catalog(url)
    writer.save_job(JOB, now=1.0)
    reader = open_for_reading(url)
    assert reader.jobs() == [JOB]
    with pytest.raises(CatalogError, match=r"read-?only"):
        reader.remove_job(JOB.name)
    assert writer.jobs() == [JOB]
    reader.close()
    writer.close()


def test_opening_waits_for_nobody_who_writes_when_the_schema_is_current(new_database, monkeypatch):
    monkeypatch.setattr(catalog_adapter, "BUSY_SECONDS", 1.0)
    url = new_database()
    writer = open_catalog(url)
    with writer.writing() as connection:
        upgrade(connection)
        for opened in (open_for_reading(url), open_catalog(url)):
            assert opened.jobs() == []
            opened.close()
    writer.close()


def test_schema_that_is_older_is_told_to_who_only_reads(new_database, monkeypatch):
    url = new_database()
    open_catalog(url).close()
    monkeypatch.setattr(catalog_schema, "VERSION", VERSION + 1)
    with pytest.raises(CatalogError) as caught:
        open_for_reading(url)
    assert caught.value.reason == "catalog_older"


def test_module_that_will_write_upgrades_an_older_schema_and_others_leave_it(new_database, monkeypatch):
    options = {"catalog_url": new_database()}
    open_catalog(options["catalog_url"]).close()
    upgraded = []
    for module in (catalog_schema, catalog_adapter):
        monkeypatch.setattr(module, "VERSION", VERSION + 1)
    monkeypatch.setattr(catalog_adapter, "upgrade", upgraded.append)
    with pytest.raises(CatalogError, match="schema version"):
        _services.read_catalog(options)
    assert upgraded == []
    with _services.read_catalog(options, may_upgrade=True) as opened:
        assert opened.jobs() == []
    assert len(upgraded) == 1


def test_older_schema_is_led_to_the_newest_and_keeps_its_rows(new_database):
    url = new_database()
    old = open_catalog(url)
    old.save_job(JOB, now=1.0)

    def add_column(connection) -> None:
        connection.execute(sqlalchemy.text("ALTER TABLE jobs ADD COLUMN colour TEXT"))

    with old.writing() as connection:
        upgrade(connection, migrations=(*MIGRATIONS, add_column))
        assert connection.execute(sqlalchemy.text("SELECT version FROM schema_version")).scalar() == VERSION + 1
        assert connection.execute(sqlalchemy.text("SELECT name, colour FROM jobs")).all() == [("wéb", None)]
    old.close()
    for opens in (open_catalog, open_for_reading):
        with pytest.raises(CatalogError) as caught:
            opens(url)
        assert caught.value.reason == "catalog_newer"


def test_failed_migration_leaves_the_old_schema(new_database):
    url = new_database()
    opened = open_catalog(url)

    def half(connection) -> None:
        connection.execute(sqlalchemy.text("CREATE TABLE half (x BIGINT)"))
        connection.execute(sqlalchemy.text("this is no SQL"))

    with pytest.raises(CatalogError), opened.writing() as connection:
        upgrade(connection, migrations=(*MIGRATIONS, half))
    opened.close()
    again = open_catalog(url)
    assert "half" not in sqlalchemy.inspect(again._engine).get_table_names()
    again.close()
