# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port over a host small enough to see what each answer leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.hypervisor import PsrpHypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import PsrpHost
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    EngineError,
    HypervisorError,
    PeerError,
    StateError,
    TrackingLost,
    TransportError,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, pack_pairs
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Fence, Nic, Slot
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    EXTENTS_ENCODING,
    EXTENTS_PER_OBJECT,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB, TiB
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError, Row
from ansible_collections.opendr.hyperv.tests.lab.wsman.faults import FaultKind
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

from .small_host import SmallHost

VM = UUID("2f3a5c7e-0000-4000-8000-123456789abc")
FENCE = Fence(folder=r"C:\Replicas\web01", epoch=3)
DISK = r"C:\VMs\web01\disk.avhdx"


@pytest.fixture
def hypervisor(host: PsrpHost) -> Hypervisor:
    return PsrpHypervisor(host)


def changed(next_offset: int, *extents: tuple[int, int], encoding: str = EXTENTS_ENCODING) -> dict[str, object]:
    packed = pack_pairs(Extent(*extent) for extent in extents)
    return {"Kind": "changedRange", "Encoding": encoding, "NextOffset": next_offset, "Extents": packed}


def refuse(error_id: str) -> Callable[[Mapping[str, object]], Iterator[Row]]:
    def answer(_parameters: Mapping[str, object]) -> Iterator[Row]:
        yield from ()
        raise HostError(error_id, "it is so")

    return answer


def test_nothing_changed_is_an_empty_list(hypervisor: Hypervisor, small_host: SmallHost) -> None:
    small_host.answers["Get-HvrChangedRange"] = lambda _parameters: iter([changed(64 * MiB)])
    assert hypervisor.changed_extents(DISK, rct_id="rct:1", size=64 * MiB) == []
    assert small_host.calls == [
        ("Get-HvrChangedRange", {"Path": DISK, "RctId": "rct:1", "Offset": 0, "Length": 64 * MiB})
    ]


def test_extents_are_sorted_merged_and_clipped(hypervisor: Hypervisor, small_host: SmallHost) -> None:
    rows = [changed(5 * MiB, (3 * MiB, MiB), (0, 4096), (2048, 4096)), changed(10 * MiB, (9 * MiB, 8 * MiB))]
    small_host.answers["Get-HvrChangedRange"] = lambda _parameters: iter(rows)
    assert hypervisor.changed_extents(DISK, rct_id="r", size=10 * MiB) == [
        Extent(0, 6144),
        Extent(3 * MiB, MiB),
        Extent(9 * MiB, MiB),
    ]


