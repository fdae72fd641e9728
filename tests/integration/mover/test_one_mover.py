# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mover that is both ends of a transfer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, Side, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from .sites import Site, make_site, reason_of

pytestmark = pytest.mark.needs("qemu-img")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path).with_one_mover()
    with made.source:
        yield made


def test_one_mover_copies_from_itself_to_itself(site: Site) -> None:
    site.create()
    source, target = site.copy(site.ticket())
    site.assert_equal()
    assert source.read == source.total > 0
    assert target.written == source.processed - source.zero
    assert target.leaf is not None


def test_one_mover_compares_and_sends_what_differs(site: Site) -> None:
    site.create()
    site.copy(site.ticket())
    site.touch_leaf()
    site.disk.write(Extent(21 * MiB, 128 * KiB))
    whole = (Extent(0, site.disk.geometry.virtual_size),)
    source, target = site.copy(site.ticket("cycle-2"), Scope.COMPARE, whole)
    site.assert_equal()
    assert source.same == target.same > 8 * MiB


def test_orders_to_both_sides_can_be_repeated(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    for _time in range(2):
        site.open(ticket)
        site.send(ticket)
    assert {status.state for status in site.wait(ticket)} == {TransferState.DONE}
    site.assert_equal()


def test_closing_ends_both_sides(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    site.send(ticket)
    with site.source.client() as client:
        client.close_transfer(ticket)
        for side in Side:
            assert reason_of(partial(client.status, ticket, side=side), StateError) == "transfer_unknown"
    assert not files.is_locked(str(site.leaf))
