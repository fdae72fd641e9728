# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restart would do, for every pending step, every way in which a lease is seen, and every content of a leaf."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Final

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.outlook import (
    Action,
    Activity,
    View,
    activity,
    lag,
    outlook,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.record import Content, ReplicaRecord
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.replica_state import ReplicaState
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.progress import Phase
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope
from ansible_collections.opendr.hyperv.tests.unit.model.samples import SESSION, pending, record

# The lease of the sample record lasts 300 seconds and is renewed each 60.
FREE: Final = "free"
VIEWS: Final[dict[tuple[bool, bool, float], Activity]] = {
    # is ours, worker lives, age of the record
    (True, True, 30): Activity.RUNNING,
    (True, True, 119): Activity.RUNNING,
    (True, True, 120): Activity.STALLED,
    (True, True, 9000): Activity.STALLED,
    (True, False, 0): Activity.DEAD,
    (True, False, 9000): Activity.DEAD,
    (False, False, 30): Activity.RUNNING,
    (False, False, 119): Activity.RUNNING,
    (False, False, 120): Activity.STALLED,
    (False, False, 299): Activity.STALLED,
    (False, False, 300): Activity.DEAD,
}
STEPS: Final = (None, Phase.CHECKPOINT, Phase.TRANSFER, Phase.CONVERT, Phase.RESTORE_POINT)
NEXT: Final = {
    Content.EMPTY: Scope.ALLOCATED,
    Content.RESTORE_POINT: Scope.CHANGED,
    Content.CHANGES: Scope.CHANGED,
    Content.UNKNOWN: Scope.COMPARE,
}


def sample(step: Phase | None, content: Content, *, resumed: Scope = Scope.CHANGED) -> ReplicaRecord:
    """A replica whose cycle is in a step, whose leaf holds something, and which a session holds."""
    cycle = None
    if step is not None:
        disks = tuple(replace(disk, scope=resumed) for disk in pending().disks)
        cycle = replace(pending(), step=step, disks=() if step is Phase.CHECKPOINT else disks)
    whole = record()
    return replace(whole, pending=cycle, disks=tuple(replace(disk, content=content) for disk in whole.disks))


@pytest.mark.parametrize(("view", "expected"), VIEWS.items(), ids=str)
def test_activity_follows_from_the_age_of_the_record_and_from_what_its_manager_knows(
    view: tuple[bool, bool, float], expected: Activity
) -> None:
    is_ours, lives, age = view
    assert activity(record(), View(age, is_ours, worker_lives=lives)) is expected
    assert activity(replace(record(), lease=None), View(age, is_ours, worker_lives=lives)) is Activity.IDLE


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("content", list(Content))
@pytest.mark.parametrize("view", [FREE, *VIEWS], ids=str)
def test_restart_follows_from_step_lease_and_content(
    step: Phase | None, content: Content, view: str | tuple[bool, bool, float]
) -> None:
    found = sample(step, content)
    if isinstance(view, str):
        what = outlook(replace(found, lease=None), View(7.0))
    else:
        is_ours, lives, age = view
        what = outlook(found, View(age, is_ours, worker_lives=lives))
        if VIEWS[view] is not Activity.DEAD:
            assert what.action is (Action.ATTACH if is_ours else Action.WAIT)
            assert str(SESSION) in what.text
            assert what.scopes == ()
            return
    assert (
        what.action
        is {
            None: Action.REPLICATE,
            Phase.CHECKPOINT: Action.REPLICATE,
            Phase.TRANSFER: Action.RESUME,
            Phase.CONVERT: Action.FINISH,
            Phase.RESTORE_POINT: Action.FINISH,
        }[step]
    )
    assert (
        what.scopes
        == {
            Action.REPLICATE: (NEXT[content],),
            Action.RESUME: (Scope.CHANGED,),  # of the cycle that goes on
            Action.FINISH: (),
        }[what.action]
    )
    assert (str(SESSION) in what.text) is (what.action is not Action.REPLICATE)


@pytest.mark.parametrize(("content", "scope"), list(itertools.product(Content, Scope)))
def test_resumed_cycle_keeps_its_scope_whatever_the_leaf_holds(content: Content, scope: Scope) -> None:
    found = replace(sample(Phase.TRANSFER, content, resumed=scope), lease=None)
    assert outlook(found, View(7.0)).scopes == (scope,)


@pytest.mark.parametrize("content", list(Content))
def test_leaf_that_nobody_vouches_for_or_that_is_not_tracked_is_compared(content: Content) -> None:
    whole = replace(sample(None, content), lease=None)
    doubtful = replace(whole, disks=tuple(replace(disk, data_write_guid=None) for disk in whole.disks))
    expected = Scope.COMPARE if content is Content.RESTORE_POINT else NEXT[content]
    assert outlook(doubtful, View(7.0)).scopes == (expected,)
    untracked = outlook(replace(whole, tracking=None), View(7.0)).scopes
    assert untracked == (Scope.ALLOCATED if content is Content.EMPTY else Scope.COMPARE,)


@pytest.mark.parametrize("state", list(ReplicaState))
def test_state_that_allows_no_replication_refuses(state: ReplicaState) -> None:
    refused = outlook(replace(sample(None, Content.EMPTY), lease=None, state=state), View(7.0))
    assert (refused.action is Action.REFUSE) is (state not in (ReplicaState.NEW, ReplicaState.READY))


@pytest.mark.parametrize(
    ("newest", "allowed", "age", "seconds", "met"),
    [
        (None, None, 0, None, None),
        (None, 60, 0, None, False),
        (940.0, None, 0, 60.0, None),
        (940.0, 60, 0, 60.0, True),
        (939.0, 60, 0, 61.0, False),
        (1500.0, 60, 40, 40, True),  # the manager's clock is behind: the record's age is what is sure
        (1500.0, 60, 90, 90, False),
    ],
)
def test_lag_is_by_the_clock_that_shows_more(
    newest: float | None, allowed: int | None, age: float, seconds: float | None, met: bool | None
) -> None:
    found = lag(newest, allowed=allowed, now=1000.0, at_least=age)
    assert (found.seconds, found.is_met) == (seconds, met)
