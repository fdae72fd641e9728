# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An open leaf: whom it lets in, and that its journal says no more than what is durable."""

from __future__ import annotations

import uuid
from contextlib import closing
from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import create_file
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import create_image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import (
    Allocation,
    DiskGeometry,
    HostPath,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover import journal as journals
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.leaf import OpenLeaf, open_chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import TargetOrder, Ticket
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.messages import Hello

SIZE = 4 * MiB
TICKET = Ticket(
    secret=bytes(32),
    source_mover="hv-a",
    target_mover="hv-b",
    replica_id=uuid.UUID(int=11),
    disk_id=uuid.UUID(int=12),
    cycle_id="cycle-1",
    epoch=8,
    lifetime_seconds=60.0,
)
HELLO = Hello("data", secret=bytes(32), plan=bytes(16), virtual_size=SIZE, whole_disk=False)


@pytest.fixture
def path(tmp_path):
    """Return the file of a new image."""
    path = str(tmp_path / "disk.vhdx")
    file = create_file(path)
    geometry = DiskGeometry(TICKET.disk_id, SIZE, MiB, 512, 4096, Allocation.DYNAMIC)
    create_image(file, geometry, new_id=uuid.uuid4)
    file.close()
    return path


def open_leaf(path, *, epoch=TICKET.epoch):
    order = TargetOrder(replace(TICKET, epoch=epoch), (HostPath("hv-b", "D:\\disk.vhdx"),), None)
    return OpenLeaf(order, [path])


def test_a_journal_of_a_newer_epoch_refuses_the_leaf(path):
    leaf = open_leaf(path, epoch=9)
    leaf.begin(replace(TICKET, epoch=9), HELLO)
    leaf.close()
    with pytest.raises(StateError) as caught:
        open_leaf(path)
    assert caught.value.reason == "fenced"


def test_what_the_journal_calls_durable_was_flushed_before(path, monkeypatch):
    leaf = open_leaf(path)
    leaf.begin(TICKET, HELLO)
    done = []
    store, flush = journals.store, leaf._chain.flush
    monkeypatch.setattr(journals, "store", lambda *given: done.append("journal") or store(*given))
    monkeypatch.setattr(type(leaf._chain), "flush", lambda chain: done.append("flush") or flush())
    leaf.write(0, memoryview(b"x" * 4096))
    leaf.reach(MiB)
    assert leaf.make_durable() == MiB
    assert done == ["flush", "journal"]
    leaf.close()


def test_a_leaf_that_somebody_wrote_to_is_not_gone_on_with(path):
    leaf = open_leaf(path)
    leaf.begin(TICKET, HELLO)
    leaf.write(0, memoryview(b"x" * 4096))
    leaf.reach(MiB)
    leaf.close()
    with closing(open_leaf(path)) as again:
        assert again.durable_until_of(TICKET.cycle_id) == MiB
    with closing(open_chain([path], writable=True, new_file_id=uuid.uuid4())) as chain:
        chain.write(0, b"y" * 4096)
        chain.flush()
    with closing(open_leaf(path)) as again:
        assert again.durable_until_of(TICKET.cycle_id) == 0
