# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no catalog is refused with the way out, and passwords are not shown."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import catalog
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import (
    open_catalog,
    open_for_reading,
    sqlite_url,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    CatalogError,
    LibraryMissing,
    RequestError,
)


@contextmanager
def nobody_may_enter(folder: Path) -> Iterator[None]:
    """Shut a folder, and be a user whom that stops."""
    is_root = os.geteuid() == 0
    folder.chmod(0)
    if is_root:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "no url", "oracle://h/d"])
def test_other_databases_are_refused(url):
    with pytest.raises(RequestError) as caught:
        open_catalog(url)
    assert caught.value.reason == "catalog_url_invalid"
    assert "secret" not in str(caught.value.as_dict())


def test_server_that_is_not_there_is_an_error_without_its_password():
    with pytest.raises(CatalogError) as caught:
        open_catalog("postgresql://user:secret@127.0.0.1:1/d")
    assert "secret" not in str(caught.value.as_dict())
    assert caught.value.reason == "catalog_failed"


def test_file_that_is_no_database_is_an_error(tmp_path):
    path = tmp_path / "catalog.sqlite"
    path.write_text("this is no database, and it is longer than a header of one would be" * 10)
    with pytest.raises(CatalogError, match="not a database"):
        open_catalog(sqlite_url(str(path)))


def test_catalog_that_may_not_be_seen_is_an_error_and_not_an_empty_one(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    open_catalog(sqlite_url(str(folder / "catalog.sqlite"))).close()
    with nobody_may_enter(folder), pytest.raises(RequestError) as caught:
        open_for_reading(sqlite_url(str(folder / "catalog.sqlite")))
    assert caught.value.reason == "file_denied"


def test_damaged_file_may_be_moved_away(tmp_path):
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"junk" * 1000)
    with pytest.raises(CatalogError, match="not a database") as caught:
        open_for_reading(sqlite_url(str(path)))
    assert caught.value.reason == "catalog_damaged"
    assert caught.value.hint.startswith("move the file away")


@pytest.mark.parametrize("opened", [open_catalog, open_for_reading])
def test_folder_in_place_of_the_file_is_an_error_that_says_so(tmp_path, opened):
    (tmp_path / "catalog.sqlite").mkdir()
    with pytest.raises(CatalogError, match="unable to open") as caught:
        opened(sqlite_url(str(tmp_path / "catalog.sqlite")))
    assert "a file, not a folder" in caught.value.hint


def write_more_than_fits(opened):
    with opened.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        connection.exec_driver_sql("CREATE TABLE big (data BLOB)")
        connection.exec_driver_sql("INSERT INTO big VALUES (zeroblob(1000000))")


def test_full_volume_is_told(tmp_path):
    opened = open_catalog(sqlite_url(str(tmp_path / "catalog.sqlite")))
    with pytest.raises(CatalogError, match="full") as caught:
        write_more_than_fits(opened)
    opened.close()
    assert "make room" in caught.value.hint


def test_empty_file_is_an_empty_catalog_and_stays_as_it_is(tmp_path):
    path = tmp_path / "catalog.sqlite"
    path.touch()
    reader = open_for_reading(sqlite_url(str(path)))
    assert reader.jobs() == []
    reader.close()
    assert [(file.name, file.stat().st_size) for file in tmp_path.iterdir()] == [("catalog.sqlite", 0)]


def test_folder_that_is_missing_is_an_error(tmp_path):
    with pytest.raises(CatalogError, match="unable to open"):
        open_catalog(sqlite_url(str(tmp_path / "nowhere" / "catalog.sqlite")))


def test_sqlite_on_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "network_file_system", lambda path: "nfs4" if path.startswith(str(tmp_path)) else "")
    with pytest.raises(RequestError) as caught:
        open_catalog(sqlite_url(str(tmp_path / "catalog.sqlite")))
    assert caught.value.reason == "catalog_on_network"
    assert "nfs4" in caught.value.message


def test_locked_database_says_that_trying_again_helps(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "BUSY_SECONDS", 0.05)
    url = sqlite_url(str(tmp_path / "catalog.sqlite"))
    one, two = open_catalog(url), open_catalog(url)
    with one.writing(), pytest.raises(CatalogError) as caught:
        two.remove_job("x")
    assert caught.value.reason == "catalog_busy"
    one.close()
    two.close()


def test_missing_sqlalchemy_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(catalog, "sqlalchemy", None)
    with pytest.raises(LibraryMissing) as caught:
        open_catalog("sqlite:///x")
    assert "pip install SQLAlchemy" in caught.value.hint


def test_missing_psycopg_is_named(monkeypatch):
    def no_driver(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'psycopg'")

    monkeypatch.setattr("sqlalchemy.create_engine", no_driver)
    with pytest.raises(LibraryMissing) as caught:
        open_catalog("postgresql://h/d")
    assert "psycopg" in caught.value.message
