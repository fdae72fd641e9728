# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes: Windows paths, limits, and file systems of their own."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Volume
from ansible_collections.opendr.hyperv.tests.lab.hyperv.volumes import Volumes


@pytest.fixture
def volumes(tmp_path):
    made = Volumes(tmp_path / "volumes", {"C": Volume(size=8 * MiB)})
    yield made
    made.unmount()


def test_names_are_found_whatever_their_case_and_told_as_they_are(volumes):
    volumes.write_text("C:\\VMs\\Web\\Disk.txt", "x")
    assert volumes.read_text("c:/vms/WEB/disk.TXT") == "x"
    assert volumes.windows("c:\\vms\\web\\DISK.txt") == "C:\\VMs\\Web\\Disk.txt"
    assert volumes.windows("C:\\vms\\new.txt") == "C:\\VMs\\new.txt"


def test_path_never_leaves_its_volume(volumes, tmp_path):
    assert volumes.local("C:\\..\\..\\x") == tmp_path / "volumes" / "C" / "x"


@pytest.mark.parametrize(
    "path", ["", "x", "C:x", "\\x", "\\\\server\\share\\x", "\\\\?\\C:\\x", "C:\\x:stream", "C:\\x*", "C:\\\0", "/x"]
)
def test_other_forms_of_paths_are_refused(volumes, path):
    with pytest.raises(Refusal) as caught:
        volumes.local(path)
    assert caught.value.kind is Kind.PATH_INVALID


def test_unknown_drive_is_not_found(volumes):
    with pytest.raises(Refusal) as caught:
        volumes.space("Q:\\x")
    assert caught.value.kind is Kind.DRIVE_NOT_FOUND


def test_free_space_follows_what_is_stored(volumes):
    size, free = volumes.space("C:\\any\\where")
    volumes.local("C:\\file").write_bytes(b"x" * MiB)
    assert volumes.space("C:\\") == (size, free - MiB)
    volumes.fill("C", free=64 * KiB)
    assert volumes.space("C:\\")[1] == 64 * KiB
    with pytest.raises(Refusal, match="not enough space"):
        volumes.write_text("C:\\more", "x" * 128 * KiB)
    volumes.fill("C", free=1 << 40)
    assert volumes.space("C:\\")[1] == free - MiB


def test_many_small_writes_meet_the_limit_too(volumes):
    def write_on_and_on():
        while True:
            volumes.spend("C:\\file", 128 * KiB)
            with volumes.local("C:\\file").open("ab") as file:
                file.write(b"x" * 128 * KiB)

    with pytest.raises(Refusal, match="not enough space"):
        write_on_and_on()
    assert volumes.space("C:\\")[1] < 512 * KiB


@pytest.mark.root
def test_mounted_volume_is_full_for_everybody(volumes, tmp_path):
    volumes.mount("R", size=2 * MiB)
    path = volumes.local("R:\\file")
    volumes.fill("R", free=256 * KiB)
    with pytest.raises(OSError, match="No space left"):
        path.write_bytes(b"x" * MiB)
    path.unlink()
    volumes.fill("R", free=1 << 40)
    path.write_bytes(b"x" * MiB)
    again = Volumes(tmp_path / "volumes", volumes.table)
    assert again.local("R:\\file").read_bytes() == b"x" * MiB, "it outlives the process that mounted it"


@pytest.mark.root
def test_volume_with_files_is_not_mounted_over(volumes):
    volumes.local("C:\\file").write_bytes(b"x")
    with pytest.raises(Refusal) as caught:
        volumes.mount("C", size=MiB)
    assert caught.value.kind is Kind.WRONG_STATE
