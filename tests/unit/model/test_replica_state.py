# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Legal moves of a replica."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import StateError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.replica_state import (
    MOVES,
    Move,
    ReplicaState,
    after_move,
    allowed_moves,
)


@pytest.mark.parametrize(("state", "move"), list(itertools.product(ReplicaState, Move)))
def test_every_pair_is_legal_by_the_table_or_refused(state, move):
    if (state, move) in MOVES:
        assert after_move(state, move, replica="r") is MOVES[state, move]
        return
    with pytest.raises(StateError) as caught:
        after_move(state, move, replica="r")
    assert caught.value.current == state.value
    assert caught.value.allowed == allowed_moves(state)


def test_replica_that_runs_is_never_replicated_into():
    assert allowed_moves(ReplicaState.FAILOVER) == ()
    assert after_move(ReplicaState.NEW, Move.REPLICATE, replica="r") is ReplicaState.READY
