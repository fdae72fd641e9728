# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore point that a user pins stays, until it is let go of."""

from __future__ import annotations

import uuid

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Lease
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.pins import carry_out_pin, plan_pin
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.lab.site import REPLICAS, TARGET


@pytest.fixture
def site(site):
    site.run()
    return site


def pin(site, *, pinned=True, state="state", point=None):
    """Do as module hyperv_replica does, on a manager with a state folder of its own name; tell whether it changed."""
    folder = StateFolder(str(site.folder / state))
    folder.make()
    host = site.connect_host(TARGET)
    point_id = point or site.record().restore_points[0].point_id
    plan = plan_pin(host, REPLICAS, point_id=point_id, pinned=pinned)
    if plan.changed:
        carry_out_pin(host, folder, plan=plan, lease=Lease("mgr", folder.manager_id(), uuid.uuid4(), 300.0))
    return plan.changed


def test_pinned_point_stays_until_it_is_let_go_of(site):
    job, pinned = site.job(restore_points=1), site.record().restore_points[0].point_id
    assert [pin(site), pin(site)] == [True, False]
    for _session in range(2):
        site.run(job)
    assert [point.point_id == pinned for point in site.record().restore_points] == [True, False]
    assert [point.report.pinned for point in site.record().restore_points] == [True, False]
    site.prove(points=2)
    assert [pin(site, pinned=False), pin(site, pinned=False)] == [True, False]
    site.run(job)
    assert pinned not in {point.point_id for point in site.record().restore_points}
    site.prove(points=1)


def test_pin_gives_the_lease_back(site):
    before = site.record()
    pin(site)
    assert (site.record().lease, site.record().epoch) == (None, before.epoch + 1)


def test_replica_that_another_manager_works_on_is_not_pinned(site):
    with pytest.raises(Killed):
        site.run(site=Death("status").site(site.site(state="other")))
    with pytest.raises(StateError) as caught:
        pin(site)
    assert caught.value.reason == "replica_busy"


def test_replica_that_this_manager_works_on_is_not_pinned(site):
    folder = StateFolder(str(site.folder / "state"))
    with folder.hold(f"vm-{site.vm_id}"), pytest.raises(StateError) as caught:
        pin(site)
    assert (caught.value.reason, caught.value.current) == ("vm_busy", "processing")


def test_point_that_no_replica_has_is_named(site):
    with pytest.raises(RequestError, match="option restore_point") as caught:
        pin(site, point=uuid.UUID(int=9))
    assert caught.value.reason == "restore_point_unknown"
