# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job as a resource: created, changed and removed by tasks, each in check mode first. No session runs here."""

from __future__ import annotations

import re
import venv
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.tests.integration.ansible.control import INFO_MODULE, JOB_MODULE, Control
from ansible_collections.opendr.hyperv.tests.lab.inventory import write_inventory
from ansible_collections.opendr.hyperv.tests.lab.site import MANAGER, ProcessSite

DEFINITION: dict[str, Any] = {
    "name": "web",
    "vms": ["web1", "web2"],
    "source_host": "hv-a",
    "target_host": "hv-b",
    "target_path": "D:\\Replicas",
}
DEFAULTS: dict[str, Any] = {
    "suffix": "_replica",
    "restore_points": 7,
    "block_size": 1048576,
    "compression": "optimal",
    "consistency": "application_or_crash",
    "source_proxies": [],
    "target_proxies": [],
    "switches": {},
    "on_touched": "compare",
    "rpo_seconds": None,
    "enabled": True,
}


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


def walk(control: Control, state_dir: Path, *steps: dict[str, Any]) -> list[dict[str, Any]]:
    """Run each step in check mode, in earnest, and again, in one play; return what the steps did.

    The three must agree, and check mode must leave the catalog as it was.
    """
    common = {"state_dir": str(state_dir)}
    read = {INFO_MODULE: {"gather": ["jobs"], **common}}
    tasks: list[dict[str, Any]] = []
    for step in steps:
        task = {JOB_MODULE: {**step, **common}, "diff": True}
        tasks += [read, {**task, "check_mode": True}, read, task, task]
    results = control.run(tasks).results
    assert len(results) == len(tasks), results[-1]
    done = []
    for number in range(0, len(results), 5):
        before, checked, untouched, real, again = results[number : number + 5]
        assert untouched["jobs"] == before["jobs"]
        assert (checked["changed"], checked["diff"], checked["job"]) == (True, real["diff"], real["job"])
        assert real["changed"] is True
        assert again["changed"] is False
        assert again["diff"]["before"] == again["diff"]["after"]
        done.append(real)
    return done


@pytest.mark.timeout(300)
def test_job_is_created_changed_disabled_and_removed(control: Control, state_dir: Path) -> None:
    other = {**DEFINITION, "restore_points": 3, "switches": {"LAN": "DR"}, "block_size": "512 KiB"}
    created, changed, disabled, removed = walk(
        control, state_dir, DEFINITION, other, {"name": "web", "state": "disabled"}, {"name": "web", "state": "absent"}
    )
    first = {**DEFINITION, **DEFAULTS}
    second = {**first, "restore_points": 3, "switches": {"LAN": "DR"}, "block_size": 524288}
    assert (created["diff"]["before"], created["job"]) == ({}, first)
    assert (changed["diff"]["before"], changed["diff"]["after"]) == (first, second)
    assert disabled["job"] == {**second, "enabled": False}
    assert (removed["diff"]["after"], removed["job"]) == ({}, None)


def test_check_mode_and_info_make_nothing(control: Control, state_dir: Path) -> None:
    common = {"module_defaults": {"group/opendr.hyperv.hyperv": {"state_dir": str(state_dir)}}}
    checked, read = control.run(
        [{JOB_MODULE: DEFINITION, "check_mode": True, **common}, {INFO_MODULE: {}, **common}]
    ).results
    assert checked["changed"] is True
    assert (read["jobs"], read["sessions"], read["replicas"]) == ([], [], [])
    assert not state_dir.exists()


def test_state_folder_is_for_its_owner_only(control: Control, state_dir: Path) -> None:
    control.task(JOB_MODULE, state_dir=str(state_dir), **DEFINITION)
    assert state_dir.stat().st_mode & 0o777 == 0o700