def test_query_goes_on_where_the_host_stopped(hypervisor: Hypervisor, small_host: SmallHost) -> None:
    size = 3 * TiB // 2

    def half_of_it(parameters: Mapping[str, object]) -> Iterator[Row]:
        offset, length = cast(int, parameters["Offset"]), cast(int, parameters["Length"])
        yield changed(offset + max(length // 2, MiB), (offset, 512))

    small_host.answers["Get-HvrChangedRange"] = half_of_it
    extents = hypervisor.changed_extents(DISK, rct_id="r", size=size)
    windows = [(cast(int, p["Offset"]), cast(int, p["Length"])) for _name, p in small_host.calls]
    assert windows[:3] == [(0, TiB), (TiB // 2, TiB), (TiB, TiB // 2)]
    assert all(offset + length <= size for offset, length in windows)
    assert [extent.offset for extent in extents] == [offset for offset, _length in windows]


@pytest.mark.timeout(60)
def test_two_hundred_thousand_extents_come_as_packed_objects(hypervisor: Hypervisor, small_host: SmallHost) -> None:
    pairs = [(number * MiB, 4096) for number in range(200_000)]
    size = 200_000 * MiB

    def packed(_parameters: Mapping[str, object]) -> Iterator[Row]:
        for first in range(0, len(pairs), EXTENTS_PER_OBJECT):
            yield changed(size, *pairs[first : first + EXTENTS_PER_OBJECT])

    small_host.answers["Get-HvrChangedRange"] = packed
    assert hypervisor.changed_extents(DISK, rct_id="r", size=size) == pairs
    assert len(small_host.calls) == 1


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "no_progress"),
        ([changed(0)], "no_progress"),
        ([changed(MiB, (0, 512), encoding="json")], "contract"),
        ([{**changed(MiB), "Extents": b"\0" * 17}], "query_failed"),
        ([HostError("Hvr.Failed", "GetVirtualDiskChanges returned 32775")], "failed"),
    ],
    ids=["no object", "no progress", "encoding", "cut pair", "error beside output"],
)
def test_unsound_answer_means_tracking_lost(
    hypervisor: Hypervisor, small_host: SmallHost, rows: list[Row], reason: str
) -> None:
    small_host.answers["Get-HvrChangedRange"] = lambda _parameters: iter(rows)
    with pytest.raises(TrackingLost, match=r"disk\.avhdx since r") as caught:
        hypervisor.changed_extents(DISK, rct_id="r", size=MiB)
    assert caught.value.reason == reason


@pytest.mark.parametrize("error_id", ["Hvr.TrackingLost", "Hvr.FileNotFound", "Hvr.Busy", "Hvr.AccessDenied", "Other"])
def test_any_refused_query_means_tracking_lost(hypervisor: Hypervisor, small_host: SmallHost, error_id: str) -> None:
    small_host.answers["Get-HvrChangedRange"] = refuse(error_id)
    with pytest.raises(TrackingLost):
        hypervisor.changed_extents(DISK, rct_id="r", size=MiB)


def test_lost_connection_is_not_lost_tracking(hypervisor: Hypervisor, server: WsmanServer) -> None:
    server.faults.add("Command", FaultKind.DROP_BEFORE)
    with pytest.raises(TransportError):
        hypervisor.changed_extents(DISK, rct_id="r", size=MiB)


@pytest.mark.parametrize(
    ("error_id", "error", "reason"),
    [
        ("Hvr.Fenced", StateError, "fenced"),
        ("Hvr.VolumeFull", StateError, "volume_full"),
        ("Hvr.InUse", HypervisorError, "in_use"),
        ("Hvr.Busy", HypervisorError, "busy"),
        ("Hvr.VmNotFound", HypervisorError, "vm_not_found"),
    ],
)
def test_refusal_becomes_what_callers_act_on(
    hypervisor: Hypervisor, small_host: SmallHost, error_id: str, error: type[EngineError], reason: str
) -> None:
    small_host.answers["New-HvrRestorePoint"] = refuse(error_id)
    with pytest.raises(error, match="New-HvrRestorePoint: it is so") as caught:
        hypervisor.create_restore_point(FENCE, VM, name="2026-11-25T12:00:00Z")
    assert caught.value.reason == reason
    assert caught.value.hint


def test_broken_chain_names_the_reason(hypervisor: Hypervisor, small_host: SmallHost) -> None:
    row = {"Kind": "chain", "Valid": False, "Paths": [DISK], "Reason": "parent identifier differs"}
    small_host.answers["Test-HvrChain"] = lambda _parameters: iter([row])
    with pytest.raises(HypervisorError, match="parent identifier differs") as caught:
        hypervisor.chain(DISK)
    assert (caught.value.error_id, caught.value.reason) == ("Hvr.ChainBroken", "chain_broken")


@pytest.mark.parametrize("count", [0, 2])
def test_one_object_means_one_object(hypervisor: Hypervisor, small_host: SmallHost, count: int) -> None:
    row: Row = {"Kind": "volume", "Root": "C:\\", "Size": 2, "Free": 1}
    small_host.answers["Get-HvrVolume"] = lambda _parameters: iter([row] * count)
    with pytest.raises(PeerError, match=f"emitted {count} objects"):
        hypervisor.volume("C:\\")


def test_adapter_without_switch_and_slot_travel_as_parameters(hypervisor: Hypervisor, small_host: SmallHost) -> None:
    small_host.answers["Set-HvrNic"] = small_host.answers["Remove-HvrDisk"] = lambda _parameters: iter(())
    nic = Nic(nic_id="x", name="LAN", mac_address="00155D010203", mac_is_static=True, switch_name="", vlan_id=12)
    hypervisor.set_nic(FENCE, VM, nic=nic)
    hypervisor.detach_disk(FENCE, VM, slot=Slot("SCSI", 0, 3))
    fenced = {"Folder": FENCE.folder, "Epoch": FENCE.epoch, "VmId": VM}
    named = {"Name": "LAN", "MacAddress": "00155D010203", "SwitchName": "", "VlanId": 12}
    slot = {"ControllerType": "SCSI", "ControllerNumber": 0, "ControllerLocation": 3}
    assert small_host.calls == [("Set-HvrNic", {**fenced, **named}), ("Remove-HvrDisk", {**fenced, **slot})]
