# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole transfers between two movers: what arrives, and how little travels."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, total
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from .sites import Site, content_of

pytestmark = pytest.mark.needs("qemu-img")


def test_a_full_copy_equals_the_source(site: Site) -> None:
    site.create()
    source, target = site.copy(site.ticket())
    site.assert_equal()
    assert source.processed == source.total == source.read
    assert target.written == source.processed - source.zero
    assert target.leaf is not None
    assert target.leaf.virtual_size == site.disk.geometry.virtual_size


def test_changed_extents_bring_the_replica_up_to_date(site: Site) -> None:
    site.create()
    site.copy(site.ticket())
    changed = site.disk.write(Extent(1 * MiB, 64 * KiB), Extent(7 * MiB, 512), Extent(23 * MiB, 1 * MiB))
    changed += site.disk.zero(Extent(9 * MiB, 256 * KiB))
    source, _target = site.copy(site.ticket("cycle-2"), Scope.CHANGED, sorted(changed))
    site.assert_equal()
    assert source.read < total(changed) + 64 * KiB
    assert source.sent < total(changed)


def test_comparing_finds_what_differs_and_sends_nothing_else(site: Site) -> None:
    site.create()
    site.copy(site.ticket())
    site.touch_leaf()
    site.disk.write(Extent(2 * MiB + 512, 512), Extent(21 * MiB, 128 * KiB))
    site.disk.zero(Extent(9 * MiB, 64 * KiB))
    whole = (Extent(0, site.disk.geometry.virtual_size),)
    source, target = site.copy(site.ticket("cycle-2"), Scope.COMPARE, whole)
    site.assert_equal()
    assert source.read == source.total == site.disk.geometry.virtual_size
    assert target.written == 4 * 64 * KiB
    assert source.sent < 5 * 64 * KiB
    assert source.same == target.same > 8 * MiB


@pytest.mark.parametrize(("unit", "compression"), [(64 * KiB, None), (4 * MiB, 3), (1 * MiB, -5)])
def test_every_unit_and_compression_gives_the_same_disk(site: Site, unit: int, compression: int | None) -> None:
    site.create()
    source, _target = site.copy(site.ticket(), unit=unit, compression=compression)
    site.assert_equal()
    assert (source.sent < source.read - source.zero) is (compression is not None)


def test_nothing_changed_is_done_at_once(site: Site) -> None:
    site.create()
    site.copy(site.ticket())
    source, target = site.copy(site.ticket("cycle-2"), Scope.CHANGED, ())
    site.assert_equal()
    assert (source.total, source.read, target.written) == (0, 0, 0)


def test_only_the_leaf_of_a_chain_is_written(site: Site) -> None:
    site.create()
    site.copy(site.ticket())
    base = site.leaf.read_bytes()
    child = site.add_leaf()
    changed = site.disk.write(Extent(3 * MiB - 512, 2 * MiB), Extent(16 * MiB, 512))
    changed += site.disk.zero(Extent(0, 256 * KiB))
    site.copy_to(child, site.ticket("cycle-2"), Scope.CHANGED, sorted(changed))
    assert site.leaf.read_bytes() == base
    assert content_of(child, site.leaf) == site.disk.raw.read_bytes()
    journals = sorted(path.name for path in site.leaf.parent.glob("*.opendr-journal"))
    assert journals == [f"{child.name}.opendr-journal"]


def test_a_source_chain_is_read_through(site: Site) -> None:
    site.create()
    site.disk.freeze()
    site.disk.write(Extent(4 * MiB, 3 * MiB), Extent(20 * MiB + 512, 1024))
    site.copy(site.ticket(), chain=site.source_chain)
    site.assert_equal()


def test_several_disks_travel_at_once(site: Site) -> None:
    others = [site.another(number) for number in range(3)]
    tickets = [other.ticket() for other in others]
    for other, ticket in zip(others, tickets, strict=True):
        other.create()
        other.open(ticket)
    for other, ticket in zip(others, tickets, strict=True):
        other.send(ticket)
    for other, ticket in zip(others, tickets, strict=True):
        assert {status.state for status in other.wait(ticket)} == {TransferState.DONE}
        other.close(ticket)
        other.assert_equal()


def test_a_stopped_mover_ends_cleanly_and_the_session_goes_on_later(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    assert site.target.stop() == 0
    site.check_image()
    site.target.start()
    site.copy(site.ticket(epoch=2))
    site.assert_equal()
