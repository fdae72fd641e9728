# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.plugin_utils.engine_archive import ENGINE, build_archive


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    folder = tmp_path / "engine"
    (folder / "part").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "part" / "__init__.py").write_text("NUMBER = 7\n")
    (folder / "cli.py").write_text("from .part import NUMBER\n\n\ndef main():\n    return NUMBER\n")
    return folder


def test_archive_runs_the_command_line_of_the_engine(engine: Path, tmp_path: Path) -> None:
    archive = build_archive(engine)
    (tmp_path / archive.name).write_bytes(archive.content)
    assert subprocess.run([sys.executable, str(tmp_path / archive.name)], check=False).returncode == 7


def test_same_sources_give_the_same_bytes_whatever_their_times(engine: Path) -> None:
    first = build_archive(engine)
    for path in engine.rglob("*.py"):
        path.touch()
    assert build_archive(engine) == first


def test_any_change_gives_another_name(engine: Path) -> None:
    first = build_archive(engine)
    (engine / "part" / "__init__.py").write_text("NUMBER = 8\n")
    assert build_archive(engine).name != first.name


def test_archive_holds_every_source_of_the_real_engine_and_nothing_else() -> None:
    with zipfile.ZipFile(BytesIO(build_archive().content)) as archive:
        names = set(archive.namelist())
    wanted = {f"opendr_engine/{path.relative_to(ENGINE).as_posix()}" for path in ENGINE.rglob("*.py")}
    assert names == wanted | {"__main__.py"}
