# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk full and EIO at every file operation of a session, at both ends and on the manager, until none fails."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.session_files import SessionFiles
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.session import run_session
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.integration.session.walk.scenes import require_converged
from ansible_collections.opendr.hyperv.tests.lab.storage_faults import (
    BROKEN,
    CHANGES,
    FULL,
    PARTS,
    READS,
    Plan,
    StorageFaults,
)

POINTS_MAX = 400  # a walk that gets there does not end
LEAST = {"target mover": 30, "source mover": 15, "target host": 60, "source host": 25, "manager": 25}  # operations


class OneDisk(WebSite):
    """A machine of one small disk: as few file operations as a session can have."""

    sizes = (8 * MiB,)

    def fill(self):
        self.guest_writes(1, 0, 1 * MiB, 300 * KiB)


def as_a_worker(site):
    """Run a session as its worker does: with a lock on the job, and status and events in the state folder."""
    job = site.job(restore_points=2)
    session_id, folder = uuid.uuid4(), StateFolder(str(site.state_dir))
    folder.make()
    folder.make_session(session_id)
    with folder.hold(f"job-{job.name}"), ExitStack() as stack:
        folder.note_session(job.name, session_id)
        journal = SessionFiles(
            folder, session_id=session_id, job=job.name, manager="mgr", machines=job.vms, clock=site.clock
        )
        stack.callback(journal.close)
        limits = replace(site.site().limits, busy_seconds=5.0, settle_seconds=5.0, reconnect_limit_seconds=5.0)
        report = run_session(site.site(journal=journal, limits=limits), job, session_id=session_id)
        journal.finish(report.outcome, report=report)
        return report


def errors_of(site):
    """Run a session; return its errors, also of one that could not begin."""
    try:
        report = as_a_worker(site)
    except EngineError as error:
        return [error.as_dict()]
    return [machine.error for machine in report.machines if machine.error]


def require_told(errors, site, where):
    """Assert that each error says what happened, in words of the product, and what to do."""
    for error in errors:
        assert error["code"], (where, error)
        assert error["reason"] not in ("", "bug"), (where, error)
        assert error["hint"], (where, error)
        if "host" in where:  # it names no files of this machine; movers and the manager speak of their own
            assert str(site.folder) not in error["message"], (where, error)


def points_of(site):
    return {record.replica_id: [point.point_id for point in record.restore_points] for record in site.records()}


def require_points_kept(before, after, where):
    """Assert that no restore point was lost but those that were to go, and that there is at most one more."""
    for replica, points in before.items():
        kept = [point for point in after[replica] if point in points]
        assert kept[-1:] == points[-1:], where
        assert len(after[replica]) - len(kept) <= 1, where


@dataclass
class Walk:
    """Lets each file operation of a part fail, one a session."""

    part: str
    faults: StorageFaults
    struck: list[str] = field(default_factory=list)
    told: int = 0

    @property
    def figures(self):
        return f"{len(self.struck)} operations failed, {self.told} sessions with them: {dict(Counter(self.struck))}"

    def meets(self, site, error):
        """Run a session whose next operation fails, and one that makes it good; False when none is left to fail."""
        operations = CHANGES | READS if self.part == "source mover" else CHANGES
        plan, before = Plan(self.part, len(self.struck) + 1, error, operations), points_of(site)
        with self.faults.during(site, plan):
            errors = errors_of(site)
        if not plan.struck:
            assert errors == []
            return False
        where = f"{self.part}: {errno.errorcode[plan.error]} at operation {plan.nth}, {plan.struck}"
        require_told(errors, site, where)
        require_points_kept(before, points_of(site), where)
        try:
            require_converged(site, as_a_worker(site))
        except (AssertionError, EngineError) as problem:
            raise AssertionError(f"{where}: {errors}") from problem
        self.struck.append(plan.struck.partition(" ")[0])
        self.told += bool(errors)
        assert len(self.struck) < POINTS_MAX, "something fails for ever"
        return True


ERRORS = [
    pytest.param(lambda nth: (BROKEN, FULL)[nth % 2], id="alternating"),
    pytest.param(lambda _nth: FULL, id="full", marks=pytest.mark.soak),
    pytest.param(lambda _nth: BROKEN, id="broken", marks=pytest.mark.soak),
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("error_of", ERRORS)
def test_storage_fails_anywhere_in_a_later_session(part, error_of, tmp_path, monkeypatch, figures):
    walk = Walk(part, StorageFaults(monkeypatch))
    with OneDisk(tmp_path) as site:
        for number in range(2):
            as_a_worker(site)
            site.guest_writes(number + 2, 0, 2 * MiB)
        while walk.meets(site, error_of(len(walk.struck) + 1)):
            number = len(walk.struck)
            site.guest_writes(number % 250 + 1, 0, number % 100 * 64 * KiB)
    figures(walk.figures)
    assert len(walk.struck) >= LEAST[part]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", ["target mover", pytest.param("target host", marks=pytest.mark.soak)])
@pytest.mark.parametrize("error_of", ERRORS)
def test_storage_fails_anywhere_in_a_first_session(part, error_of, tmp_path, monkeypatch, figures):
    walk, goes_on = Walk(part, StorageFaults(monkeypatch)), True
    while goes_on:
        number = len(walk.struck) + 1
        with OneDisk(tmp_path / str(number)) as site:
            goes_on = walk.meets(site, error_of(number))
        shutil.rmtree(tmp_path / str(number))
    figures(walk.figures)
    assert len(walk.struck) >= LEAST[part]
