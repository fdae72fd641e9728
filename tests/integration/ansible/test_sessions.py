# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions as tasks: started, followed, attached to, timed out, killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import (
    INFO_MODULE,
    JOB_MODULE,
    SESSION_MODULE,
    Control,
)
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import Job, count_down, make_job, slow_control
from ansible_collections.opendr.hyperv.tests.lab.site import REPLICAS, TARGET, ProcessSite

pytestmark = [pytest.mark.timeout(300), pytest.mark.needs("qemu-img")]


@pytest.fixture
def job(site: ProcessSite, tmp_path: Path) -> Job:
    return make_job(site, tmp_path / "state")


def test_sessions_are_run_reported_and_remembered(site: ProcessSite, control: Control, job: Job) -> None:
    first = control.task(JOB_MODULE, **job.options)
    assert first["changed"] is True
    site.source.write(job.vm_id, "SCSI 0:0", offset=MiB, data=os.urandom(64 * KiB))
    common = {"state_dir": str(job.state_dir)}
    tasks: list[dict[str, Any]] = [
        {JOB_MODULE: {"name": job.name, "state": "started", **common}},
        {INFO_MODULE: {"name": job.name, "host": TARGET, "path": REPLICAS, **common}},
        {SESSION_MODULE: {"jobs": [job.name], "sessions": [first["session"]["session_id"]], **common}},
    ]
    second, info, status = control.run(tasks).results
    (full,), (changed,) = first["session"]["machines"], second["session"]["machines"]
    assert (full["disks"][0]["scope"], changed["disks"][0]["scope"]) == ("allocated", "changed")
    assert 64 * KiB <= changed["bytes_sent"] < full["bytes_sent"]
    assert full["bottleneck"] in {"source", "proxy", "network", "target"}
    assert [point["consistency"] for point in changed["restore_points"]] == ["Application", "Application"]
    assert second["session"]["attached"] is False

    ids = [second["session"]["session_id"], first["session"]["session_id"]]
    assert [session["session_id"] for session in info["sessions"]] == ids
    assert info["sessions"][1]["machines"] == first["session"]["machines"]
    assert [replica["restore_point_count"] for replica in info["replicas"]] == [2]
    record = next(each for each in info["records"] if each["vm_name"] == job.name)
    assert (record["restore_points"], record["session_id"]) == (changed["restore_points"], None)
    assert (record["activity"], record["restart"]["action"]) == ("idle", "replicate")
    assert [disk["scope"] for disk in record["restart"]["disks"]] == ["changed"]
    assert 0 < record["lag_seconds"] < 120
    assert 0 <= info["replicas"][0]["lag_seconds"] < 120
    assert [session["session_id"] for session in status["sessions"]] == ids[::-1]
    assert {session["alive"] for session in status["sessions"]} == {False}
    site.prove(job.name, points=2)


def test_check_mode_tells_that_a_session_would_start_and_makes_nothing(control: Control, job: Job) -> None:
    result = control.task(JOB_MODULE, check=True, **job.options)
    assert (result["changed"], result["session"]) == (True, None)
    assert result["diff"]["before"] == {}
    assert not job.state_dir.exists()


def test_task_that_gives_up_leaves_the_session_and_the_next_one_attaches(
    site: ProcessSite, job: Job, tmp_path: Path
) -> None:
    remove = {"name": job.name, "state": "absent", "state_dir": str(job.state_dir)}
    tasks: list[dict[str, Any]] = [
        {JOB_MODULE: {**job.options, "wait": False}},
        {JOB_MODULE: {**job.options, "timeout": 1}, "ignore_errors": True},
        {JOB_MODULE: remove, "ignore_errors": True},
        {JOB_MODULE: job.options},
        {JOB_MODULE: remove},
    ]
    with slow_control(site, tmp_path) as slow:
        attaching = count_down(2, lambda line: "attached to" in line, slow.open_up)
        started, waited, refused, attached, removed = slow.control.run(tasks, on_line=attaching).results
    session_id = started["session"]["session_id"]
    assert started["session"] == {"session_id": session_id, "attached": False}
    assert (waited["failure"]["reason"], waited["failure"]["current"]) == ("still_running", "running")
    assert session_id in waited["msg"]
    assert "attach" in waited["msg"]
    assert waited["changed"] is False
    assert refused["failure"]["reason"] == "session_running"
    assert (attached["session"]["session_id"], attached["session"]["attached"]) == (session_id, True)
    assert (attached["changed"], attached["session"]["state"]) == (False, "done")
    assert removed["job"] is None


def test_killed_worker_is_told_and_the_next_task_resumes(site: ProcessSite, job: Job, tmp_path: Path) -> None:
    def kill_worker() -> None:
        os.kill(job.status(job.newest_session())["pid"], signal.SIGKILL)

    with slow_control(site, tmp_path) as slow:
        first_progress = count_down(1, lambda line: " % of " in line, kill_worker)
        killed = slow.control.run([{JOB_MODULE: job.options}], on_line=first_progress).result
        assert killed["failure"]["reason"] == "worker_gone"
        assert "run the task again" in killed["msg"].lower()
        slow.open_up()
        resumed = slow.control.task(JOB_MODULE, **job.options)
    assert resumed["session"]["machines"][0]["disks"][0]["reason"] == "resumed"
    assert site.source_leftovers(job.name) == []
    site.prove(job.name, points=1)


def test_cancelled_play_leaves_the_session(site: ProcessSite, job: Job, tmp_path: Path) -> None:
    with slow_control(site, tmp_path) as slow:
        cancelled = slow.control.run([{JOB_MODULE: job.options}], cancel_at=lambda line: " % of " in line)
        assert cancelled.status == "canceled"
        attaching = count_down(1, lambda line: "attached to" in line, slow.open_up)
        attached = slow.control.run([{JOB_MODULE: job.options}], on_line=attaching).result
    assert attached["session"]["attached"] is True
    assert attached["session"]["state"] == "done"
    site.prove(job.name, points=1)
