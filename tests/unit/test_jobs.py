# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job can only be built valid, and a refusal names option, value and way out."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import (
    BLOCK_SIZES,
    Compression,
    ConsistencyPolicy,
    JobSpec,
    OnTouched,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

LEAST = {
    "name": "web",
    "vms": ["web1"],
    "source_host": "hv-a",
    "target_host": "hv-b",
    "target_path": "D:\\Replicas",
}


def job(**options):
    return JobSpec.from_dict({**LEAST, **options})


def test_defaults_are_those_of_the_documentation():
    spec = job()
    assert (spec.suffix, spec.restore_points, spec.block_size) == ("_replica", 7, MiB)
    assert spec.compression is Compression.OPTIMAL
    assert spec.consistency is ConsistencyPolicy.APPLICATION_OR_CRASH
    assert spec.on_touched is OnTouched.COMPARE
    assert spec.rpo_seconds is None
    assert spec.enabled
    assert dict(spec.switches) == {}


def test_plain_form_is_taken_back_and_none_counts_as_not_given():
    given = {"block_size": "512KiB", "compression": "high", "on_touched": "fail", "rpo_seconds": 900, "suffix": None}
    spec = job(**given, switches={"LAN": "DR"}, source_proxies=["p1"])
    assert JobSpec.from_dict(spec.as_dict()) == spec
    assert spec.as_dict()["suffix"] == "_replica"


def test_movers_are_the_hosts_own_unless_proxies_are_named():
    assert (job().source_movers, job().target_movers) == (("hv-a",), ("hv-b",))
    assert job(target_proxies=["p1", "p2"]).target_movers == ("p1", "p2")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("256KiB", 256 * KiB),
        ("512 KB", 512 * KiB),
        ("1M", MiB),
        ("4mib", 4 * MiB),
        ("1048576", MiB),
        (2 * MiB, 2 * MiB),
    ],
)
def test_block_size_is_read_as_users_write_it(text, size):
    assert job(block_size=text).block_size == size


def test_compression_levels_grow_with_the_wish():
    levels = [Compression(word).level or 0 for word in ("fast", "optimal", "high")]
    assert levels == sorted(levels)
    assert Compression.NONE.level is None
    assert len(BLOCK_SIZES) == 5


BAD = [
    ("name", ""),
    ("name", " web"),
    ("name", "we\nb"),
    ("name", 7),
    ("vms", []),
    ("vms", "web1"),
    ("vms", ["web1", "web1"]),
    ("vms", ["", "web1"]),
    ("vms", ["web1", "WEB1"]),
    ("target_path", "D:\\"),
    ("target_path", "Replicas"),
    ("target_path", "D:Replicas"),
    ("target_path", "\\Replicas"),
    ("target_path", "D:\\Replicas\\..\\Windows"),
    ("target_path", "D:\\Rep\nlicas"),
    ("target_path", "D:\\CON\\nul"),
    ("target_path", "D:\\Replicas\\com1.old"),
    ("target_path", "D:\\Replicas \\web"),
    ("target_path", "D:\\Replicas."),
    ("target_path", "D:\\Rep:licas"),
    ("target_path", "D:\\Rep|licas"),
    ("suffix", "a/b"),
    ("suffix", "x" * 33),
    ("suffix", "_replica."),
    ("restore_points", 0),
    ("restore_points", 29),
    ("restore_points", True),
    ("restore_points", "7"),
    ("block_size", "3MiB"),
    ("block_size", "128KiB"),
    ("block_size", "8MiB"),
    ("block_size", "big"),
    ("block_size", True),
    ("compression", "extreme"),
    ("consistency", "none"),
    ("source_proxies", "p1"),
    ("switches", ["LAN"]),
    ("switches", {"LAN": ""}),
    ("on_touched", "overwrite"),
    ("rpo_seconds", 0),
    ("rpo_seconds", True),
    ("rpo_seconds", 366 * 24 * 3600 + 1),
    ("enabled", "yes"),
    ("colour", "red"),
]


@pytest.mark.parametrize(("option", "value"), BAD, ids=[f"{option}={value!r}" for option, value in BAD])
def test_bad_value_is_refused_by_name(option, value):
    with pytest.raises(RequestError) as caught:
        job(**{option: value})
    assert option in caught.value.message
    assert caught.value.reason == f"{option}_invalid"
    assert caught.value.hint


@pytest.mark.parametrize("option", list(LEAST))
def test_missing_option_is_named(option):
    with pytest.raises(RequestError) as caught:
        JobSpec.from_dict({key: value for key, value in LEAST.items() if key != option})
    assert caught.value.reason == "option_missing"
    assert option in caught.value.message


@pytest.mark.parametrize("folder", ["D:\\Replicas", "D:/Replicas/", "\\\\fs\\share\\Replicas"])
def test_folder_may_be_on_a_drive_or_a_share(folder):
    assert job(target_path=folder).target_path.endswith("Replicas")


def test_forbidden_folder_is_named_in_the_way_out():
    with pytest.raises(RequestError) as caught:
        job(target_path="D:\\Replicas\\nul\\web")
    assert "'nul'" in caught.value.hint


@pytest.mark.parametrize("folder", ["D:\\Console", "D:\\nullity\\com10", "D:\\.replicas"])
def test_folder_that_only_resembles_a_device_is_allowed(folder):
    assert job(target_path=folder).target_path == folder


def test_long_value_is_not_shown_to_its_end():
    with pytest.raises(RequestError) as caught:
        job(name="w" * 300)
    assert "www... (302 characters) is not allowed" in caught.value.message
    assert len(caught.value.message) < 200
