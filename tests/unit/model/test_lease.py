# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may work on a replica."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.lease import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    new_lease,
    renew_lease,
    take_lease,
)
from ansible_collections.opendr.hyperv.tests.unit.model.samples import MANAGER, record

OTHER, NEXT = UUID(int=0xF0), UUID(int=0xF1)
HELD_UNTIL = 1000.5


def lease(manager_id=OTHER, now=900.0):
    return new_lease(manager="other", manager_id=manager_id, session_id=NEXT, now=now)


def test_free_or_ended_lease_is_taken_with_the_next_epoch():
    for found, now in ((replace(record(), lease=None), 900.0), (record(), HELD_UNTIL)):
        taken = take_lease(found, lease(), now=now)
        assert taken.epoch == found.epoch + 1
        assert taken.lease == lease()


def test_lease_of_another_manager_is_respected_and_named():
    with pytest.raises(StateError) as caught:
        take_lease(record(), lease(), now=900.0)
    assert caught.value.reason == "replica_busy"
    assert "manager mgr" in caught.value.message
    assert "web_replica" in caught.value.message


def test_own_dead_session_gives_its_lease_up():
    assert take_lease(record(), lease(MANAGER), now=900.0).epoch == 6


def test_renewal_moves_the_end_only():
    renewed = renew_lease(record(), now=950.0)
    assert renewed.lease is not None
    assert renewed.lease.until == 950.0 + LEASE_SECONDS
    assert replace(renewed, lease=record().lease) == record()
    assert renew_lease(replace(record(), lease=None), now=950.0).lease is None


def test_lease_outlives_several_renewals():
    assert LEASE_SECONDS >= 3 * RENEW_SECONDS
