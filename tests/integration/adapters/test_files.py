# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file module on real files. The whole of it also runs on Windows' Python under Wine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    EngineError,
    FormatError,
    RequestError,
    StateError,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB

# Opens a leaf, says so, and holds it until standard input ends.
HOLDER = """
import sys
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
with files.open_leaf(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "disk.vhdx")


def reason_of(call: Callable[[], object], error_class: type[EngineError]) -> str:
    with pytest.raises(error_class) as caught:
        call()
    return caught.value.reason


def test_what_is_written_is_read_back(path: str) -> None:
    with files.create_file(path) as file:
        file.write(10, b"abc")
        file.write(13, bytearray(b"def"))
        file.write(16, memoryview(b"ghi"))
        assert file.read(8, 11) == b"\0\0abcdefghi"
        assert file.size() == 19


def test_read_into_fills_a_part_of_a_buffer(path: str) -> None:
    with files.create_file(path) as file:
        file.write(0, b"0123456789")
        buffer = bytearray(6)
        file.read_into(4, memoryview(buffer)[1:4])
    assert buffer == b"\x00456\x00\x00"


def test_reading_past_the_end_is_a_format_error(path: str) -> None:
    with files.create_file(path) as file:
        file.write(0, b"0123")
        with pytest.raises(FormatError, match="ends at 4, wanted 2 bytes more"):
            file.read(2, 4)


def test_offsets_beyond_four_gib_work(path: str) -> None:
    with files.create_file(path) as file:
        file.resize(6 * GiB)
        file.write(5 * GiB + 3, b"far")
        assert file.read(5 * GiB + 2, 5) == b"\0far\0"
        assert file.size() == 6 * GiB


def test_resize_cuts_and_extends_with_zeros(path: str) -> None:
    with files.create_file(path) as file:
        file.write(0, b"x" * 100)
        file.resize(50)
        file.resize(80)
        assert file.read(0, 80) == b"x" * 50 + bytes(30)


def test_threads_read_and_write_their_own_places(path: str) -> None:
    with files.create_file(path) as file:

        def work(index: int) -> bool:
            data, place = bytes([index + 1]) * 4096, index * 4096
            for _turn in range(20):
                file.write(place, data)
                if file.read(place, 4096) != data:
                    return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(16)))


def test_create_refuses_an_existing_file(path: str) -> None:
    files.create_file(path).close()
    assert reason_of(lambda: files.create_file(path), StateError) == "file_exists"


@pytest.mark.parametrize("opener", [files.open_for_reading, files.open_leaf], ids=["reading", "leaf"])
def test_a_missing_file_is_told(opener: Callable[[str], files.LocalFile], path: str) -> None:
    assert reason_of(lambda: opener(path), RequestError) == "file_missing"


def test_use_after_close_is_refused_and_close_may_be_repeated(path: str) -> None:
    file = files.create_file(path)
    file.close()
    file.close()
    assert reason_of(lambda: file.read(0, 1), StateError) == "file_closed"


def test_readers_share_a_file_with_readers(path: str) -> None:
    with files.create_file(path) as file:
        file.write(0, b"shared")
    with files.open_for_reading(path) as one, files.open_for_reading(path) as two:
        assert one.read(0, 6) == two.read(0, 6) == b"shared"


def test_a_file_open_for_reading_cannot_be_written(path: str) -> None:
    files.create_file(path).close()
    with files.open_for_reading(path) as file, pytest.raises(EngineError):
        file.write(0, b"x")


def test_a_leaf_is_held_once_in_a_process(path: str) -> None:
    with files.create_file(path):
        assert reason_of(lambda: files.open_leaf(path), StateError) == "leaf_locked"
        assert files.is_locked(path)
    assert not files.is_locked(path)


def test_looking_at_a_file_does_not_seem_to_hold_it(path: str) -> None:
    files.create_file(path).close()
    with files.open_shared(path):
        assert not files.is_locked(path)
        assert reason_of(lambda: files.open_leaf(path), StateError) == "leaf_locked" or sys.platform == "win32"
    files.open_leaf(path).close()


def test_a_leaf_is_held_across_processes_until_the_holder_is_killed(path: str) -> None:
    files.create_file(path).close()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        assert reason_of(lambda: files.open_leaf(path), StateError) == "leaf_locked"
        holder.kill()
    files.open_leaf(path).close()


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    files.write_atomically(str(target), b"one")
    files.write_atomically(str(target), b"two")
    assert files.read_small(str(target), limit=3) == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]
    if sys.platform != "win32":
        assert target.stat().st_mode & 0o007 == 0


def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(EngineError):
        files.write_atomically(str(tmp_path / "record.json"), b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"]


def test_what_replaces_a_small_file_is_durable_before_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noted(name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object) -> None:
            done.append(name)
            real(*given)

        return call

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    files.write_atomically(str(tmp_path / "record.json"), b"new")
    assert done[:2] == ["fsync", "replace"]


def test_what_killed_writers_left_of_a_small_file_can_be_removed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    files.write_atomically(path, b"kept")
    for name in (".a.json.01234567.new", ".a.json.89abcdef.new", ".b.json.01234567.new", "a.json.new"):
        (tmp_path / name).write_bytes(b"half")
    files.remove_unfinished(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".b.json.01234567.new", "a.json", "a.json.new"]


def test_a_small_file_has_a_limit(path: str) -> None:
    files.write_atomically(path, b"12345")
    with pytest.raises(FormatError, match="larger than 4 bytes"):
        files.read_small(path, limit=4)


def test_removing_a_file_twice_is_success(path: str) -> None:
    files.create_file(path).close()
    files.remove_file(path)
    files.remove_file(path)
    assert not files.exists(path)


def test_paths_below_a_root_resolve_whether_they_exist_or_not(tmp_path: Path) -> None:
    (tmp_path / "vm").mkdir()
    wanted = os.path.realpath(tmp_path / "vm" / "disk.vhdx")
    assert files.resolve_inside(str(tmp_path), str(tmp_path / "vm" / "disk.vhdx")) == wanted


@pytest.mark.parametrize("path", ["..", "../beside", "vm/../../beside", ".", "/etc/passwd"])
def test_paths_that_leave_the_root_are_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    assert reason_of(lambda: files.resolve_inside(str(root), os.path.join(root, path)), RequestError) == "path_outside"


def test_a_folder_whose_name_only_begins_like_the_root_is_outside(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root-2").mkdir()
    beside = str(tmp_path / "root-2" / "disk.vhdx")
    assert reason_of(lambda: files.resolve_inside(str(tmp_path / "root"), beside), RequestError) == "path_outside"


if sys.platform == "win32":

    def test_a_held_leaf_cannot_be_read(path: str) -> None:
        with files.create_file(path):
            assert reason_of(lambda: files.open_for_reading(path), StateError) == "file_locked"

    def test_a_reader_keeps_a_leaf_from_being_opened(path: str) -> None:
        files.create_file(path).close()
        with files.open_for_reading(path):
            assert reason_of(lambda: files.open_leaf(path), StateError) == "leaf_locked"

else:

    def test_a_leaf_is_free_once_closed_though_a_starting_program_shares_the_descriptor(path: str) -> None:
        leaf = files.create_file(path)
        shared = os.dup(leaf.handle._descriptor)  # type: ignore[attr-defined]  # what a fork leaves in the child
        leaf.close()
        assert not files.is_locked(path)
        os.close(shared)

    def test_extending_a_file_takes_no_room(path: str) -> None:
        with files.create_file(path) as file:
            file.resize(64 * MiB)
            file.flush()
        assert os.stat(path).st_blocks * 512 < MiB

    def test_a_full_volume_is_told() -> None:
        file = files.LocalFile("/dev/full", files._open("/dev/full", writable=True, exclusive=False, create=False))
        with file:
            assert reason_of(lambda: file.write(0, b"x"), StateError) == "volume_full"

    @pytest.mark.parametrize("link_is_folder", [True, False], ids=["folder", "file"])
    def test_links_that_leave_the_root_are_refused(tmp_path: Path, link_is_folder: bool) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "disk.vhdx").touch()
        link = tmp_path / "root" / "link"
        link.symlink_to(tmp_path / "outside" if link_is_folder else tmp_path / "outside" / "disk.vhdx")
        path = link / "disk.vhdx" if link_is_folder else link
        assert (
            reason_of(lambda: files.resolve_inside(str(tmp_path / "root"), str(path)), RequestError) == "path_outside"
        )
