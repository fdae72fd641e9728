# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which limit holds for a volume, what is said when there is less, and which limits are refused."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import HostPath, VolumeSpace
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.free_space import (
    DEFAULT,
    FreeSpaceLimit,
    limit_for,
    parse_limits,
    require_free,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB, TiB

FOLDER = HostPath("hv-b", "D:\\Replicas\\web")


def require(limit, *, size=TiB, free, needed=0, others=0):
    volume = VolumeSpace("D:\\", size, free)
    require_free(volume, folder=FOLDER, limit=limit, needed=needed, others=others, what="a test", reason="volume_full")


@pytest.mark.parametrize(
    ("limit", "size", "wanted"),
    [
        (DEFAULT, TiB, 2 * GiB),
        (DEFAULT, 20 * MiB, MiB),
        (FreeSpaceLimit("", 10, 0), TiB, TiB // 10),
        (FreeSpaceLimit("", 0, 5 * GiB), TiB, 5 * GiB),
        (FreeSpaceLimit("", 10, 5 * GiB), 10 * GiB, 5 * GiB),
        (FreeSpaceLimit("", 10, 5 * GiB), TiB, TiB // 10),
        (FreeSpaceLimit("", 0, 0), TiB, 0),
    ],
)
def test_larger_of_percentage_and_size_must_stay_free(limit, size, wanted):
    require(limit, size=size, free=wanted)
    if wanted:
        with pytest.raises(StateError):
            require(limit, size=size, free=wanted - 1)


def test_what_is_needed_and_what_others_need_is_added():
    limit = FreeSpaceLimit("D:\\", 0, 5 * GiB)
    require(limit, free=10 * GiB, needed=3 * GiB, others=2 * GiB)
    with pytest.raises(StateError) as caught:
        require(limit, free=10 * GiB - 1, needed=3 * GiB, others=2 * GiB)
    assert caught.value.message == (
        "volume D:\\ of hv-b has 10.0 GiB free, wanted are 10.0 GiB for D:\\Replicas\\web: 5.0 GiB must stay free "
        "(opendr_free_space of D:\\: 5.0 GiB), a test needs 3.0 GiB, other machines of this session need 2.0 GiB"
    )
    assert "opendr_free_space of hv-b" in caught.value.hint


LIMITS = parse_limits(
    [
        {"percent": 10},
        {"path": "d:\\", "size": "20 GiB"},
        {"path": "D:\\Replicas\\", "size": 1000},
        {"path": "C:\\ClusterStorage\\Volume1", "percent": "12.5", "size": "1.5 TiB"},
    ],
    host="hv-b",
)


@pytest.mark.parametrize(
    ("path", "index"),
    [
        ("C:\\VMs", 0),
        ("D:\\", 1),
        ("D:\\Other", 1),
        ("D:\\replicas", 2),
        ("D:\\Replicas\\web", 2),
        ("D:\\Replicas2", 1),
        ("C:\\clusterstorage\\volume1\\x", 3),
        ("C:\\ClusterStorage\\Volume10\\x", 0),
    ],
)
def test_longest_path_wins(path, index):
    assert limit_for(path, LIMITS) is LIMITS[index]


def test_path_without_a_limit_has_the_default():
    assert limit_for("C:\\VMs", parse_limits([{"path": "D:\\", "percent": 1}], host="hv-b")) is DEFAULT


def test_limits_are_read_from_what_the_topology_carries():
    assert LIMITS[3] == FreeSpaceLimit("C:\\ClusterStorage\\Volume1", 12.5, 3 * TiB // 2)
    assert parse_limits([limit.as_dict() for limit in LIMITS], host="hv-b") == LIMITS


@pytest.mark.parametrize(
    ("value", "place", "wants"),
    [
        ("20 GiB", "", "a list"),
        ({"percent": 5}, "", "a list"),
        ([5], "[0]", "a dictionary"),
        ([{}], "[0]", "percent, size or both"),
        ([{"path": "D:\\"}], "[0]", "percent, size or both"),
        ([{"percent": 5}, {"percents": 5}], "[1].percents", "no other keys"),
        ([{"percent": 100}], "[0].percent", "a number from 0"),
        ([{"percent": -1}], "[0].percent", "a number from 0"),
        ([{"percent": "nan"}], "[0].percent", "a number from 0"),
        ([{"percent": True}], "[0].percent", "a number from 0"),
        ([{"percent": "ten"}], "[0].percent", "a number from 0"),
        ([{"size": "20 GB"}], "[0].size", "20 GiB"),
        ([{"size": -1}], "[0].size", "20 GiB"),
        ([{"size": False}], "[0].size", "20 GiB"),
        ([{"size": ""}], "[0].size", "20 GiB"),
        ([{"path": "Replicas", "size": 1}], "[0].path", "an absolute path"),
        ([{"path": "D:Replicas", "size": 1}], "[0].path", "an absolute path"),
        ([{"path": 5, "size": 1}], "[0].path", "an absolute path"),
        ([{"path": "D:\\", "size": 1}, {"path": "d:/", "size": 2}], "", "each path once"),
        ([{"size": 1}] * 2, "", "each path once"),
        ([{"size": 1}] * 257, "", "at most 256 entries"),
    ],
)
def test_limit_that_cannot_be_names_host_place_and_value(value, place, wants):
    with pytest.raises(RequestError) as caught:
        parse_limits(value, host="hv-b")
    error = caught.value
    assert error.reason == "variable_invalid"
    assert error.message.startswith(f"host hv-b: opendr_free_space{place} is ")
    assert wants in error.message
    assert error.hint == "correct opendr_free_space of hv-b in the inventory"
