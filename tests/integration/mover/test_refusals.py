# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a mover refuses, and that it goes on serving afterwards."""

from __future__ import annotations

import secrets
import sys
import uuid
from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.connection import Connection
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.mover_client import MoverClient
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.tls import Patience, Peer, connect
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    EngineError,
    RequestError,
    StateError,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import DiskGeometry, HostPath
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, Side, Ticket, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.conversation import Ear
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import Frame, Kind
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.messages import (
    Hello,
    error_frame,
    parse_error,
    place_frame,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.unit import build_unit
from ansible_collections.opendr.hyperv.tests.lab.mover import LabMover, tls_files
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials

from .sites import SOURCE_HOST, SOURCE_PREFIX, TARGET_HOST, TARGET_PREFIX, Site, content_of, reason_of, wait_for

PATIENCE = Patience(connect=5.0, silence=5.0, heartbeat=1.0)


def client_with(site: Site, credentials: Credentials, *, name: str = "proxy-b") -> MoverClient:
    return MoverClient(name, ("127.0.0.1", site.target.port), files=tls_files(credentials), patience=PATIENCE)


def answer_to(site: Site, hello: Hello, credentials: Credentials) -> EngineError | None:
    """Say HELLO on a data connection to the target mover; return the error it answers with, None when it is READY."""
    expected = Peer("mover", site.target.name)
    channel = connect(("127.0.0.1", site.target.port), tls_files(credentials), expected=expected, patience=PATIENCE)
    connection = Connection(channel, Ear.SOURCE, patience=PATIENCE)
    try:
        connection.send(hello.frame())
        frame = connection.receive()
        return parse_error(frame) if frame.kind is Kind.ERROR else None
    finally:
        connection.close()


def hostile_source(site: Site, frame: Frame) -> EngineError:
    """Get in as the right source, send a frame that should not be, and return what the target says to it."""
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    expected, address = Peer("mover", site.target.name), ("127.0.0.1", site.target.port)
    channel = connect(address, tls_files(site.source.credentials), expected=expected, patience=PATIENCE)
    connection = Connection(channel, Ear.SOURCE, patience=PATIENCE)
    try:
        connection.send(data_hello(site, ticket).frame())
        assert connection.receive().kind is Kind.READY
        connection.send(frame)
        error = parse_error(connection.receive())
    finally:
        connection.close()
    wait_for(lambda: site.target_status(ticket).state is TransferState.FAILED)
    assert not files.is_locked(str(site.leaf))
    return error


def data_hello(site: Site, ticket: Ticket) -> Hello:
    return Hello("data", ticket.secret, b"plan", virtual_size=site.disk.geometry.virtual_size)


def create_at(mover: LabMover, path: HostPath, geometry: DiskGeometry) -> None:
    with mover.client() as client:
        client.create_disk(path, geometry, replica_id=uuid.uuid4(), epoch=1)


def assert_serves(site: Site) -> None:
    with site.target.client() as client:
        assert client.describe().name == "proxy-b"


def test_the_right_peer_with_the_right_ticket_is_let_in(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    assert answer_to(site, data_hello(site, ticket), site.source.credentials) is None


def test_wrong_tickets_and_peers_all_get_the_same_answer(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    stranger = site.authority.issue("proxy-x", role="mover")
    unknown = data_hello(site, replace(ticket, secret=secrets.token_bytes(32)))
    answers = [
        answer_to(site, unknown, site.source.credentials),
        answer_to(site, data_hello(site, ticket), stranger),
        answer_to(site, replace(unknown, secret=b""), site.source.credentials),
    ]
    assert {answer and (answer.reason, str(answer)) for answer in answers} == {
        ("ticket_refused", "no transfer is open here for this ticket and peer")
    }
    assert site.target_status(ticket).state is TransferState.WAITING


def test_an_expired_ticket_is_refused_and_its_leaf_released(site: Site) -> None:
    site.create()
    ticket = site.ticket(lifetime_seconds=0.0)
    site.open(ticket)
    answer = answer_to(site, data_hello(site, ticket), site.source.credentials)
    assert answer is not None
    assert answer.reason == "ticket_refused"
    wait_for(lambda: not files.is_locked(str(site.leaf)))
    assert site.target_status(ticket).state is TransferState.CANCELLED


def test_a_source_with_a_ticket_that_is_not_open_fails_at_once(site: Site) -> None:
    ticket = site.ticket()
    site.send(ticket)
    wait_for(lambda: site.source_state(ticket) is TransferState.FAILED)
    with site.source.client() as client:
        error = client.status(ticket, side=Side.SOURCE).error
    assert error is not None
    assert error["reason"] == "ticket_refused"


def test_a_ticket_for_another_mover_is_refused(site: Site) -> None:
    site.create()
    assert reason_of(lambda: site.open(site.ticket(target_mover="proxy-x")), RequestError) == "ticket_refused"
    assert reason_of(lambda: site.send(site.ticket(source_mover="proxy-x")), RequestError) == "ticket_refused"


def test_a_known_ticket_with_other_contents_is_refused(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    with site.target.client() as client:
        forged = replace(ticket, epoch=2)
        assert reason_of(lambda: client.status(forged, side=Side.TARGET), StateError) == "ticket_refused"


def test_a_target_with_another_name_is_not_sent_to(site: Site) -> None:
    ticket = site.ticket(target_mover="proxy-x")
    site.send(ticket)
    wait_for(lambda: site.source_state(ticket) is TransferState.FAILED)
    with site.source.client() as client:
        error = client.status(ticket, side=Side.SOURCE).error
    assert error is not None
    assert (error["code"], error["reason"]) == ("request_invalid", "peer_wrong")


def test_a_mover_cannot_give_orders_and_a_manager_cannot_send_data(site: Site) -> None:
    with client_with(site, site.source.credentials) as client, pytest.raises(StateError) as caught:
        client.describe()
    assert caught.value.reason == "role_refused"
    assert "mover proxy-b refuses a control connection to mover proxy-a" in caught.value.message
    assert "role manager (opendr_manager_certificate" in caught.value.hint
    manager = site.authority.issue("manager-2", role="manager")
    answer = answer_to(site, data_hello(site, site.ticket()), manager)
    assert answer is not None
    assert answer.reason == "role_refused"


UNIT = build_unit(Extent(0, 64 * KiB), bytearray(b"x" * 64 * KiB), compressor=None)
OUTSIDE = build_unit(Extent(1 << 40, 64 * KiB), bytearray(b"x" * 64 * KiB), compressor=None)


@pytest.mark.parametrize(
    ("frame", "code", "reason"),
    [
        (replace(UNIT, checksum=bytes(16)).frame(), "integrity_failed", ""),
        (OUTSIDE.frame(), "peer_protocol", "out_of_order"),
        (Frame(Kind.UNIT, b"junk"), "peer_protocol", "unit_invalid"),
        (Frame(Kind.HELLO), "peer_protocol", "out_of_order"),
        (Frame(Kind.REQUEST), "peer_protocol", "out_of_order"),
        (place_frame(Kind.ZERO, Extent(0, 1 << 50)), "peer_protocol", "out_of_order"),
        (place_frame(Kind.COMPARE, Extent(0, 1 << 30)), "peer_protocol", "message_invalid"),
        (error_frame(StateError("the source gives up", reason="given_up")), "state_conflict", "given_up"),
    ],
    ids=["checksum", "outside", "junk", "hello", "request", "gap", "compare", "error"],
)
def test_a_source_that_breaks_the_protocol_ends_the_transfer(site: Site, frame: Frame, code: str, reason: str) -> None:
    error = hostile_source(site, frame)
    assert (error.code, error.reason) == (code, reason)
    assert content_of(site.leaf) == bytes(site.disk.geometry.virtual_size)


def test_an_older_epoch_is_refused_also_after_a_restart(site: Site) -> None:
    site.create(epoch=5)
    assert reason_of(lambda: site.open(site.ticket(epoch=4)), StateError) == "fenced"
    assert reason_of(lambda: site.create(epoch=3), StateError) == "fenced"
    site.target.kill()
    site.target.start()
    assert reason_of(lambda: site.open(site.ticket(epoch=4)), StateError) == "fenced"


def test_a_source_refuses_an_older_epoch_also_after_a_restart(site: Site) -> None:
    site.create(epoch=5)
    site.copy(site.ticket(epoch=5))
    site.source.kill()
    site.source.start()
    assert reason_of(lambda: site.send(site.ticket(epoch=4)), StateError) == "fenced"


def test_a_newer_epoch_takes_the_leaf_over(site: Site) -> None:
    site.create()
    old, new = site.ticket(epoch=1), site.ticket(epoch=2)
    site.open(old)
    site.open(new)
    status = site.target_status(old)
    assert status.state is TransferState.CANCELLED
    assert status.error is not None
    assert status.error["reason"] == "fenced"


def test_a_leaf_in_use_is_not_opened(site: Site) -> None:
    site.create()
    with files.open_leaf(str(site.leaf)):
        assert reason_of(lambda: site.open(site.ticket()), StateError) == "leaf_locked"
        assert reason_of(site.leaf_state, StateError) == "leaf_locked"
    site.open(site.ticket())


def test_a_leaf_that_somebody_wrote_to_is_not_opened_unless_asked(site: Site) -> None:
    site.create()
    recorded = site.leaf_state().data_write_guid
    site.touch_leaf()
    assert reason_of(lambda: site.open(site.ticket(), data_write_guid=recorded), StateError) == "leaf_touched"
    assert reason_of(lambda: site.open(site.ticket(), data_write_guid=uuid.uuid4()), StateError) == "leaf_touched"
    site.open(site.ticket())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (HostPath(TARGET_HOST, r"D:\Other\disk.vhdx"), "path_not_served"),
        (HostPath("hv-c", TARGET_PREFIX + r"\disk.vhdx"), "path_not_served"),
        (HostPath(TARGET_HOST, TARGET_PREFIX + r"\..\disk.vhdx"), "path_not_served"),
        (HostPath(TARGET_HOST, TARGET_PREFIX + r"\a\..\..\disk.vhdx"), "path_not_served"),
        (HostPath(TARGET_HOST, TARGET_PREFIX + r"\disk.vhdx:stream"), "path_invalid"),
        (HostPath(TARGET_HOST, TARGET_PREFIX + r"\a/../../b.vhdx"), "path_not_served"),
        (HostPath(TARGET_HOST, TARGET_PREFIX + "\\disk.vhdx "), "path_invalid"),
        (HostPath(TARGET_HOST, TARGET_PREFIX + r"\nul.vhdx"), "path_invalid"),
    ],
)
def test_paths_outside_the_roots_are_refused(site: Site, path: HostPath, reason: str) -> None:
    assert reason_of(lambda: create_at(site.target, path, site.disk.geometry), RequestError) == reason


def test_links_out_of_the_roots_are_not_followed(site: Site) -> None:
    (site.folder / "secret").mkdir()
    (site.folder / "target" / "link").symlink_to(site.folder / "secret")
    path = HostPath(TARGET_HOST, TARGET_PREFIX + r"\link\disk.vhdx")
    assert reason_of(lambda: create_at(site.target, path, site.disk.geometry), RequestError) == "path_outside"
    assert list((site.folder / "secret").iterdir()) == []


def test_a_root_for_reading_is_never_written(site: Site) -> None:
    path = HostPath(SOURCE_HOST, SOURCE_PREFIX + r"\new.vhdx")
    assert reason_of(lambda: create_at(site.source, path, site.disk.geometry), RequestError) == "path_read_only"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"unit": 100_000}, "unit_invalid"),
        ({"unit": 8 * MiB}, "unit_invalid"),
        ({"compression": 99}, "compression_invalid"),
        ({"chain": ()}, "chain_empty"),
        ({"chain": (HostPath(SOURCE_HOST, SOURCE_PREFIX + r"\none.vhdx"),)}, "file_missing"),
    ],
)
def test_impossible_orders_are_refused(site: Site, change: dict[str, object], reason: str) -> None:
    assert reason_of(lambda: site.send(site.ticket(), Scope.ALLOCATED, (), **change), RequestError) == reason


