# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access map: which file of this machine a path of a host is, if any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import HostPath
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.access import AccessMap, AccessRule


@pytest.fixture
def root(tmp_path):
    for name in ("wide", "narrow", "share"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def access(root):
    return AccessMap(
        (
            AccessRule("hv-a", "D:\\", str(root / "wide"), writable=False),
            AccessRule("hv-a", "D:\\VMs\\Replicas", str(root / "narrow"), writable=True),
            AccessRule("hv-b", r"\\files\vms", str(root / "share"), writable=True),
        )
    )


@pytest.mark.parametrize(
    ("host", "path", "local"),
    [
        ("hv-a", r"D:\disk.vhdx", "wide/disk.vhdx"),
        ("hv-a", r"d:\DISK.vhdx", "wide/DISK.vhdx"),
        ("hv-a", r"D:\VMs\disk.vhdx", "wide/VMs/disk.vhdx"),
        ("hv-a", r"D:\VMs\Replicas\web\disk.vhdx", "narrow/web/disk.vhdx"),
        ("hv-a", r"D:\vms\REPLICAS\disk.vhdx", "narrow/disk.vhdx"),
        ("hv-a", r"D:\VMs\Replicas2\disk.vhdx", "wide/VMs/Replicas2/disk.vhdx"),
        ("hv-a", r"D:/VMs/Replicas/./disk.vhdx", "narrow/disk.vhdx"),
        ("hv-b", r"\\files\vms\web\disk.vhdx", "share/web/disk.vhdx"),
        ("hv-b", r"\\files\vms\..\..\other\disk.vhdx", "share/other/disk.vhdx"),  # nothing is above a share
    ],
)
def test_the_longest_prefix_of_the_host_decides(access, root, host, path, local):
    assert Path(access.resolve(HostPath(host, path), write=False)) == Path(os.path.realpath(root)) / local


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("hv-a", r"C:\disk.vhdx"),
        ("hv-c", r"D:\disk.vhdx"),
        ("hv-b", r"\\files\other\disk.vhdx"),
        ("hv-b", r"\\files\vms"),
        ("hv-a", "disk.vhdx"),
        ("hv-a", ""),
    ],
)
def test_what_no_rule_covers_is_not_served(access, host, path):
    with pytest.raises(RequestError) as caught:
        access.resolve(HostPath(host, path), write=False)
    assert caught.value.reason == "path_not_served"


@pytest.mark.parametrize(
    "name", ["a:b", "a|b", "a*", "a?", 'a"b', "a<b", "a\x00b", "a\x1fb", "a.", "a ", "NUL", "com1.vhdx"]
)
def test_what_is_no_name_of_a_file_on_windows_is_refused(access, name):
    with pytest.raises(RequestError) as caught:
        access.resolve(HostPath("hv-a", f"D:\\VMs\\{name}"), write=False)
    assert caught.value.reason == "path_invalid"


def test_writing_needs_a_rule_that_allows_it(access):
    access.resolve(HostPath("hv-a", r"D:\VMs\Replicas\disk.vhdx"), write=True)
    with pytest.raises(RequestError) as caught:
        access.resolve(HostPath("hv-a", r"D:\VMs\disk.vhdx"), write=True)
    assert caught.value.reason == "path_read_only"


def test_the_roots_are_told_with_their_hosts(access):
    assert access.roots == ("hv-a:D:\\", "hv-a:D:\\VMs\\Replicas", r"hv-b:\\files\vms")
