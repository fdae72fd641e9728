# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mover on CPython for Windows, under Wine. Green here does not replace a run on Windows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.mover import TREE, Runtime

from .relay import Relay
from .sites import Site, make_site, wait_for

if not os.environ.get("OPENDR_WPYTHON"):
    pytest.skip("OPENDR_WPYTHON names no CPython for Windows (see CONTRIBUTING.md)", allow_module_level=True)

pytestmark = [pytest.mark.wine, pytest.mark.needs("qemu-img"), pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]
SUITE = ["tests/integration/adapters/test_files.py", "tests/unit/wire", "tests/unit/mover"]


def wine_path(path: Path) -> str:
    """Return how Wine names a file of this machine."""
    return "Z:" + str(path).replace("/", "\\")


def windows() -> Runtime:
    """A mover on Windows."""
    return Runtime((os.environ["OPENDR_WPYTHON"],), wine_path, {"PYTHONPATH": wine_path(TREE)})


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Site]:
    """The source mover is on Windows."""
    made = make_site(tmp_path, source_runtime=windows())
    with made.source, made.target:
        made.create()
        yield made


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Site]:
    """The target mover is on Windows, and makes each unit durable."""
    made = make_site(tmp_path, target_runtime=windows(), timing={"flush": 0.0})
    with made.source, made.target:
        made.create()
        yield made


def test_the_suite_passes_on_windows() -> None:
    command = [os.environ["OPENDR_WPYTHON"], "-m", "pytest", "-q", "-p", "no:cacheprovider", *SUITE]
    environment = {**os.environ, "PYTHONPATH": wine_path(TREE)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_mover_on_windows_sends_to_one_on_linux(sending: Site) -> None:
    with sending.source.client() as client:
        assert client.describe().platform.startswith("Windows")
    sending.copy(sending.ticket())
    sending.assert_equal()


def test_a_mover_on_linux_sends_to_one_on_windows_and_again_what_changed(receiving: Site) -> None:
    receiving.copy(receiving.ticket("cycle-1"))
    receiving.assert_equal()
    changed = receiving.disk.write(Extent(1 * MiB, 64 * KiB), Extent(15 * MiB, 1 * MiB))
    receiving.copy(receiving.ticket("cycle-2", epoch=2), Scope.COMPARE, changed)
    receiving.assert_equal()


def test_the_leaf_belongs_to_the_mover_on_windows_alone(receiving: Site) -> None:
    ticket = receiving.ticket()
    receiving.open(ticket)
    with pytest.raises(StateError) as caught:
        receiving.leaf_state()
    assert caught.value.reason == "leaf_locked"
    receiving.close(ticket)
    receiving.leaf_state()


def test_a_killed_mover_on_windows_leaves_a_leaf_that_the_next_session_resumes(receiving: Site) -> None:
    changed = receiving.disk.write(Extent(0, 8 * MiB))
    recorded = receiving.leaf_state().data_write_guid
    with Relay(receiving.target.port) as relay:
        first = receiving.ticket()
        relay.hold_after(4 * MiB)
        receiving.open(first)
        receiving.send(first, Scope.CHANGED, changed, target_address=relay.address)
        wait_for(lambda: receiving.target_status(first).durable_until >= 2 * MiB)
        durable = receiving.target_status(first).durable_until
        receiving.target.kill()
        relay.cut()
    receiving.target.start()
    receiving.source_cancel(first)
    second = receiving.ticket(epoch=2)
    assert receiving.open(second, data_write_guid=recorded).durable_until >= durable
    receiving.send(second, Scope.CHANGED, changed)
    source, target = receiving.wait(second)
    assert (source.state, target.state) == (TransferState.DONE, TransferState.DONE)
    assert source.read < 8 * MiB
    receiving.close(second)
    receiving.assert_replica_has(changed)
