# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Who may say what, and when. Source: docs/design/mover_protocol.md, "Order of frames".

There are four listeners: each end of a control connection, and each end of a data connection. ``MOVES`` holds what each
may hear in each state, and the state that follows; what is not in it breaks the protocol. Both ends of a connection
give signs of life from its beginning, also one that is too busy for its first word.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from ..errors import PeerError
from .frames import Frame, Kind


class Ear(Enum):
    """Who listens."""

    MANAGER = "manager"  # client of a control connection
    CONTROLLED = "controlled mover"  # its server
    SOURCE = "source mover"  # client of a data connection
    TARGET = "target mover"  # its server


class State(Enum):
    """How far a conversation is."""

    WAITING = "waiting"  # for the first frame of the other side
    OPEN = "open"
    ORDERING = "ordering"  # extents came, the request that they belong to has to follow
    ENDING = "ending"  # the source sent END
    ENDED = "ended"
    FAILED = "failed"


MOVES: Final = {
    (Ear.CONTROLLED, State.WAITING, Kind.HELLO): State.OPEN,
    (Ear.CONTROLLED, State.WAITING, Kind.HEARTBEAT): State.WAITING,
    (Ear.CONTROLLED, State.OPEN, Kind.REQUEST): State.OPEN,
    (Ear.CONTROLLED, State.OPEN, Kind.EXTENTS): State.ORDERING,
    (Ear.CONTROLLED, State.ORDERING, Kind.EXTENTS): State.ORDERING,
    (Ear.CONTROLLED, State.ORDERING, Kind.REQUEST): State.OPEN,
    (Ear.CONTROLLED, State.OPEN, Kind.HEARTBEAT): State.OPEN,
    (Ear.CONTROLLED, State.ORDERING, Kind.HEARTBEAT): State.ORDERING,
    (Ear.MANAGER, State.WAITING, Kind.READY): State.OPEN,
    (Ear.MANAGER, State.WAITING, Kind.ERROR): State.ENDED,
    (Ear.MANAGER, State.WAITING, Kind.HEARTBEAT): State.WAITING,
    (Ear.MANAGER, State.OPEN, Kind.REPLY): State.OPEN,
    (Ear.MANAGER, State.OPEN, Kind.ERROR): State.OPEN,
    (Ear.MANAGER, State.OPEN, Kind.HEARTBEAT): State.OPEN,
    (Ear.TARGET, State.WAITING, Kind.HELLO): State.OPEN,
    (Ear.TARGET, State.WAITING, Kind.HEARTBEAT): State.WAITING,
    (Ear.TARGET, State.OPEN, Kind.UNIT): State.OPEN,
    (Ear.TARGET, State.OPEN, Kind.ZERO): State.OPEN,
    (Ear.TARGET, State.OPEN, Kind.COMPARE): State.OPEN,
    (Ear.TARGET, State.OPEN, Kind.HEARTBEAT): State.OPEN,
    (Ear.TARGET, State.OPEN, Kind.END): State.ENDING,
    (Ear.TARGET, State.OPEN, Kind.ERROR): State.ENDED,
    (Ear.TARGET, State.ENDING, Kind.HEARTBEAT): State.ENDING,
    (Ear.SOURCE, State.WAITING, Kind.READY): State.OPEN,
    (Ear.SOURCE, State.WAITING, Kind.ERROR): State.ENDED,
    (Ear.SOURCE, State.WAITING, Kind.HEARTBEAT): State.WAITING,
    (Ear.SOURCE, State.OPEN, Kind.DIGESTS): State.OPEN,
    (Ear.SOURCE, State.OPEN, Kind.DURABLE): State.OPEN,
    (Ear.SOURCE, State.OPEN, Kind.HEARTBEAT): State.OPEN,
    (Ear.SOURCE, State.OPEN, Kind.DONE): State.ENDED,
    (Ear.SOURCE, State.OPEN, Kind.ERROR): State.ENDED,
}


class Conversation:
    """Holds the other side to ``MOVES``."""

    def __init__(self, ear: Ear) -> None:
        self.ear = ear
        self.state = State.WAITING

    def hear(self, frame: Frame) -> Frame:
        """Return the frame, or raise PeerError; the state is FAILED from then on."""
        following = MOVES.get((self.ear, self.state, frame.kind))
        if following is None:
            was, self.state = self.state, State.FAILED
            raise PeerError(f"the {self.ear.value} heard {frame.kind.name} while {was.value}", reason="out_of_order")
        self.state = following
        return frame
