# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hyperv_replica: verify, repair, pin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import INFO_MODULE, JOB_MODULE, Control
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import SLOW, Job, make_job, slow_control
from ansible_collections.opendr.hyperv.tests.lab.rot import rot
from ansible_collections.opendr.hyperv.tests.lab.site import REPLICAS, TARGET, ProcessSite

pytestmark = [pytest.mark.timeout(300), pytest.mark.needs("qemu-img")]

REPLICA_MODULE = "opendr.hyperv.hyperv_replica"


@pytest.fixture
def job(site: ProcessSite, tmp_path: Path) -> Job:
    return make_job(site, tmp_path / "state", size=4 * MiB)


def test_replica_is_verified_repaired_and_its_points_are_pinned(site: ProcessSite, control: Control, job: Job) -> None:
    common: dict[str, Any] = {"name": job.name, "state_dir": str(job.state_dir), "poll_interval": 1}
    pin = {**common, "restore_point": "{{ first.session.machines[0].restore_point }}", "pinned": True}
    tasks: list[dict[str, Any]] = [
        {JOB_MODULE: job.options, "register": "first"},
        {REPLICA_MODULE: {**common, "verify": "full"}},
        {REPLICA_MODULE: pin, "check_mode": True},
        {REPLICA_MODULE: pin},
        {REPLICA_MODULE: pin},
        {INFO_MODULE: {"gather": [], "state_dir": str(job.state_dir), "host": TARGET, "path": REPLICAS}},
    ]
    _first, verified, checked, pinned, again, info = control.run(tasks).results
    machine = verified["session"]["machines"][0]
    assert (verified["changed"], machine["verification"]["verdict"]) == (False, "good")
    assert machine["disks"][0]["bytes_same"] == machine["disks"][0]["bytes_disk"] == 4 * MiB
    assert [result["changed"] for result in (checked, pinned, again)] == [True, True, False]
    assert (pinned["diff"]["before"]["pinned"], pinned["diff"]["after"]["pinned"]) == (False, True)
    points = next(each for each in info["records"] if each["vm_name"] == job.name)["restore_points"]
    assert [(point["pinned"], point["verified"]["verdict"]) for point in points] == [(True, "good")]

    rot(site.target.local_path(site.record(job.name).disks[0].base), 1 * MiB)
    bad = control.task(REPLICA_MODULE, **common, verify="sample", sample_percent=100, vms=[job.name.upper()])
    assert (bad["failure"]["code"], bad["failure"]["reason"]) == ("integrity_failed", "restore_point_bad")
    assert "run the job" in bad["msg"]
    assert bad["session"]["machines"][0]["disks"][0]["bad_extents"] == [{"offset": MiB, "length": 64 * KiB}]
    assert control.task(JOB_MODULE, **job.options)["session"]["state"] == "done"
    site.prove(job.name, points=2, newest=1)


def test_verification_and_replication_of_a_job_exclude_each_other(site: ProcessSite, job: Job, tmp_path: Path) -> None:
    common = {"name": job.name, "state_dir": str(job.state_dir)}
    tasks: list[dict[str, Any]] = [
        {JOB_MODULE: {**job.options, "wait": False}},
        {REPLICA_MODULE: {**common, "verify": "full"}, "ignore_errors": True},
        {JOB_MODULE: {**common, "state": "stopped"}},
        {REPLICA_MODULE: {**common, "verify": "full"}, "ignore_errors": True},
        {REPLICA_MODULE: {**common, "verify": "full", "vms": ["another"]}, "ignore_errors": True},
        {REPLICA_MODULE: {**common, "restore_point": "newest", "pinned": True}, "ignore_errors": True},
        {REPLICA_MODULE: {**common, "name": "nobody's", "verify": "full"}, "ignore_errors": True},
    ]
    with slow_control(site, tmp_path, rate=SLOW / 16) as slow:
        _started, busy, _stopped, *refused = slow.control.run(tasks).results
    assert busy["failure"]["reason"] == "session_running"
    assert "is to replicate, not to verify" in busy["msg"]
    reasons = [result["failure"]["reason"] for result in refused]
    assert reasons == ["no_restore_point", "vms_invalid", "restore_point_invalid", "job_unknown"]
