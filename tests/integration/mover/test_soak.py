# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble at every place of a transfer, one after another: the next session always brings the replica to the truth."""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from .relay import Relay
from .sites import ENDED, Site, make_site, wait_for

pytestmark = [pytest.mark.soak, pytest.mark.needs("qemu-img"), pytest.mark.timeout(3600)]

STEP = 384 * KiB
CHANGED = (Extent(0, 2 * MiB), Extent(7 * MiB, 1 * MiB), Extent(13 * MiB + 512, 3 * MiB))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path, timing={"flush": 0.0, "reconnect_limit": 5.0})
    with made.source, made.target:
        made.create()
        made.copy(made.ticket("cycle-0"))
        yield made


def repeat(site: Site, *, epoch: int, recorded: object, cycle_id: str) -> None:
    """Do what the next session does."""
    ticket = site.ticket(cycle_id, epoch=epoch)
    site.open(ticket, data_write_guid=recorded)  # type: ignore[arg-type]
    site.send(ticket, Scope.CHANGED, CHANGED)
    assert {status.state for status in site.wait(ticket)} == {TransferState.DONE}
    site.close(ticket)
    site.assert_equal()


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_mover_killed_at_any_byte(site: Site, side: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    site.disk.reseed(seed)
    for turn, held in enumerate(range(0, 6 * MiB, STEP)):
        recorded = site.leaf_state().data_write_guid
        site.disk.write(*CHANGED)
        ticket = site.ticket(f"cycle-{turn}a", epoch=2 * turn + 2)
        with Relay(site.target.port) as relay:
            relay.hold_after(held)
            site.open(ticket, data_write_guid=recorded)
            site.send(ticket, Scope.CHANGED, CHANGED, target_address=relay.address, unit=256 * KiB)
            wait_for(relay.is_holding)
            mover = site.source if side == "source" else site.target
            mover.kill()
        mover.start()
        site.close(ticket)
        repeat(site, epoch=2 * turn + 3, recorded=recorded, cycle_id=ticket.cycle_id)


def test_a_disk_that_is_full_at_any_byte(site: Site) -> None:
    infinity = resource.RLIM_INFINITY
    room, turn, failed = 0, 0, 0
    while True:
        recorded = site.leaf_state().data_write_guid
        site.disk.write(*CHANGED)
        resource.prlimit(site.target.pid, resource.RLIMIT_FSIZE, (4 * MiB + room, infinity))
        ticket = site.ticket(f"cycle-{turn}a", epoch=2 * turn + 2)
        site.open(ticket, data_write_guid=recorded)
        site.send(ticket, Scope.CHANGED, CHANGED)
        states = [status.state for status in site.wait(ticket)]
        site.close(ticket)
        resource.prlimit(site.target.pid, resource.RLIMIT_FSIZE, (infinity, infinity))
        assert all(state in ENDED for state in states)
        repeat(site, epoch=2 * turn + 3, recorded=recorded, cycle_id=f"cycle-{turn}b")
        if states == [TransferState.DONE] * 2:
            break
        failed, turn, room = failed + 1, turn + 1, room + STEP
    assert failed > 2
