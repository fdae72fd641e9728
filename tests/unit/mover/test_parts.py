# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Epochs, pipes, plans and the configuration."""

from __future__ import annotations

import json
import threading
import uuid

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    Cancelled,
    RequestError,
    StateError,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.config import MoverConfig
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.epochs import EpochGuard
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.pipes import Busy, MemoryPool, Pipe
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.transfer import (
    GAP_MAX,
    Plan,
    Progress,
    digest_key,
    ticket_key,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope, Ticket, TransferState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB

REPLICA = uuid.UUID(int=5)


def test_an_epoch_may_repeat_and_rise_but_not_fall(tmp_path):
    guard = EpochGuard(str(tmp_path))
    for epoch in (1, 1, 5, 5):
        guard.admit(REPLICA, epoch)
    with pytest.raises(StateError) as caught:
        guard.admit(REPLICA, 4)
    assert (caught.value.reason, caught.value.current) == ("fenced", "5")
    guard.admit(uuid.UUID(int=6), 1)


def test_epochs_survive_a_restart(tmp_path):
    EpochGuard(str(tmp_path)).admit(REPLICA, 9)
    with pytest.raises(StateError):
        EpochGuard(str(tmp_path)).admit(REPLICA, 8)


def test_a_damaged_epoch_lets_nobody_in(tmp_path):
    guard = EpochGuard(str(tmp_path))
    (tmp_path / f"{REPLICA}.epoch").write_bytes(b"\xff")
    with pytest.raises(StateError) as caught:
        guard.admit(REPLICA, 100)
    assert caught.value.reason == "epoch_unreadable"


def test_a_pipe_keeps_order_and_its_bound():
    pipe: Pipe[int] = Pipe(2)
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.extend(pipe))
    pipe.put(1)
    pipe.put(2)
    reader.start()
    for item in range(3, 50):
        pipe.put(item)
    pipe.finish()
    reader.join(10)
    assert seen == list(range(1, 50))


@pytest.mark.parametrize("side", ["put", "get"])
def test_a_pipe_that_fails_wakes_whoever_waits(side):
    pipe: Pipe[int] = Pipe(1)
    if side == "put":
        pipe.put(0)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            pipe.put(1) if side == "put" else pipe.get()
        except Cancelled as error:
            caught.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    pipe.fail(Cancelled("first"))
    pipe.fail(Cancelled("second"))
    waiter.join(10)
    assert [str(error) for error in caught] == ["first"]


def test_memory_is_lent_again():
    pool = MemoryPool(1)
    first = pool.take(5000)
    first[:5] = b"12345"
    pool.give(first)
    assert bytes(pool.take(4)) == b"1234"


def test_busy_seconds_add_up_per_stage():
    busy = Busy()
    busy.add("read", 1.0)
    busy.add("read", 0.5)
    with busy.at("write"):
        pass
    assert busy.snapshot()["read"] == 1.5
    assert busy.snapshot()["write"] >= 0.0


def test_a_plan_goes_on_behind_what_is_durable():
    plan = Plan(Scope.CHANGED, (Extent(0, 10), Extent(20, 10), Extent(40, 10)), 100)
    assert list(plan.steps(25, with_gaps=False)) == [(Extent(25, 5), False), (Extent(40, 10), False)]


def test_a_plan_with_gaps_covers_the_disk():
    size = 3 * GAP_MAX
    plan = Plan(Scope.ALLOCATED, (Extent(10, 10), Extent(GiB, 10)), size)
    steps = list(plan.steps(0, with_gaps=True))
    assert [extent.offset for extent, _is_gap in steps] == [0, *(extent.end for extent, _is_gap in steps[:-1])]
    assert steps[-1][0].end == size
    assert [extent for extent, is_gap in steps if not is_gap] == list(plan.extents)
    assert max(extent.length for extent, _is_gap in steps) <= GAP_MAX


def test_plans_that_move_something_else_have_other_names():
    plan = Plan(Scope.CHANGED, (Extent(0, 10),), 100)
    others = [Plan(Scope.COMPARE, plan.extents, 100), Plan(plan.scope, (Extent(0, 11),), 100), Plan(plan.scope, (), 1)]
    assert len({other.name for other in [plan, *others]}) == 4
    assert plan.name == Plan(Scope.CHANGED, (Extent(0, 10),), 100).name


def test_plans_of_one_basis_continue_each_other():
    plan = Plan(Scope.CHANGED, (Extent(0, 10),), 100, "since 1")
    assert plan.name == Plan(Scope.CHANGED, (Extent(0, 10), Extent(20, 10)), 100, "since 1").name
    assert plan.name != Plan(Scope.CHANGED, plan.extents, 100, "since 2").name


def test_each_ticket_has_its_own_keys():
    first, second = (Ticket(bytes([n]) * 32, "a", "b", REPLICA, REPLICA, "c", 1, 0.0) for n in (1, 2))
    assert len({ticket_key(first.secret), ticket_key(second.secret), digest_key(first), digest_key(second)}) == 4
    assert len(digest_key(first)) == 32


def test_an_ended_transfer_keeps_its_end():
    progress = Progress(total=5)
    progress.end(StateError("first", reason="one"))
    progress.end(StateError("second", reason="two"))
    progress.set(state=TransferState.RUNNING)
    status = progress.status
    assert status.state is TransferState.FAILED
    assert status.error is not None
    assert status.error["reason"] == "one"


def config(**changes: object) -> dict[str, object]:
    return {
        "name": "proxy-a",
        "listen": ["127.0.0.1", 0],
        "tls": {"certificate": "c", "key": "k", "ca": "a"},
        "access": [{"host": "hv-a", "prefix": "D:\\VMs", "root": "/srv", "access": "read"}],
        "state_folder": "/var/lib/x",
        **changes,
    }


def test_a_configuration_has_defaults_for_times(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps(config(timing={"silence": 5})))
    loaded = MoverConfig.load(str(tmp_path / "c.json"))
    assert (loaded.timing.silence, loaded.timing.reconnect_interval) == (5.0, 15.0)
    assert loaded.access_map().roots == ("hv-a:D:\\VMs",)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "Expecting"),
        ("[]", "list"),
        (json.dumps(config(listen=["x"])), "listen"),
        (json.dumps(config(extra=1)), "extra"),
        (json.dumps(config(timing={"silent": 5})), "silent"),
        (json.dumps(config(access=[{"host": "h", "prefix": "p", "root": "r", "access": "all"}])), "all"),
    ],
)
def test_a_wrong_configuration_is_told(tmp_path, text, named):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(RequestError, match=named):
        MoverConfig.load(str(tmp_path / "c.json"))
