# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and calls: there and back, and nothing that does not fit."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine import errors
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError, PeerError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.libraries import pack
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation, DiskGeometry, HostPath
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import (
    LeafState,
    MoverInfo,
    Sample,
    Scope,
    Side,
    SourceOrder,
    TargetOrder,
    Ticket,
    TransferState,
    TransferStatus,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire import control, messages
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.failures import (
    error_from_plain,
    error_to_plain,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import Frame, Kind
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.plain import from_plain, to_plain

PATH = HostPath("hv-b", "D:\\Replicas\\disk.vhdx")
GEOMETRY = DiskGeometry(uuid.UUID(int=7), 64 * MiB, MiB, 512, 4096, Allocation.DYNAMIC)
TICKET = Ticket(b"s" * 32, "proxy-a", "proxy-b", uuid.UUID(int=1), uuid.UUID(int=2), "cycle", 3, 1234.5)
LEAF = LeafState(uuid.UUID(int=3), uuid.UUID(int=4), 64 * MiB, True)
ORDER = SourceOrder(TICKET, (PATH, PATH), Scope.CHANGED, (Extent(0, 512), Extent(4096, 512)), MiB, None, ("b", 1))
CALLS = [
    control.Describe(),
    control.CreateDisk(PATH, GEOMETRY, uuid.UUID(int=1), 5),
    control.Inspect((PATH, PATH)),
    control.OpenTarget(TargetOrder(TICKET, (PATH,), None)),
    control.OpenTarget(TargetOrder(TICKET, (PATH,), uuid.UUID(int=9))),
    control.OpenTarget(TargetOrder(TICKET, (PATH,), None, read_only=True)),
    control.StartSource(ORDER),
    control.StartSource(replace(ORDER, scope=Scope.VERIFY, sample=Sample(5, 77))),
    control.Status(TICKET, Side.SOURCE),
    control.Status(TICKET, Side.TARGET),
    control.CloseTransfer(TICKET),
]
STATUS = TransferStatus(
    TransferState.FAILED,
    total=5,
    bad_bytes=512,
    bad=(Extent(0, 512), Extent(4096, 512)),
    busy_seconds={"read": 0.5},
    error={"code": "x"},
    leaf=LEAF,
)
RESULTS = [MoverInfo("m", "1", "Linux", ("a:b",), 1.0), LEAF, STATUS, control.Nothing()]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: type(call).__name__)
def test_a_call_arrives_as_it_was_made(call):
    extents: list[Extent] = []
    if isinstance(call, control.StartSource):
        for frame in control.extent_frames(call.order.extents):
            extents += control.parse_extents(frame, known=len(extents))
    assert control.parse_request(control.request_frame(call), extents) == call


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_arrives_as_it_was_given(result):
    call = next(call for call in CALLS if control.CALLS[control.NAMES[type(call)]][1] is type(result))
    assert control.parse_result(call, messages.parse_reply(messages.reply_frame(to_plain(result)))) == result


def test_a_result_of_another_call_is_refused():
    with pytest.raises(PeerError):
        control.parse_result(control.Describe(), to_plain(LEAF))


def test_many_extents_travel_in_several_frames():
    extents = tuple(Extent(index * 8192, 4096) for index in range(600_000))
    frames = control.extent_frames(extents)
    assert len(frames) == 3
    assert tuple(extent for frame in frames for extent in control.parse_extents(frame, known=0)) == extents


def test_too_many_extents_are_refused():
    (frame,) = control.extent_frames((Extent(0, 1),))
    with pytest.raises(PeerError):
        control.parse_extents(frame, known=control.EXTENTS_MAX)
    with pytest.raises(PeerError):
        control.parse_extents(replace(frame, payload=b"cut"), known=0)


def plain_of(value: object) -> dict[str, object]:
    """Encode a dataclass."""
    plain = to_plain(value)
    assert isinstance(plain, dict)
    return dict(plain)


MESSAGES = [
    messages.Hello("data", b"secret", b"plan", virtual_size=5, whole_disk=True),
    messages.Ready("proxy-b", 77, wants_gaps=True),
    messages.Request("status", {"a": [1, b"x", None]}),
    messages.Done(LEAF),
    messages.Digests(Extent(0, 100_000), (b"a" * 32, b"b" * 32)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_arrives_as_it_was_sent(message):
    assert type(message).parse(message.frame()) == message


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
@given(junk=st.binary(max_size=80))
def test_junk_in_a_message_is_a_peer_error(message, junk):
    try:
        type(message).parse(Frame(message.frame().kind, junk, junk))
    except PeerError:
        return


@pytest.mark.parametrize("message", MESSAGES[:4], ids=lambda message: type(message).__name__)
def test_a_message_with_a_field_more_or_less_is_refused(message):
    plain = plain_of(message)
    with pytest.raises(PeerError):
        type(message).parse(Frame(message.frame().kind, pack({**plain, "more": 1})))
    plain.pop(next(iter(plain)))
    with pytest.raises(PeerError):
        type(message).parse(Frame(message.frame().kind, pack(plain)))


def test_places_and_offsets_arrive():
    assert messages.parse_place(messages.place_frame(Kind.ZERO, Extent(3, 1 << 40))) == Extent(3, 1 << 40)
    assert messages.parse_unit_place(messages.place_frame(Kind.COMPARE, Extent(3, MiB))) == Extent(3, MiB)
    assert messages.parse_durable(messages.durable_frame(99)) == 99


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Kind.ZERO, b"short"),
        messages.place_frame(Kind.ZERO, Extent(0, 0)),
        messages.place_frame(Kind.ZERO, Extent((1 << 64) - 5, 4)),
        messages.place_frame(Kind.COMPARE, Extent(0, 8 * MiB)),
    ],
)
def test_impossible_places_are_refused(frame):
    with pytest.raises(PeerError):
        messages.parse_unit_place(frame)


@pytest.mark.parametrize(
    "error",
    [
        errors.RequestError("m", hint="h", reason="r"),
        errors.StateError("m", current="c", allowed=("a", "b"), hint="h", reason="volume_full"),
        errors.FormatError("m", reason="chain_broken"),
        errors.IntegrityError("m"),
        errors.EngineError("m", hint="h"),
        errors.TransportError("m", reason="peer_silent"),
        errors.TransportError("m", reason="certificate_untrusted", retryable=False),
        errors.LibraryMissing("m", reason="xxhash"),
        errors.Cancelled("m"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_arrives_with_its_class_and_everything_it_says(error):
    arrived = messages.parse_error(messages.error_frame(error))
    assert type(arrived) is type(error)
    assert arrived.as_dict() == error.as_dict()


def test_an_error_of_an_unknown_code_is_a_peer_error_that_tells_it():
    assert "novel: text" in str(error_from_plain({"code": "novel", "message": "text"}))
    assert isinstance(error_from_plain(["junk"]), PeerError)


def test_a_long_error_is_cut():
    assert len(str(error_to_plain(EngineError("x" * 100_000))["message"])) == 4096


def test_a_state_error_with_junk_for_its_moves_is_still_one():
    assert isinstance(error_from_plain({"code": "state_conflict", "allowed": 5}), StateError)


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        ({"code": 1}, "lacks"),
        ([], "want dict"),
        ({**plain_of(TICKET), "epoch": True}, "epoch is bool"),
        ({**plain_of(TICKET), "replica_id": b"short"}, "replica_id"),
        ({**plain_of(TICKET), "secret": "text"}, "secret is str"),
    ],
)
def test_plain_values_must_have_the_type_of_their_field(plain, named):
    with pytest.raises(ValueError, match=named):
        from_plain(Ticket, plain)
