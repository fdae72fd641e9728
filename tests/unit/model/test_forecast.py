# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cycle is likely to take, told from the cycles before it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.forecast import (
    Forecast,
    expected_changes,
    forecast,
    room_at_target,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Content
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Traffic
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.unit.model.samples import (
    DISK,
    OTHER_DISK,
    cycle,
    frozen,
    record,
    replica_disk,
)

NEWEST = 101.0  # source time of the newest restore point of the sample record


def known(*cycles, content=Content.RESTORE_POINT):
    return replace(record(), cycles=cycles, disks=(replica_disk(content=content),))


def cycle_of(number, *, moved, seconds, changed=None, same=0):
    """A cycle a hundred seconds after the one before it."""
    return replace(
        cycle(number),
        traffic=Traffic(total=moved + same, same=same),
        seconds=seconds,
        source_time=100.0 * number,
        since=100.0 * (number - 1),
        changed={} if changed is None else {DISK: changed},
    )


def test_changes_are_expected_at_the_recent_rate():
    found = known(cycle_of(1, moved=MiB, seconds=1, changed=4 * MiB), cycle_of(2, moved=MiB, seconds=1, changed=0))
    assert expected_changes(found, [frozen()], now=NEWEST + 50) == {DISK: MiB}


def test_only_the_newest_cycles_count():
    old = cycle_of(0, moved=MiB, seconds=1, changed=999 * MiB)
    found = known(
        old,
        *(cycle_of(number, moved=MiB, seconds=1, changed=MiB) for number in range(1, 4)),
        cycle_of(3, moved=MiB, seconds=1, changed=MiB),
    )
    assert expected_changes(found, [frozen()], now=NEWEST + 100) == {DISK: MiB}


def test_more_than_the_disk_is_never_expected():
    found = known(cycle_of(1, moved=MiB, seconds=1, changed=MiB))
    assert expected_changes(found, [frozen(size=8 * MiB)], now=NEWEST + 1e9) == {DISK: 8 * MiB}


@pytest.mark.parametrize("now", [NEWEST, NEWEST - 3600])
def test_a_clock_that_is_behind_expects_nothing(now):
    found = known(cycle_of(1, moved=MiB, seconds=1, changed=MiB))
    assert expected_changes(found, [frozen()], now=now) == {DISK: 0}


@pytest.mark.parametrize(
    "cycles",
    [
        (),
        (cycle_of(1, moved=MiB, seconds=1),),
        (replace(cycle_of(1, moved=MiB, seconds=1, changed=MiB), since=None),),
        (replace(cycle_of(1, moved=MiB, seconds=1, changed=MiB), since=5000.0),),
    ],
    ids=["none", "not found out", "first", "clock went back"],
)
def test_nothing_is_said_of_a_disk_whose_changes_were_never_measured(cycles):
    assert expected_changes(known(*cycles), [frozen()], now=NEWEST + 50) == {}
    assert forecast(known(*cycles), [frozen()], changed={}).growth == {}


@pytest.mark.parametrize("disks", [(), (replica_disk(content=Content.EMPTY),)], ids=["not known", "empty"])
def test_of_a_new_disk_everything_that_its_files_hold_is_sent(disks):
    found = replace(record(), disks=disks)
    disk = replace(frozen(size=64 * MiB), file_size=20 * MiB)
    assert expected_changes(found, [disk], now=NEWEST) == {DISK: 20 * MiB}
    assert expected_changes(found, [replace(disk, file_size=900 * MiB)], now=NEWEST) == {DISK: 64 * MiB}


def test_time_follows_the_fastest_transfer_and_growth_the_time():
    slow, fast = cycle_of(1, moved=MiB, seconds=10, changed=100), cycle_of(2, moved=8 * MiB, seconds=2, changed=300)
    found = forecast(known(slow, fast), [frozen()], changed={DISK: 40 * MiB})
    assert found == Forecast({DISK: 40 * MiB}, {DISK: 20}, 10.0)
    assert found.as_dict() == {"changed_bytes": 40 * MiB, "growth_bytes": 20, "seconds": 10.0}


def test_what_a_comparison_did_not_send_is_no_transfer():
    compared = cycle_of(1, moved=MiB, same=99 * MiB, seconds=1)
    assert forecast(known(compared), [frozen()], changed={DISK: 2 * MiB}).seconds == 2.0


def test_growth_is_never_more_than_the_disk():
    busy = cycle_of(1, moved=1, seconds=10, changed=MiB * 100)
    assert forecast(known(busy), [frozen()], changed={DISK: 64 * MiB}).growth == {DISK: 64 * MiB}


def test_unknown_numbers_are_null():
    assert forecast(known(), [frozen()], changed={}).as_dict() == {
        "changed_bytes": None,
        "growth_bytes": None,
        "seconds": None,
    }


def fixed(disk):
    return replace(disk, geometry=replace(disk.geometry, allocation=Allocation.FIXED))


@pytest.mark.parametrize(
    ("content", "disk", "room"),
    [
        (None, frozen(OTHER_DISK), 7 * MiB),
        (None, fixed(frozen(OTHER_DISK)), 64 * MiB),
        (Content.EMPTY, frozen(), 7 * MiB),
        (Content.EMPTY, fixed(frozen()), 0),  # the image was made, and is as large as it gets
        (Content.RESTORE_POINT, frozen(), 7 * MiB),
        (Content.RESTORE_POINT, fixed(frozen()), 7 * MiB),  # changes go into a differencing file
        (Content.CHANGES, frozen(), 0),  # they have their room already, at least in part
        (Content.UNKNOWN, frozen(), 0),
    ],
)
def test_room_at_the_target_depends_on_what_the_leaf_holds(content, disk, room):
    found = known(content=content or Content.RESTORE_POINT)
    assert room_at_target(found, [disk], changed={disk.disk_id: 7 * MiB}) == room
