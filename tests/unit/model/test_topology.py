# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker is told: checked, bounded, and silent about its secrets."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.free_space import FreeSpaceLimit
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.topology import SIZE_MAX, Topology
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Kind
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import VerifyMode, VerifySpec

PLAIN = {
    "format": 1,
    "session_id": str(UUID(int=1)),
    "state_dir": "/var/lib/opendr",
    "catalog_url": "postgresql://u:s3cret@h/d",
    "job": {"name": "web", "vms": ["a"], "source_host": "hv-a", "target_host": "hv-b", "target_path": "D:\\R"},
    "manager": {"name": "m", "certificate": "/c", "key": "/k", "ca": "/a"},
    "hosts": {"hv-a": {"address": "10.0.0.1"}, "hv-b": {}},
    "movers": {"hv-a": {"address": "10.0.0.1", "port": 7310}, "hv-b": {"address": "10.0.0.2", "port": 7310}},
    "secrets": {"passwords": {"hv-a": "s3cret"}, "proxies": {"hv-a": "http://me:s3cret@proxy:3128"}},
}


def parse(**changes):
    return Topology.parse(json.dumps({**PLAIN, **changes}).encode())


def test_topology_is_read():
    topology = parse(limits={"machines": 2, "poll_seconds": 0.1})
    assert topology.session_id == UUID(int=1)
    assert topology.movers["hv-b"] == ("10.0.0.2", 7310)
    assert (topology.manager.name, topology.hosts["hv-a"]) == ("m", {"address": "10.0.0.1"})
    assert topology.limits == {"machines": 2, "poll_seconds": 0.1}


def test_a_session_replicates_unless_it_has_another_task():
    task = {"kind": "verify", "mode": "sample", "sample_percent": 7, "seed": 9}
    assert (parse().kind, parse().verify) == (Kind.REPLICATE, None)
    assert (parse(task=task).kind, parse(task=task).verify) == (Kind.VERIFY, VerifySpec(VerifyMode.SAMPLE, 7, 9))


def test_free_space_of_a_host_is_no_setting_of_its_connection():
    limited = {"address": "10.0.0.1", "free_space": [{"path": "D:\\", "percent": 10, "size": 5}]}
    topology = parse(hosts={"hv-a": limited, "hv-b": {}})
    assert topology.hosts["hv-a"] == {"address": "10.0.0.1"}
    assert topology.free_space == {"hv-a": (FreeSpaceLimit("D:\\", 10.0, 5),), "hv-b": ()}


def test_secrets_are_read_and_not_shown():
    topology = parse()
    assert (topology.passwords, topology.proxies) == (PLAIN["secrets"]["passwords"], PLAIN["secrets"]["proxies"])
    assert "s3cret" not in repr(topology)
    assert parse(secrets={}).proxies == {}


BAD = [
    ({"format": 2}, "topology_invalid"),
    ({"session_id": "x"}, "topology_invalid"),
    ({"state_dir": ""}, "topology_invalid"),
    ({"catalog_url": 5}, "topology_invalid"),
    ({"job": []}, "topology_invalid"),
    ({"job": {**PLAIN["job"], "block_size": 3}}, "block_size_invalid"),  # type: ignore[dict-item]
    ({"manager": {"name": "m"}}, "topology_invalid"),
    ({"hosts": {"hv-a": {}}}, "target_host_unknown"),
    ({"hosts": {"hv-a": 5, "hv-b": {}}}, "topology_invalid"),
    ({"hosts": {"hv-a": {"free_space": [{"percent": 200}]}, "hv-b": {}}}, "variable_invalid"),
    ({"movers": {"hv-a": {"address": "h", "port": 1}}}, "target_proxies_unknown"),
    ({"movers": {"hv-a": {"address": "h", "port": 0}, "hv-b": {"address": "h", "port": 1}}}, "topology_invalid"),
    ({"movers": {"hv-a": {"address": "h", "port": True}, "hv-b": {"address": "h", "port": 1}}}, "topology_invalid"),
    ({"limits": {"disks": 0}}, "topology_invalid"),
    ({"limits": {"disks": "4"}}, "topology_invalid"),
    ({"extra": 1}, "topology_invalid"),
    ({"task": "verify"}, "topology_invalid"),
    ({"task": {"kind": "dance"}}, "topology_invalid"),
    ({"task": {"kind": "verify", "mode": "full", "loud": True}}, "topology_invalid"),
    ({"task": {"kind": "verify", "mode": "half"}}, "verify_invalid"),
    ({"secrets": {"proxies": []}}, "topology_invalid"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD)
def test_bad_topology_is_refused_and_says_nothing_secret(changes, reason):
    with pytest.raises(RequestError) as caught:
        parse(**changes)
    assert caught.value.reason == reason
    assert "s3cret" not in str(caught.value.as_dict())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'"s3cret', b" " * (SIZE_MAX + 1), b"[" * 100000])
def test_what_is_no_topology_is_refused(data):
    with pytest.raises(RequestError) as caught:
        Topology.parse(data)
    assert caught.value.reason == "topology_invalid"
    assert "s3cret" not in caught.value.message


def test_missing_member_is_named():
    with pytest.raises(RequestError, match="lacks \\['movers'\\]"):
        Topology.parse(json.dumps({name: value for name, value in PLAIN.items() if name != "movers"}).encode())
