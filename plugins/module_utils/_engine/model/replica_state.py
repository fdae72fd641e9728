# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The state machine of a replica: one table of legal moves. Error texts and documentation come from it.

A session does not change the state of a replica that is ready; its lease is the lock (``record.Lease``). The states of
failover and failback are part of the record's format from the beginning; their moves come with those operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from ..errors import StateError


class ReplicaState(Enum):
    """Stable states of a replica."""

    NEW = "new"  # no restore point yet
    READY = "ready"
    FAILOVER = "failover"  # runs in the place of its source
    FAILBACK = "failback"
    READY_TO_SWITCH = "ready_to_switch"
    RELEASED = "released"  # a machine of its own


class Move(Enum):
    """What may be asked of a replica."""

    REPLICATE = "replicate"


MOVES: Final[Mapping[tuple[ReplicaState, Move], ReplicaState]] = MappingProxyType(
    {
        (ReplicaState.NEW, Move.REPLICATE): ReplicaState.READY,
        (ReplicaState.READY, Move.REPLICATE): ReplicaState.READY,
    }
)


def allowed_moves(state: ReplicaState) -> tuple[str, ...]:
    """Return the words of all moves that are legal from a state."""
    return tuple(move.value for found, move in MOVES if found is state)


def after_move(state: ReplicaState, move: Move, *, replica: str) -> ReplicaState:
    """Return the state that a move leads to. Raises StateError, reason ``replica_state``, with what is allowed."""
    if (state, move) not in MOVES:
        allowed = allowed_moves(state)
        raise StateError(
            f"replica {replica} is in state {state.value}: {move.value} is not allowed",
            current=state.value,
            allowed=allowed,
            hint=f"allowed now: {', '.join(allowed) or 'nothing'}",
            reason="replica_state",
        )
    return MOVES[state, move]
