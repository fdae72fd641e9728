# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot work, from the middle of a session on: a clear error or a right result, nothing lost, the next converges.

A disk that is resized in the middle is missing: the laboratory's host cannot resize.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, REPLICAS, SOURCE, TARGET, only_error

DONE = ("", "")


class Doors:
    """The ways to the hosts; one that is shut refuses the password, as ``adapters/psrp_errors.py`` tells it."""

    def __init__(self, site):
        self._site = site
        self.shut = set()

    def connect(self, name):
        return Door(self._site.connect_host(name), self)


class Door:
    def __init__(self, host, doors):
        self._host, self._doors = host, doors

    def __getattr__(self, name):
        if self._host.name in self._doors.shut and name not in ("name", "close"):
            raise TransportError(
                f"host {self._host.name} refuses user or password",
                hint="correct ansible_user and ansible_password",
                reason="access_denied",
                retryable=False,
            )
        return getattr(self._host, name)


def nothing(_site):
    """There is nothing to put right again."""


@dataclass(frozen=True)
class Case:
    """What happens in the middle, how the session ends then (code and reason), and how it is put right again."""

    name: str
    happens: Callable[[WebSite], object]
    ends: tuple[str, str]
    put_right: Callable[[WebSite], object] = nothing


def shut(name):
    return lambda site: site.doors.shut.add(name)


def open_again(site):
    site.doors.shut.clear()


def stop_mover(name):
    return lambda site: site.stop_mover(name)


def start_mover(name):
    return lambda site: site.start_mover(name, serves=[name])


def restart(name, *, authority=None, serves=None):
    """Restart a mover: with the certificate of another authority, or without the files of its host."""

    def restarted(site):
        own = site.authority
        site.stop_mover(name)
        site.authority = own if authority is None else LabAuthority(site.folder / authority)
        site.start_mover(name, serves=[name] if serves is None else serves)
        site.authority = own

    return restarted


def move_away(side, path):
    """Let a folder be gone, as when its volume is not there any more or somebody renamed it."""

    def moved(site):
        local = getattr(site, side).local_path(path)
        local.rename(local.with_name(f"{local.name}.away"))

    return moved


def bring_back(side, path):
    def back(site):
        local = getattr(site, side).local_path(path)
        local.with_name(f"{local.name}.away").rename(local)

    return back


def on_source(call, **given):
    return lambda site: site.source.call(call, vm_id=site.vm_id, **given)


def remove_checkpoint(site):
    """After the conversion there is none any more."""
    for checkpoint in site.machine("web")["checkpoints"]:
        if checkpoint["kind"] == "Recovery":
            site.source.call("DestroySnapshot", vm_id=site.vm_id, checkpoint_id=checkpoint["checkpoint_id"])


def roots(*folders):
    return lambda site: site.target.call("lab.set_replica_roots", roots=list(folders))


