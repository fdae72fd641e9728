# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input that only a session can find: a stable code, nothing left behind, and the next good run works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.tests.integration.ansible.control import JOB_MODULE, Control
from ansible_collections.opendr.hyperv.tests.integration.ansible.jobs import Job, make_job
from ansible_collections.opendr.hyperv.tests.lab.inventory import write_inventory
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority
from ansible_collections.opendr.hyperv.tests.lab.site import MANAGER, SOURCE, TARGET, ProcessSite

pytestmark = [pytest.mark.timeout(300), pytest.mark.needs("qemu-img")]


def spares(folder: Path) -> dict[str, dict[str, Any]]:
    """Hosts and a manager that each have one thing wrong."""
    strange = LabAuthority(folder / "strange", "another CA")
    files = strange.issue(MANAGER, role="manager")
    return {
        f"{SOURCE}/password": {"ansible_password": "wrong"},
        f"{SOURCE}/ca": {"ansible_psrp_ca_cert": str(strange.ca_file)},
        f"{TARGET}/gone": {"ansible_port": 1},
        f"{MANAGER}/strange": {
            "opendr_manager_certificate": str(files.certificate),
            "opendr_manager_key": str(files.key),
        },
    }


# What is wrong in the task; code and reason of the failure; what its message names.
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"source_host": f"{SOURCE}-password"}, "transport_failed", f"{SOURCE}-password"),
    ({"source_host": f"{SOURCE}-ca"}, "transport_failed", f"{SOURCE}-ca"),
    ({"target_host": f"{TARGET}-gone"}, "transport_failed", f"{TARGET}-gone"),
    ({"delegate_to": f"{MANAGER}-strange"}, "request_invalid", "certificate"),
    ({"vms": ["nobody"]}, "request_invalid", "nobody"),
    ({"target_path": "Z:\\Replicas"}, "request_invalid", "option target_path: 'Z:\\\\Replicas'"),
]


def test_bad_sessions_fail_with_stable_codes_leave_nothing_and_the_next_one_works(
    site: ProcessSite, tmp_path: Path
) -> None:
    job = make_job(site, tmp_path / "state")
    control = Control(tmp_path, write_inventory(site, tmp_path / "inventory.yml", changes=spares(tmp_path)))
    tasks = [bad_task(job, dict(changes)) for changes, _code, _named in BAD]
    *refused, done = control.run([*tasks, {JOB_MODULE: job.options}]).results
    assert [result["failure"]["code"] for result in refused] == [code for _changes, code, _named in BAD]
    for result, (_changes, _code, named) in zip(refused, BAD, strict=True):
        assert named in result["msg"]
        assert result["failure"]["hint"]
    assert done["session"]["state"] == "done"
    assert site.source_leftovers(job.name) == []
    site.prove(job.name, points=1)


def bad_task(job: Job, changes: dict[str, Any]) -> dict[str, Any]:
    manager = changes.pop("delegate_to", MANAGER)
    return {JOB_MODULE: {**job.options, **changes}, "delegate_to": manager, "ignore_errors": True}