BAD_TASKS: list[tuple[dict[str, Any], str, str]] = [
    ({**DEFINITION, "source_host": "hv-z"}, "host_unknown", "option source_host: 'hv-z'"),
    ({**DEFINITION, "target_proxies": ["mover-z"]}, "host_unknown", "option target_proxies: 'mover-z'"),
    ({**DEFINITION, "block_size": "3MiB"}, "block_size_invalid", "3MiB"),
    ({**DEFINITION, "restore_points": 29}, "restore_points_invalid", "29"),
    ({**DEFINITION, "target_path": "Replicas"}, "target_path_invalid", "Replicas"),
    ({"name": "web", "state": "started"}, "job_unknown", "web"),
    ({"name": "web", "state": "disabled"}, "job_unknown", "web"),
    ({**DEFINITION, "poll_interval": 0}, "poll_interval_invalid", "poll_interval"),
    ({**DEFINITION, "state_dir": "state"}, "state_dir_invalid", "absolute"),
    ({**DEFINITION, "colour": "red"}, "options_invalid", "colour"),
]


def test_bad_task_fails_with_a_stable_code_and_the_way_out(control: Control, state_dir: Path) -> None:
    tasks = [
        {JOB_MODULE: {"state_dir": str(state_dir), **options}, "ignore_errors": True}
        for options, _reason, _named in BAD_TASKS
    ]
    results = control.run(tasks).results
    assert [result["failure"]["reason"] for result in results] == [reason for _options, reason, _named in BAD_TASKS]
    for result, (_options, _reason, named) in zip(results, BAD_TASKS, strict=True):
        assert result["failure"]["code"] == "request_invalid"
        assert named in result["msg"]
        assert result["failure"]["hint"]
        assert result["changed"] is False
    assert not state_dir.exists()


def test_disabled_job_is_not_started(control: Control, state_dir: Path) -> None:
    job = {**DEFINITION, "state_dir": str(state_dir)}
    result = control.run([{JOB_MODULE: {**job, "state": state}} for state in ("disabled", "started")]).result
    assert result["failure"]["reason"] == "job_disabled"
    assert result["failure"]["allowed"] == ["present", "absent"]


@pytest.mark.parametrize("state", ["present", "started"])
@pytest.mark.parametrize("place", ["file", "file/state", "/proc/state"])
def test_state_folder_that_cannot_be_made_is_named_with_the_cause(
    control: Control, tmp_path: Path, place: str, state: str
) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / place)
    result = control.task(JOB_MODULE, state_dir=folder, state=state, **DEFINITION)
    assert (result["failure"]["code"], result["failure"]["reason"]) == ("request_invalid", "state_dir_unusable")
    assert "option state_dir" in result["msg"]
    assert folder in result["msg"]
    assert re.search("Not a directory|No such file or directory|File exists", result["msg"])


def test_file_of_the_state_folder_that_cannot_be_written_names_the_option(control: Control, state_dir: Path) -> None:
    (state_dir / "jobs" / "web.json").mkdir(parents=True)
    result = control.task(JOB_MODULE, state_dir=str(state_dir), state="started", **DEFINITION)
    assert result["failure"]["reason"] == "state_dir_unusable"
    assert f"option state_dir: {state_dir}/jobs/web.json: " in result["msg"]


def test_libraries_that_the_manager_lacks_are_named_with_the_command(
    site: ProcessSite, tmp_path: Path, state_dir: Path
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / "bin" / "python")
    changes = {MANAGER: {"ansible_python_interpreter": python}}
    control = Control(tmp_path, write_inventory(site, tmp_path / "bare.yml", changes=changes))
    result = control.task(JOB_MODULE, state_dir=str(state_dir), **DEFINITION)
    assert (result["failure"]["code"], result["failure"]["reason"]) == ("library_missing", "SQLAlchemy")
    others = "blake3 google-crc32c msgpack xxhash zstandard"
    assert f"{python} -m pip install SQLAlchemy {others}; requirements.txt" in result["failure"]["hint"]
    assert "virtual environment" in result["failure"]["hint"]
