# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Comparing a frozen source with a restore point: every rotten piece is found, nothing is ever written."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, total
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import (
    Sample,
    Scope,
    TargetOrder,
    Ticket,
    TransferState,
    TransferStatus,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from .relay import Relay
from .sites import SIZE, Site, content_of, make_site, reason_of, wait_for

PIECE = 64 * KiB


@pytest.fixture
def copied(site: Site) -> Site:
    """A replica that equals its source."""
    site.create()
    site.copy(site.ticket())
    return site


def open_point(site: Site, ticket: Ticket) -> None:
    with site.target.client() as client:
        client.open_target(TargetOrder(ticket, (site.leaf_path,), None, read_only=True))


def verify(site: Site, ticket: Ticket, left_out: tuple[Extent, ...] = (), **changes: object) -> TransferStatus:
    """Compare; return what the source knows afterwards."""
    open_point(site, ticket)
    site.send(ticket, Scope.VERIFY, left_out, **changes)
    source, target = site.wait(ticket)
    assert (source.state, target.state) == (TransferState.DONE, TransferState.DONE), (source.error, target.error)
    site.close(ticket)
    return source


def rot(site: Site, *places: int) -> None:
    """Flip one stored bit at each place of the virtual disk, past every program."""
    content, truth = bytearray(site.leaf.read_bytes()), site.disk.raw.read_bytes()
    for place in places:
        found = content.find(truth[place : place + 512])
        assert found > 0
        content[found + 7] ^= 1
    site.leaf.write_bytes(content)


def test_equal_disks_are_found_equal_and_are_left_as_they_are(copied: Site) -> None:
    before = {path: path.read_bytes() for path in copied.leaf.parent.iterdir()}
    status = verify(copied, copied.ticket("check", epoch=2))
    assert (status.read, status.same, status.bad_bytes, status.bad) == (SIZE, SIZE, 0, ())
    assert {path: path.read_bytes() for path in copied.leaf.parent.iterdir()} == before
    assert status.sent < 10 * KiB


def test_every_rotten_piece_is_found(copied: Site) -> None:
    rot(copied, 0, 2 * MiB + 512, 20 * MiB, 24 * MiB - 512)
    status = verify(copied, copied.ticket("check"))
    places = [0, 2 * MiB, 20 * MiB, 24 * MiB - PIECE]
    assert status.bad == tuple(Extent(place, PIECE) for place in places)
    assert (status.bad_bytes, status.same) == (4 * PIECE, SIZE - 4 * PIECE)


def test_what_is_left_out_is_not_told(copied: Site) -> None:
    changed = copied.disk.write(Extent(2 * MiB + 512, 512))
    status = verify(copied, copied.ticket("check"), changed)
    assert (status.bad, status.read) == ((), SIZE - 512)
    assert verify(copied, copied.ticket("again")).bad == (Extent(2 * MiB, PIECE),)


def test_a_sample_reads_its_units_and_finds_what_lies_in_them(copied: Site) -> None:
    rot(copied, *(place * MiB + 8 * KiB for place in (1, 2, 20, 21, 22)))
    seeds = [verify(copied, copied.ticket(f"check {seed}"), sample=Sample(30, seed)) for seed in range(6)]
    assert all(status.read < SIZE // 2 for status in seeds)
    assert len({status.bad for status in seeds}) > 1
    again = verify(copied, copied.ticket("again"), sample=Sample(30, 3))
    assert (again.bad, again.read) == (seeds[3].bad, seeds[3].read)
    assert verify(copied, copied.ticket("all"), sample=Sample(100, 0)).bad_bytes == 5 * PIECE


def test_a_restore_point_below_a_leaf_that_is_in_use_is_read(copied: Site) -> None:
    child = copied.add_leaf()
    ticket = copied.ticket("cycle-2")
    with copied.target.client() as client:
        client.open_target(TargetOrder(ticket, (copied.leaf_path.folder.join(child.name), copied.leaf_path), None))
    assert verify(copied, copied.ticket("check")).bad == ()
    copied.close(ticket)


def test_a_source_that_sends_data_to_a_restore_point_is_refused(copied: Site) -> None:
    before = copied.leaf.read_bytes()
    ticket = copied.ticket("check")
    open_point(copied, ticket)
    copied.send(ticket, Scope.ALLOCATED)
    _source, target = copied.wait(ticket)
    assert target.error is not None
    assert (target.state, target.error["reason"]) == (TransferState.FAILED, "read_only")
    copied.close(ticket)
    assert copied.leaf.read_bytes() == before


def test_a_newer_session_ends_a_verification(copied: Site) -> None:
    ticket = copied.ticket("check")
    open_point(copied, ticket)
    copied.open(copied.ticket("cycle-2", epoch=2))
    assert copied.target_status(ticket).state is TransferState.CANCELLED
    assert reason_of(lambda: open_point(copied, copied.ticket("late")), StateError) == "fenced"


@pytest.mark.parametrize("sample", [Sample(0, 1), Sample(101, 1), Sample(5, 1 << 32)])
def test_a_sample_that_cannot_be_is_refused(copied: Site, sample: Sample) -> None:
    ticket = copied.ticket("check")
    assert reason_of(lambda: copied.send(ticket, Scope.VERIFY, sample=sample), RequestError) == "sample_invalid"


def test_bad_extents_stay_a_short_list(copied: Site) -> None:
    copied.disk.write(*(Extent(place, 512) for place in range(0, SIZE, 2 * PIECE)))
    status = verify(copied, copied.ticket("check"))
    assert status.bad_bytes == SIZE // 2
    assert status.bad == tuple(Extent(place, PIECE) for place in range(0, SIZE, 2 * PIECE))


@pytest.fixture
def cut_site(tmp_path: Path) -> Iterator[Site]:
    made = make_site(tmp_path, timing={"silence": 3.0})
    with made.source, made.target:
        made.create()
        made.copy(made.ticket())
        yield made


def test_a_cut_connection_goes_on_behind_what_was_compared(cut_site: Site) -> None:
    rot(cut_site, 512, 20 * MiB)
    ticket = cut_site.ticket("check")
    with Relay(cut_site.target.port) as relay:
        relay.hold_after(1 * KiB)
        open_point(cut_site, ticket)
        cut_site.send(ticket, Scope.VERIFY, target_address=relay.address, unit=PIECE)
        wait_for(relay.is_holding)
        relay.release()
        relay.cut()
        source, _target = cut_site.wait(ticket)
    cut_site.close(ticket)
    assert (source.state, len(relay.links)) == (TransferState.DONE, 2)
    assert source.bad == (Extent(0, PIECE), Extent(20 * MiB, PIECE))
    assert source.processed == source.total == SIZE
    assert total(source.bad) == source.bad_bytes


def test_random_rot_is_found_wherever_it_is(copied: Site) -> None:
    seed = 20261125
    rng = random.Random(seed)
    stored = [*range(0, 3 * MiB, 512), *range(20 * MiB, 24 * MiB, 512)]
    places = rng.sample(stored, 20)
    rot(copied, *places)
    found = verify(copied, copied.ticket("check"))
    assert found.bad_bytes == PIECE * len({place // PIECE for place in places}), f"seed {seed}"
    assert content_of(copied.leaf) != copied.disk.raw.read_bytes()