SECOND = {"controller": "SCSI", "number": 0, "location": 1}
REPLICA, VOLUME = f"{REPLICAS}\\web_replica", REPLICAS
UNTRUSTED = ("request_invalid", "certificate_untrusted")
NOT_SERVED = ("request_invalid", "path_not_served")
GONE = ("state_conflict", "record_missing")
DISABLED, PRODUCTION = (
    on_source("Set-VM -CheckpointType", checkpoint_type=word) for word in ("Disabled", "Production")
)
CASES = [
    Case("password of the source", shut(SOURCE), ("transport_failed", "access_denied"), open_again),
    Case("password of the target", shut(TARGET), ("transport_failed", "access_denied"), open_again),
    Case("source mover stopped", stop_mover(SOURCE), ("transport_failed", "unreachable"), start_mover(SOURCE)),
    Case("target mover stopped", stop_mover(TARGET), ("transport_failed", "unreachable"), start_mover(TARGET)),
    Case("source mover restarted", restart(SOURCE), DONE),
    Case("target mover restarted", restart(TARGET), DONE),
    Case("certificate of the source mover", restart(SOURCE, authority="other"), UNTRUSTED, restart(SOURCE)),
    Case("certificate of the target mover", restart(TARGET, authority="other"), UNTRUSTED, restart(TARGET)),
    Case("roots of the source mover", restart(SOURCE, serves=[]), NOT_SERVED, restart(SOURCE)),
    Case("roots of the target mover", restart(TARGET, serves=[]), NOT_SERVED, restart(TARGET)),
    Case("folders allowed", roots("D:\\Elsewhere"), ("request_invalid", "path_not_allowed"), roots("D:\\")),
    Case("folder of the replica gone", move_away("target", REPLICA), GONE, bring_back("target", REPLICA)),
    Case("volume of the replica gone", move_away("target", VOLUME), GONE, bring_back("target", VOLUME)),
    Case(
        "volume of the source gone",
        move_away("source", FOLDER),
        ("request_invalid", "file_missing"),
        bring_back("source", FOLDER),
    ),
    Case("machine renamed", on_source("Rename-VM", new_name="web-new"), DONE),
    Case("machine turned off", on_source("Stop-VM"), DONE),
    Case("disk added", on_source("lab.add_disk", disk={"size": 8 * MiB, "location": 2}), DONE),
    Case("disk removed", on_source("Remove-VMHardDiskDrive", **SECOND), DONE),
    Case("checkpoints disabled", DISABLED, DONE, PRODUCTION),
    Case("checkpoint removed", remove_checkpoint, ("state_conflict", "checkpoint_lost")),
]


def ports(site):
    site.doors = Doors(site)
    limits = replace(site.site().limits, busy_seconds=2.0, reconnect_limit_seconds=2.0, settle_seconds=5.0)
    return site.site(connect_host=site.doors.connect, limits=limits)


def in_the_middle(site, happens, *, function, after):
    """Run a session of some changes, during which something happens; return its error."""
    assert site.run(site=ports(site)).outcome is Outcome.DONE
    site.guest_writes(3, 0, 6 * MiB, 4 * MiB)
    site.guest_writes(4, 1, 6 * MiB, 2 * MiB)
    points = site.record().restore_points
    middle = Death(function, after=after, instead=lambda: happens(site))
    report = site.run(site=middle.site(ports(site)))
    assert middle.struck
    error = report.machines[0].error or {"code": "", "reason": "", "hint": "-", "message": ""}
    assert error["hint"], error
    assert error["reason"] not in ("bug", "fenced"), error
    return error, points


def require_converges(site, points):
    """The next session succeeds; no restore point was lost, nothing is left, each point equals its source."""
    report = site.run(site=ports(site))
    assert report.outcome is Outcome.DONE, report.as_dict()
    record = site.record()
    assert record.restore_points[: len(points)] == points
    assert (record.pending, record.lease) == (None, None)
    assert site.source_leftovers(record.source.name) == []
    assert len(site.machine(record.source.name)["reference_points"]) == 1
    site.prove(points=len(record.restore_points))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_transfer_under_way(site, case):
    error, points = in_the_middle(site, case.happens, function="start_source", after=True)
    assert (error["code"], error["reason"]) == case.ends, error
    case.put_right(site)
    require_converges(site, points)


MOMENTS = [
    ("create_checkpoint", True),
    ("open_target", False),
    ("convert_checkpoint", False),
    ("create_restore_point", False),
]


@pytest.mark.soak
@pytest.mark.parametrize("function", [function for function, _after in MOMENTS])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_other_steps_under_way(site, case, function):
    _error, points = in_the_middle(site, case.happens, function=function, after=dict(MOMENTS)[function])
    case.put_right(site)
    require_converges(site, points)


def test_machine_that_was_removed_keeps_its_restore_points(site):
    def remove(_site):
        remove_checkpoint(site)
        site.source.call("Stop-VM", vm_id=site.vm_id)
        site.source.settle()
        site.source.call("Remove-VM", vm_id=site.vm_id)

    error, points = in_the_middle(site, remove, function="convert_checkpoint", after=False)
    assert error["reason"] == "vm_not_found"
    assert only_error(site.run(site=ports(site)))["reason"] == "vm_not_found"
    assert site.record().restore_points == points
    site.prove(points=len(points))
