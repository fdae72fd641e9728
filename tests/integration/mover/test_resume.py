# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transfers that are interrupted: they go on where the target is durable, and nothing durable travels twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, after, total
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, Side, Ticket, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from .relay import Relay
from .sites import Site, make_site, wait_for

pytestmark = pytest.mark.needs("qemu-img")

CHANGED = Extent(0, 16 * MiB)
UNIT = 256 * KiB
IN_FLIGHT = 12 * UNIT  # units in the pipelines of both movers, and some room for frames and TLS


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose target makes each unit durable, and whose source disk begins with 16 MiB that do not compress."""
    made = make_site(tmp_path, timing={"flush": 0.0, "silence": 3.0})
    made.disk.write(CHANGED)
    with made.source, made.target:
        made.create()
        yield made


@pytest.fixture
def relay(site: Site) -> Iterator[Relay]:
    with Relay(site.target.port) as relay:
        yield relay


def start_and_hold(site: Site, relay: Relay, ticket: Ticket, *, scope: Scope = Scope.CHANGED) -> int:
    """Start a transfer that stalls in the middle; return what is durable by then."""
    relay.hold_after(6 * MiB)
    site.open(ticket)
    site.send(
        ticket, scope, (CHANGED,) if scope is not Scope.ALLOCATED else (), target_address=relay.address, unit=UNIT
    )
    wait_for(relay.is_holding)
    wait_for(lambda: site.both(ticket)[1].durable_until >= 4 * MiB)
    return site.both(ticket)[1].durable_until


def test_a_cut_connection_goes_on_where_the_target_is_durable(site: Site, relay: Relay) -> None:
    ticket = site.ticket()
    durable = start_and_hold(site, relay, ticket)
    relay.release()
    relay.cut()
    source, target = site.wait(ticket)
    assert (source.state, target.state) == (TransferState.DONE, TransferState.DONE)
    site.close(ticket)
    site.assert_replica_has((CHANGED,))
    assert len(relay.links) == 2
    assert relay.links[1].forwarded < total(after([CHANGED], durable)) + 64 * KiB
    assert source.processed == source.total


def test_a_silent_network_is_noticed_and_the_transfer_goes_on(site: Site, relay: Relay) -> None:
    ticket = site.ticket()
    start_and_hold(site, relay, ticket)
    wait_for(lambda: site.both(ticket)[0].state is TransferState.WAITING)
    relay.release()
    source, _target = site.wait(ticket)
    assert source.state is TransferState.DONE
    assert len(relay.links) > 1
    site.close(ticket)
    site.assert_replica_has((CHANGED,))


def test_a_killed_source_mover_starts_again_with_the_same_ticket(site: Site, relay: Relay) -> None:
    ticket = site.ticket()
    durable = start_and_hold(site, relay, ticket)
    site.source.kill()
    site.source.start()
    relay.release()
    site.send(ticket, Scope.CHANGED, (CHANGED,), target_address=relay.address, unit=UNIT)
    source, _target = site.wait(ticket)
    assert source.state is TransferState.DONE
    site.close(ticket)
    site.assert_replica_has((CHANGED,))
    assert relay.links[-1].forwarded < total(after([CHANGED], durable)) + 64 * KiB


def test_a_killed_target_mover_leaves_a_leaf_that_the_next_session_resumes(site: Site, relay: Relay) -> None:
    first = site.ticket()
    recorded = site.leaf_state().data_write_guid
    durable = start_and_hold(site, relay, first)
    site.target.kill()
    relay.cut()
    site.target.start()
    relay.release()
    wait_for(lambda: site.source_state(first) is TransferState.FAILED)
    second = site.ticket(epoch=2)
    assert site.open(second, data_write_guid=recorded).durable_until >= durable
    site.send(second, Scope.CHANGED, (CHANGED,), target_address=relay.address, unit=UNIT)
    site.wait(second)
    site.close(second)
    site.assert_replica_has((CHANGED,))
    assert relay.links[-1].forwarded < total(after([CHANGED], durable)) + 64 * KiB


def test_another_cycle_does_not_resume(site: Site, relay: Relay) -> None:
    first = site.ticket("cycle-1")
    recorded = site.leaf_state().data_write_guid
    start_and_hold(site, relay, first)
    site.close(first)
    relay.release()
    changed = site.disk.write(Extent(1 * MiB, 64 * KiB))
    second = site.ticket("cycle-2", epoch=2)
    assert site.open(second, data_write_guid=recorded).durable_until == 0
    site.send(second, Scope.CHANGED, (CHANGED,))
    source, _target = site.wait(second)
    site.close(second)
    assert source.read == CHANGED.length
    site.assert_replica_has((CHANGED, *changed))


def test_another_plan_of_the_same_cycle_starts_anew(site: Site, relay: Relay) -> None:
    first = site.ticket()
    start_and_hold(site, relay, first)
    site.close(first)
    relay.release()
    source, _target = site.copy(site.ticket(epoch=2), Scope.COMPARE, (CHANGED,))
    assert source.read == CHANGED.length
    site.assert_replica_has((CHANGED,))


def test_a_first_copy_after_an_interrupted_one_leaves_nothing_of_it(site: Site, relay: Relay) -> None:
    first = site.ticket("cycle-1")
    start_and_hold(site, relay, first, scope=Scope.ALLOCATED)
    site.close(first)
    site.disk.forget()
    site.disk.write(Extent(20 * MiB, 1 * MiB))
    source, _target = site.copy(site.ticket("cycle-2", epoch=2))
    assert source.total < 3 * MiB
    site.assert_equal()


def test_an_end_that_the_source_did_not_hear_is_told_again(site: Site) -> None:
    ticket = site.ticket()
    site.open(ticket)
    site.send(ticket, Scope.CHANGED, (CHANGED,))
    first = site.wait(ticket)[1].leaf
    with site.source.client() as client:
        client.close_transfer(ticket)
    site.send(ticket, Scope.CHANGED, (CHANGED,))
    source, target = site.wait(ticket)
    assert source.state is TransferState.DONE
    assert source.read == 0
    assert target.leaf == first


def test_a_source_without_a_target_gives_up_in_time(tmp_path: Path) -> None:
    site = make_site(tmp_path, timing={"reconnect_limit": 0.5})
    with site.source:
        ticket = site.ticket()
        site.send(ticket, target_address=("127.0.0.1", 9))
        wait_for(lambda: site.source_state(ticket) is TransferState.FAILED)
        with site.source.client() as client:
            error = client.status(ticket, side=Side.SOURCE).error
    assert error is not None
    assert (error["code"], error["reason"]) == ("transport_failed", "unreachable")


def test_a_newer_epoch_ends_the_older_one_at_the_source_too(site: Site, relay: Relay) -> None:
    site.create()
    old = site.ticket(epoch=1)
    start_and_hold(site, relay, old)
    site.send(site.ticket(epoch=2))  # its target is another one, which knows nothing of it
    with site.source.client() as client:
        status = client.status(old, side=Side.SOURCE)
    assert status.state is TransferState.CANCELLED
    assert status.error is not None
    assert status.error["reason"] == "fenced"


def test_a_transfer_that_has_begun_outlives_its_ticket(site: Site, relay: Relay) -> None:
    ticket = site.ticket(lifetime_seconds=3.0)
    begun_at = time.monotonic()
    start_and_hold(site, relay, ticket)
    wait_for(lambda: time.monotonic() > begun_at + 3.1)
    relay.release()
    relay.cut()
    source, target = site.wait(ticket)
    assert (source.state, target.state) == (TransferState.DONE, TransferState.DONE)
    site.close(ticket)
    site.assert_replica_has((CHANGED,))


def test_a_source_that_does_not_come_back_releases_the_leaf(tmp_path: Path) -> None:
    site = make_site(tmp_path, timing={"reconnect_limit": 0.5})
    with site.source, site.target:
        site.create()
        ticket = site.ticket(lifetime_seconds=1.0)
        with Relay(site.target.port) as relay:
            relay.hold_after(1 * MiB)
            site.open(ticket)
            site.send(ticket, target_address=relay.address)
            wait_for(relay.is_holding)
            site.source.kill()
        wait_for(lambda: not files.is_locked(str(site.leaf)))
        error = site.target_status(ticket).error
        site.source.start()
    assert error is not None
    assert error["reason"] == "source_gone"
