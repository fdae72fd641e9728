# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may work on a replica."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.lease import renewal_seconds, take_lease
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Lease
from ansible_collections.opendr.hyperv.tests.unit.model.samples import MANAGER, record

OTHER, NEXT = UUID(int=0xF0), UUID(int=0xF1)
HELD_SECONDS = 300.0


def lease(manager_id=OTHER):
    return Lease("other", manager_id, NEXT, 60.0)


def test_free_or_ended_lease_is_taken_with_the_next_epoch():
    for found, age in ((replace(record(), lease=None), 0), (record(), HELD_SECONDS)):
        taken = take_lease(found, lease(), age_seconds=age)
        assert taken.epoch == found.epoch + 1
        assert taken.lease == lease()


def test_lease_of_another_manager_is_respected_and_named():
    with pytest.raises(StateError) as caught:
        take_lease(record(), lease(), age_seconds=HELD_SECONDS - 17)
    assert caught.value.reason == "replica_busy"
    for said in ("manager mgr", "web_replica", "17 seconds"):
        assert said in caught.value.message


def test_own_dead_session_gives_its_lease_up():
    assert take_lease(record(), lease(MANAGER), age_seconds=0).epoch == 6


@pytest.mark.parametrize(("lasts", "every"), [(300.0, 60.0), (14400.0, 60.0), (2.0, 0.4)])
def test_lease_outlives_several_renewals(lasts, every):
    assert renewal_seconds(lasts) == every
