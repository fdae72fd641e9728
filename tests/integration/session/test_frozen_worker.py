# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker that is frozen (SIGSTOP) wakes up after its successor has finished: it is refused everywhere.

Where it is frozen: a host hangs in the function that the worker has called. ``late``: what the worker had asked for
runs only after the successor has finished, as a request does that was stuck in a network.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.manager import Manager, Status, in_phase, is_over
from ansible_collections.opendr.hyperv.tests.lab.hyperv.client import LabControl
from ansible_collections.opendr.hyperv.tests.lab.relay import SlowRelay
from ansible_collections.opendr.hyperv.tests.lab.site import (
    FOLDER,
    QUICK_LIMITS,
    REPLICAS,
    SOURCE,
    TARGET,
    ProcessSite,
    disks,
)

LEASE_SECONDS = 2


class Scene:
    """Two managers with state folders and catalogs of their own, and the machine that both replicate."""

    def __init__(self, site: ProcessSite) -> None:
        self.site = site
        limits = {**QUICK_LIMITS, "lease_seconds": LEASE_SECONDS}
        job = site.job(restore_points=2).as_dict()
        self.first, self.second = (Manager(site, state=name, limits=limits, job=job) for name in ("first", "second"))
        self.vm_id = site.source.create_machine("web", folder=f"{FOLDER}\\web", disks=disks(24 * MiB, 8 * MiB))
        site.source.call("Start-VM", vm_id=self.vm_id)

    def write(self, length: int = 64 * 1024) -> None:
        """Let the guest write what cannot be compressed."""
        self.site.source.write(self.vm_id, "SCSI 0:0", offset=3 * MiB, data=os.urandom(length))

    def freeze(self, control: LabControl, function: str, *, phase: str, late: bool) -> str:
        """Start a session, freeze it in a call of a host; return its id."""
        control.fault(function, "hang")
        session_id = str(self.first.start()["session_id"])
        self.first.wait(session_id, in_phase(phase))
        control.wait_until(lambda: control.call("faults.planned") == 0, f"a call of {function}")
        self._stop(session_id)
        if not late:
            control.call("faults.clear")
        return session_id

    def freeze_in_transfer(self, relay: SlowRelay) -> str:
        """Start a session whose data come slowly, freeze it when some have come; return its id."""
        movers = self.site.topology(self.site.job())["movers"]
        movers[TARGET] = {**movers[TARGET], "port": relay.port}
        session_id = str(self.first.start(movers=movers)["session_id"])
        self.first.wait(session_id, lambda status: status["bytes_processed"] > 0)
        self._stop(session_id)
        return session_id

    def _stop(self, session_id: str) -> None:
        os.kill(self.first.status(session_id)["pid"], signal.SIGSTOP)

    def take_over(self) -> Status:
        """Let the other manager replicate as soon as the lease has ended."""
        target = self.site.target

        def has_ended() -> bool:
            [found] = target.dispatch("Find-HvrReplicaRecord", Folder=REPLICAS)
            return bool(found["AgeSeconds"] >= LEASE_SECONDS)

        target.wait_until(has_ended, "the lease to end")
        return self.second.run()

    def wake(self, session_id: str) -> Status:
        """Let the frozen worker and what it had asked for go on; return how it ends."""
        for control in (self.site.source, self.site.target):
            control.call("faults.clear")
        os.kill(self.first.status(session_id)["pid"], signal.SIGCONT)
        return self.first.wait(session_id, is_over)

    def picture(self) -> dict[str, Any]:
        """Return everything that a session could change, once both hosts have come to rest."""
        for control in (self.site.source, self.site.target):
            control.settle()
        machine, replica = self.site.machine("web"), self.site.machine("web_replica", host=self.site.target)
        folder = self.site.target.local_path(REPLICAS)
        return {
            "checkpoints": machine["checkpoints"],
            "reference points": machine["reference_points"],
            "source files": machine["files"],
            "replica": replica,
            "files": {str(path): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()},
        }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ProcessSite(tmp_path_factory.mktemp("frozen")) as site:
        made = Scene(site)
        assert made.first.run()["state"] == "done"
        yield made


def prove_refused(scene: Scene, freeze: Callable[[], str]) -> None:
    """Freeze a session, let another manager finish, wake the first: it says ``fenced`` and nothing has changed."""
    scene.write(1 * MiB)
    session_id = freeze()
    successor = scene.take_over()
    assert successor["state"] == "done", successor["result"]
    before = scene.picture()
    ended = scene.wake(session_id)
    assert ended["state"] == "failed"
    assert ended["result"]["machines"][0]["error"]["reason"] == "fenced", ended["result"]
    assert scene.picture() == before
    record = scene.site.record()
    assert str(record.restore_points[-1].point_id) == successor["result"]["machines"][0]["restore_point"]
    scene.site.prove(points=len(record.restore_points))


MOMENTS = [
    (SOURCE, "New-HvrCheckpoint", "checkpoint", True),
    pytest.param(SOURCE, "New-HvrCheckpoint", "checkpoint", False, marks=pytest.mark.soak),
    (SOURCE, "Convert-HvrCheckpoint", "convert", True),
    (TARGET, "New-HvrRestorePoint", "restore_point", True),
    pytest.param(TARGET, "New-HvrRestorePoint", "restore_point", False, marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("host", "function", "phase", "late"), MOMENTS)
def test_frozen_worker_is_refused(scene, host, function, phase, late):
    control = scene.site.source if host == SOURCE else scene.site.target
    prove_refused(scene, lambda: scene.freeze(control, function, phase=phase, late=late))


def test_worker_that_is_frozen_in_its_transfer_is_refused(scene):
    with SlowRelay(scene.site.movers[TARGET].port, rate=128 * 1024) as relay:
        prove_refused(scene, lambda: scene.freeze_in_transfer(relay))


def test_worker_that_is_frozen_before_the_commit_is_refused(scene):
    def freeze() -> str:
        target = scene.site.target
        target.fault("New-HvrRestorePoint", "hang")
        session_id = str(scene.first.start()["session_id"])
        target.wait_until(lambda: target.call("faults.planned") == 0, "a restore point")
        target.call("faults.clear")
        target.fault("Set-HvrReplicaRecord", "hang")  # the next one is the commit: renewals come each 0.4 s at most
        scene.first.wait(session_id, in_phase("commit"))
        target.wait_until(lambda: target.call("faults.planned") == 0, "a write of the record")
        scene._stop(session_id)
        return session_id

    prove_refused(scene, freeze)
