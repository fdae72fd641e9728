# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of frames: every ear, state and kind."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import PeerError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.conversation import (
    MOVES,
    Conversation,
    Ear,
    State,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import Frame, Kind

PAIRS = list(itertools.product(Ear, State, Kind))
NAMES = [f"{ear.name}-{state.name}-{kind.name}" for ear, state, kind in PAIRS]


@pytest.mark.parametrize(("ear", "state", "kind"), PAIRS, ids=NAMES)
def test_a_frame_moves_the_conversation_or_breaks_it(ear, state, kind):
    conversation = Conversation(ear)
    conversation.state = state
    if (ear, state, kind) in MOVES:
        assert conversation.hear(Frame(kind)).kind is kind
        assert conversation.state is MOVES[ear, state, kind]
    else:
        with pytest.raises(PeerError, match=f"heard {kind.name} while {state.value}"):
            conversation.hear(Frame(kind))
        assert conversation.state is State.FAILED


@pytest.mark.parametrize("ear", list(Ear))
def test_nothing_follows_an_end_or_a_failure(ear):
    assert not [move for move in MOVES if move[0] is ear and move[1] in (State.ENDED, State.FAILED)]


@pytest.mark.parametrize("ear", list(Ear))
def test_every_state_that_is_entered_from_the_start_can_be_reached(ear):
    reached, before = {State.WAITING}, set()
    while reached != before:
        before = set(reached)
        reached |= {after for (who, state, _kind), after in MOVES.items() if who is ear and state in reached}
    assert {state for who, state, _kind in MOVES if who is ear} <= reached


@pytest.mark.parametrize("ear", list(Ear))
def test_a_heartbeat_changes_nothing(ear):
    for (who, state, kind), after in MOVES.items():
        if who is ear and kind is Kind.HEARTBEAT:
            assert after is state


@pytest.mark.parametrize(("ear", "state"), sorted({move[:2] for move in MOVES}, key=str))
def test_a_heartbeat_may_come_whenever_something_may(ear, state):
    assert (ear, state, Kind.HEARTBEAT) in MOVES
