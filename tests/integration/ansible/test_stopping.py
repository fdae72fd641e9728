# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that stop a session, and plays that are interrupted, cancelled or killed, which stop none."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.tests.demo.guardian import belonging
from ansible_collections.opendr.hyperv.tests.demo.playbook import Playbook
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import INFO_MODULE, JOB_MODULE
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import (
    SLOW,
    Job,
    SlowControl,
    make_job,
    slow_control,
)
from ansible_collections.opendr.hyperv.tests.lab.inventory import write_inventory
from ansible_collections.opendr.hyperv.tests.lab.site import MANAGER, REPLICAS, TARGET, ProcessSite

pytestmark = [pytest.mark.timeout(300), pytest.mark.needs("qemu-img")]


@pytest.fixture
def job(site: ProcessSite, tmp_path: Path) -> Job:
    return make_job(site, tmp_path / "state")


def stopping(job: Job, how: str, **options: Any) -> dict[str, Any]:
    common = {"name": job.name, "state_dir": str(job.state_dir), "poll_interval": 1}
    return {JOB_MODULE: {**common, "state": "stopped", "stop": how, **options}}


def looking(state_dir: Path) -> dict[str, Any]:
    return {INFO_MODULE: {"gather": [], "host": TARGET, "path": REPLICAS, "state_dir": str(state_dir)}}


def found_in(result: dict[str, Any], job: Job) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in result["records"] if each["vm_name"] == job.name)
    return found


def test_session_is_stopped_once_in_each_way_and_the_next_one_resumes(
    site: ProcessSite, job: Job, tmp_path: Path
) -> None:
    tasks: list[dict[str, Any]] = [
        stopping(job, "now"),
        {JOB_MODULE: {**job.options, "wait": False, "rpo_seconds": 3600}},
        {**stopping(job, "after_machine"), "check_mode": True},
        stopping(job, "after_machine", wait=False, stopped_by="maintenance"),
        stopping(job, "after_machine", wait=False),
        looking(job.state_dir),
        looking(tmp_path / "other"),
        stopping(job, "now"),
        stopping(job, "now"),
        looking(job.state_dir),
    ]
    with slow_control(site, tmp_path) as slow:
        nothing, started, checked, asked, again, ours, theirs, stopped, over, after = slow.control.run(tasks).results
    session_id = started["session"]["session_id"]
    assert (nothing["changed"], nothing["session"]) == (False, None)
    assert [checked["changed"], asked["changed"], again["changed"]] == [True, True, False]
    assert {each["session"]["session_id"] for each in (checked, asked, again)} == {session_id}
    assert "after the machines under way by maintenance" in again["msg"]
    assert (stopped["changed"], stopped["session"]["state"]) == (True, "cancelled")
    assert "asked to stop at once by" in stopped["session"]["machines"][0]["error"]["message"]
    assert (over["changed"], over["session"]) == (False, None)

    own, other, idle = (found_in(each, job) for each in (ours, theirs, after))
    assert (own["activity"], own["restart"]["action"]) == ("running", "attach")
    assert (other["activity"], other["restart"]["action"]) == ("running", "wait")
    assert own["lease"]["session_id"] == own["last_session_id"] == session_id
    assert 200 < own["lease"]["seconds_left"] <= 300
    assert own["pending_step"] == "transfer"
    assert (own["lag_seconds"], own["rpo_seconds"], own["rpo_met"]) == (None, 3600, False)
    assert (idle["activity"], idle["lease"], idle["restart"]["action"]) == ("idle", None, "resume")
    assert idle["last_error"]["code"] == "cancelled"
    assert site.source_leftovers(job.name) == []


def play_killed_by(number: int, slow: SlowControl, job: Job) -> str:
    """Start the job, or attach to it, send a signal to the play once data flow, and return what it has said."""
    said = ""
    with slow.control.start([{JOB_MODULE: job.options}]) as play:
        assert play.stdout is not None
        for line in play.stdout:
            said += line
            if " % of " in line:
                time.sleep(0.5)  # ansible-core hangs when the process of a task dies within its call that shows a line
                os.kill(play.pid, number)
                break
        try:
            said += play.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:  # a task of it lives on and holds its output
            play.kill()
            raise
    assert play.returncode != 0
    return said


def stop_by_playbook(site: ProcessSite, job: Job, folder: Path) -> None:
    changes = {MANAGER: {"opendr_state_dir": str(job.state_dir)}}
    inventory = write_inventory(site, folder / "stop.yml", jobs=[{"name": job.name}], changes=changes)
    Playbook("opendr.hyperv.stop", inventory=inventory, folder=folder, color=False).run(print)


def plays(folder: Path) -> set[int]:
    """Return the processes of plays: those that name the test's folder, without session workers."""
    return {
        pid
        for pid in belonging(str(folder))
        if b"session" not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    }


def test_play_that_ends_early_leaves_the_session_and_no_process_of_its_own(
    site: ProcessSite, job: Job, tmp_path: Path
) -> None:
    with slow_control(site, tmp_path, rate=SLOW / 4) as slow:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            said = play_killed_by(number, slow, job)
            assert (
                "run the task again to attach to it, or hyperv_replica_job with state: stopped to end it"
                in " ".join(said.split())
            )
            session_id = job.newest_session()
            assert job.status(session_id)["state"] == "running"
            deadline = time.monotonic() + 20
            while left := plays(tmp_path):
                assert time.monotonic() < deadline, (number, left)
                time.sleep(0.1)
        stop_by_playbook(site, job, tmp_path)
    assert len(list((job.state_dir / "sessions").iterdir())) == 1  # it was attached to
    assert job.status(session_id)["state"] == "cancelled"
    assert site.source_leftovers(job.name) == []
