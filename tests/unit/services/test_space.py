# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The space guard asks once for each volume, keeps to the strictest limit, and gives back what it does not need."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import SharedClaims
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import (
    AttachedDisk,
    DiskKind,
    Slot,
    VolumeSpace,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.free_space import parse_limits
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.space import SpaceGuard
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.model.samples import DISK, config, frozen, geometry, record

FOLDER = "D:\\R\\web_replica"
PATHS = ("C:\\VMs\\web\\a.vhdx", "C:\\VMs\\web\\b.vhdx", "C:\\More\\c.vhdx", "C:\\Mount\\x\\d.vhdx")


@dataclass
class Host:
    """Volumes by where they are mounted, with the free bytes of each."""

    name: str
    free: dict[str, int]
    asked: list[str] = field(default_factory=list)

    def volume(self, path: str) -> VolumeSpace:
        self.asked.append(path)
        root = max((root for root in self.free if path.startswith(root)), key=len)
        return VolumeSpace(root, 1000 * MiB, self.free[root])


def hosts():
    return Host("hv-a", {"C:\\": 500 * MiB, "C:\\Mount\\": 500 * MiB}), Host("hv-b", {"D:\\": 500 * MiB})


def guard_of(source, target, *, claims=None, number=1, **limits):
    disks = tuple(
        AttachedDisk(Slot("SCSI", 0, place), path, DiskKind.VHDX, geometry(UUID(int=place)), file_size=MiB)
        for place, path in enumerate(PATHS)
    )
    found = config(name=f"web{number}")
    found = replace(found, machine=replace(found.machine, vm_id=UUID(int=number)), disks=disks)
    parsed = {name: parse_limits(value, host=name) for name, value in limits.items()}
    site = SimpleNamespace(claims=claims or SharedClaims(), free_space=parsed)
    return SpaceGuard(site, found, source=source, target=target)


def claim(guard, needed):
    guard.claim(record(), [frozen()], changed={DISK: needed})


def test_each_volume_is_asked_for_once():
    source, target = hosts()
    guard = guard_of(source, target)
    guard.look(source, target, folder=FOLDER)
    assert source.asked == ["C:\\VMs\\web", "C:\\More", "C:\\Mount\\x"]  # where they are mounted is not known before
    source.asked.clear()
    guard.look(source, target, folder=FOLDER)
    assert source.asked == ["C:\\VMs\\web", "C:\\Mount\\x"]
    assert target.asked == [FOLDER, FOLDER]


@pytest.mark.parametrize(
    ("root", "reason"), [("C:\\", "source_volume_full"), ("C:\\Mount\\", "source_volume_full"), ("D:\\", "volume_full")]
)
def test_any_volume_below_its_limit_is_named(root, reason):
    source, target = hosts()
    guard = guard_of(source, target)
    (source if root in source.free else target).free[root] = 49 * MiB
    with pytest.raises(StateError, match=f"volume {root[0]}") as caught:
        guard.look(source, target, folder=FOLDER)
    assert caught.value.reason == reason


def test_strictest_limit_of_the_folders_of_a_volume_counts():
    source, target = hosts()
    limits = {"hv-a": [{"size": MiB}, {"path": "C:\\More", "percent": 60}]}
    with pytest.raises(StateError, match=r"opendr_free_space of C:\\More: 60 %"):
        guard_of(source, target, **limits).look(source, target, folder=FOLDER)


def test_machines_of_a_session_do_not_count_on_the_same_room():
    (source, target), claims = hosts(), SharedClaims()
    first, second = (guard_of(source, target, claims=claims, number=number) for number in (1, 2))
    claim(first, 300 * MiB)
    with pytest.raises(StateError) as caught:
        claim(second, 300 * MiB)
    assert caught.value.reason == "volume_full"
    assert "the replica of web2 needs 300.0 MiB, other machines of this session need 300.0 MiB" in caught.value.message
    first.note_left(0.25)
    target.free["D:\\"] -= 75 * MiB  # of the 225 that it wrote the others were zeros
    claim(second, 300 * MiB)


def test_growth_counts_on_the_volume_of_its_disk():
    source, target = hosts()
    guard = guard_of(source, target)
    source.free["C:\\Mount\\"] = 50 * MiB  # at its limit; the disk that grows is on the other volume
    base = record()
    growing = replace(base.cycles[-1], changed={UUID(int=0): 64 * MiB})
    guard.claim(replace(base, cycles=(growing,)), [frozen(UUID(int=0))], changed={UUID(int=0): MiB})
    assert guard.forecast.growth == {UUID(int=0): 64 * MiB}
    source.free["C:\\"] = 113 * MiB
    with pytest.raises(StateError, match=r"the checkpoint of web1 needs 64\.0 MiB"):
        guard.claim(replace(base, cycles=(growing,)), [frozen(UUID(int=0))], changed={UUID(int=0): MiB})
