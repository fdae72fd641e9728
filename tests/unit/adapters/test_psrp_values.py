# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pypsrp.complex_objects import GenericComplexObject
from pypsrp.serializer import Serializer

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp_values import (
    accept_empty_bytes,
    decode,
    encode,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import PeerError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import FUNCTIONS

RESTORE_POINT = FUNCTIONS["Get-HvrRestorePoint"]
GUID = UUID("2f3a5c7e-0000-4000-8000-123456789abc")
GOOD: dict[str, object] = {
    "Kind": "restorePoint",
    "SchemaVersion": 1,
    "RestorePointId": GUID,
    "ParentId": "",
    "Name": "n",
    "CreatedAt": "2026-11-25T12:00:00Z",
}


def received(properties: dict[str, object]) -> Any:
    item = GenericComplexObject()
    item.extended_properties = dict(properties)
    return item


def test_members_are_found_in_both_dictionaries() -> None:
    item = received({"Kind": "restorePoint", "SchemaVersion": 1})
    item.adapted_properties = {name: GOOD[name] for name in ("RestorePointId", "ParentId", "Name", "CreatedAt")}
    assert decode(RESTORE_POINT, [item])[0]["Name"] == "n"


def test_guid_may_come_as_text() -> None:
    assert decode(RESTORE_POINT, [received({**GOOD, "RestorePointId": str(GUID)})])[0]["RestorePointId"] == GUID


def test_members_of_a_newer_host_are_left_out() -> None:
    (row,) = decode(RESTORE_POINT, [received({**GOOD, "Colour": "red"})])
    assert "Colour" not in row
    assert "SchemaVersion" not in row


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Kind": "checkpoint"}, "kind 'checkpoint'"),
        ({"Kind": None}, "kind None"),
        ({"SchemaVersion": 2}, "schema version 2"),
        ({"SchemaVersion": None}, "schema version None"),
        ({"RestorePointId": "no GUID"}, "RestorePointId"),
        ({"Name": None}, "restorePoint.Name is None"),
        ({"Name": 5}, "restorePoint.Name is 5"),
    ],
)
def test_object_that_breaks_the_contract_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(PeerError, match=message) as caught:
        decode(RESTORE_POINT, [received({**GOOD, **change})])
    assert caught.value.reason == "contract"


@pytest.mark.parametrize("member", ["RestorePointId", "ParentId", "Name", "CreatedAt"])
def test_missing_member_is_named(member: str) -> None:
    with pytest.raises(PeerError, match=f"no member {member}"):
        decode(RESTORE_POINT, [received({name: value for name, value in GOOD.items() if name != member})])


@pytest.mark.parametrize("item", ["text", 5, None, [1]])
def test_output_that_is_no_object_is_refused(item: object) -> None:
    with pytest.raises(PeerError, match="an object expected"):
        decode(RESTORE_POINT, [item])


@pytest.mark.parametrize("value", [True, -(2**31) - 1, 2**31, "1", 1.0])
def test_number_out_of_its_type_is_refused(value: object) -> None:
    row = {"Kind": "leaf", "SchemaVersion": 1, "ControllerType": "SCSI", "ControllerNumber": value}
    rest = {"ControllerLocation": 0, "VirtualDiskId": GUID, "Path": "p"}
    with pytest.raises(PeerError, match="ControllerNumber"):
        decode(FUNCTIONS["Get-HvrLeaf"], [received({**row, **rest})])


def test_integers_are_sent_with_the_type_of_the_contract() -> None:
    sent = encode(FUNCTIONS["Get-HvrChangedRange"], {"Path": "p", "RctId": "r", "Offset": 0, "Length": 2**64 - 1})
    assert (sent["Length"].tag, sent["Length"].value) == ("U64", 2**64 - 1)
    record = encode(
        FUNCTIONS["Set-HvrReplicaRecord"],
        {"Folder": "f", "ExpectedEpoch": 2**40, "ExpectedRevision": 1, "Record": "{}"},
    )
    assert (record["ExpectedEpoch"].tag, record["ExpectedEpoch"].value) == ("I64", 2**40)


def test_pypsrp_alone_cannot_read_empty_bytes() -> None:
    """When this fails, ``accept_empty_bytes`` is no longer needed."""
    serializer = Serializer()
    with pytest.raises(TypeError):
        serializer.deserialize("<BA></BA>")


def test_empty_bytes_are_read_wherever_they_stand() -> None:
    serializer = Serializer()
    accept_empty_bytes(serializer)
    text = '<Obj RefId="0"><MS><BA N="None"></BA><BA N="Some">AP8=</BA></MS></Obj>'
    assert serializer.deserialize(text).extended_properties == {"None": b"", "Some": b"\x00\xff"}
