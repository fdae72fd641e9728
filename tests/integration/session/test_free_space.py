# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Free space: limits of the hosts, and forecasts that refuse a session before it can hurt anybody."""

from __future__ import annotations

from collections import Counter

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.free_space import parse_limits
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, disks, only_error

LIMITS = {name: parse_limits([{"size": "10 MiB"}], host=name) for name in ("hv-a", "hv-b")}
PLENTY = 1 << 40


def refused(site, job=None, *, calls=None):
    """Run a session that must fail for lack of space; return its error after making sure that nothing is left."""
    report = site.run(job, site=(calls or Death()).site(site.site(free_space=LIMITS)))
    error = only_error(report)
    assert site.source_leftovers() == []
    assert [record.lease for record in site.records() if record.lease] == []
    assert "10.0 MiB must stay free (opendr_free_space: 10.0 MiB)" in error["message"]
    return error["reason"], error["message"]


def converges(site, job=None):
    for control, letter in ((site.source, "C"), (site.target, "D")):
        control.call("lab.fill_volume", letter=letter, free=PLENTY)
    assert site.run(job, site=site.site(free_space=LIMITS)).outcome is Outcome.DONE, site.journal.texts
    site.prove(points=len(site.record().restore_points))


@pytest.mark.parametrize(
    ("side", "host", "letter", "reason"),
    [("source", "hv-a", "C", "source_volume_full"), ("target", "hv-b", "D", "volume_full")],
)
def test_limit_of_a_host_is_kept_before_a_session(site, side, host, letter, reason):
    getattr(site, side).call("lab.fill_volume", letter=letter, free=10 * MiB - 4 * KiB)
    found, message = refused(site)
    assert found == reason
    assert f"volume {letter}:\\ of {host} has" in message
    converges(site)


def test_room_for_what_the_guest_will_write_is_asked_for(site):
    for step in range(2):
        site.run()
        site.guest_writes(step + 3, 0, 8 * MiB, 2 * MiB)
    site.run()
    record = site.record()
    assert record.cycles[-1].changed == {
        disk.disk_id: 2 * MiB if not disk.slot.location else 0 for disk in record.disks
    }
    assert record.cycles[-1].seconds > 0
    site.guest_writes(9, 0, 8 * MiB, 2 * MiB)
    site.source.settle()
    site.source.call("lab.fill_volume", letter="C", free=10 * MiB + 4 * KiB)
    calls = Death()
    reason, message = refused(site, calls=calls)
    assert reason == "source_volume_full"
    assert "the checkpoint of web needs" in message
    assert "create_checkpoint" not in calls.trace
    converges(site)


def test_what_changed_is_known_before_it_is_sent(site):
    site.run()
    site.guest_writes(3, 0, 8 * MiB, 6 * MiB)
    site.target.call("lab.fill_volume", letter="D", free=14 * MiB)
    reason, message = refused(site)
    assert reason == "volume_full"
    assert "the replica of web needs 6.0 MiB" in message
    converges(site)


def test_write_takes_a_whole_block_of_the_replica(site):
    site.run()
    for block in range(5):
        site.guest_writes(3, 0, block * 2 * MiB, 4 * KiB)
    site.target.call("lab.fill_volume", letter="D", free=14 * MiB)
    assert "the replica of web needs 10.0 MiB" in refused(site)[1]
    converges(site)


def test_first_copy_needs_what_the_source_stores_and_a_fixed_disk_its_whole_size(site):
    small = {"size": 64 * MiB, "location": 0}
    for name, fixed in (("dynamic", False), ("fixed", True)):
        site.source.create_machine(name, folder=f"{FOLDER}\\{name}", disks=[{**small, "fixed": fixed}])
    site.target.call("lab.fill_volume", letter="D", free=40 * MiB)
    reason, message = refused(site, site.job(vms=["fixed"]))
    assert (reason, "the replica of fixed needs 64.0 MiB" in message) == ("volume_full", True)
    assert site.run(site.job(vms=["dynamic"]), site=site.site(free_space=LIMITS)).outcome is Outcome.DONE
    site.target.call("lab.fill_volume", letter="D", free=PLENTY)
    assert site.run(site.job(vms=["fixed"])).outcome is Outcome.DONE
    site.prove("fixed", points=1)


def test_machines_of_a_session_share_the_room_that_there_is(site):
    site.source.create_machine("db", folder=f"{FOLDER}\\db", disks=disks(24 * MiB))
    vm_id = site.machine("db")["vm_id"]
    site.source.call("Start-VM", vm_id=vm_id)
    both = site.job(vms=["web", "db"])
    assert site.run(both).outcome is Outcome.DONE
    site.guest_writes(3, 0, 0, 20 * MiB)
    site.source.write(vm_id, "SCSI 0:0", offset=0, data=b"d" * 20 * MiB)
    site.target.call("lab.fill_volume", letter="D", free=36 * MiB)

    class Waiting:
        """A mover that takes nothing before the other machine was refused."""

        def __init__(self, mover):
            self._mover = mover

        def __getattr__(self, name):
            return getattr(self._mover, name)

        def open_target(self, order):
            site.target.wait_until(lambda: any(event.error for event in site.journal.events), "a refusal")
            return self._mover.open_target(order)

    ports = site.site(free_space=LIMITS, connect_mover=lambda name: Waiting(site.connect_mover(name)))
    report = site.run(both, site=ports)
    assert sorted(machine.outcome.value for machine in report.machines) == ["done", "failed"]
    error = only_error(report)
    assert error["reason"] == "volume_full"
    assert "needs 20.0 MiB, other machines of this session need 20.0 MiB" in error["message"]
    converges(site, both)
    site.prove("db", points=len(site.record("db").restore_points))


def test_each_volume_is_asked_for_once(site):
    traced = Death()
    assert site.run(site=traced.site(site.site())).outcome is Outcome.DONE
    assert Counter(traced.trace)["volume"] == 4  # two volumes, before the checkpoint and when the changes are known


def test_forecast_is_part_of_the_result(site):
    first = site.run().machines[0].as_dict()["forecast"]
    assert first["changed_bytes"] > 3 * MiB
    assert (first["growth_bytes"], first["seconds"]) == (None, None)
    site.guest_writes(3, 0, 8 * MiB, 2 * MiB)
    assert site.run().outcome is Outcome.DONE
    third = site.run().machines[0].as_dict()["forecast"]
    assert third["changed_bytes"] == 0
    assert third["seconds"] == 0.0
    assert third["growth_bytes"] == 0