def test_a_disk_of_another_size_is_refused(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    answer = answer_to(site, replace(data_hello(site, ticket), virtual_size=MiB), site.source.credentials)
    assert answer is not None
    assert answer.reason == "size_differs"


def test_a_closed_transfer_releases_leaf_and_source(site: Site) -> None:
    site.create()
    ticket = site.ticket()
    site.open(ticket)
    assert files.is_locked(str(site.leaf))
    site.close(ticket)
    site.close(ticket)
    assert not files.is_locked(str(site.leaf))
    with site.target.client() as client:
        assert reason_of(lambda: client.status(ticket, side=Side.TARGET), StateError) == "transfer_unknown"


if sys.platform != "win32":

    def test_a_full_volume_is_told_on_both_sides_and_leaves_a_usable_leaf(site: Site) -> None:
        import resource

        site.create()
        site.copy(site.ticket())
        recorded = site.leaf_state().data_write_guid
        changed = site.disk.write(Extent(13 * MiB, 7 * MiB))
        ticket = site.ticket("cycle-2")
        site.open(ticket)
        limit = site.leaf.stat().st_size + 2 * MiB
        resource.prlimit(site.target.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        site.send(ticket, Scope.CHANGED, changed)
        for status in site.wait(ticket):
            assert status.state is TransferState.FAILED
            assert status.error is not None
            assert (status.error["code"], status.error["reason"]) == ("state_conflict", "volume_full")
        site.close(ticket)
        resource.prlimit(site.target.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = site.ticket("cycle-3", epoch=2)
        site.open(again, data_write_guid=recorded)
        site.send(again, Scope.CHANGED, changed)
        assert {status.state for status in site.wait(again)} == {TransferState.DONE}
        site.close(again)
        site.assert_equal()
