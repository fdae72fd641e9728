# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""How a job session is asked to stop, and how its machine tasks learn of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from .errors import Cancelled, FormatError

BY_LENGTH_MAX: Final = 200  # characters of who asks


class Stop(Enum):
    """What is still finished; each is sooner than the one above it."""

    AFTER_MACHINE = "after_machine"  # machines that are under way
    AFTER_DISK = "after_disk"  # disks that are under way
    NOW = "now"

    def covers(self, other: Stop) -> bool:
        """Tell whether it stops as soon as another one, or sooner."""
        order = list(Stop)
        return order.index(self) >= order.index(other)


_WORDS: Final = {
    Stop.AFTER_MACHINE: "after the machines under way",
    Stop.AFTER_DISK: "after the disks under way",
    Stop.NOW: "at once",
}


@dataclass(frozen=True, slots=True)
class StopRequest:
    """Somebody's wish that a session stops; ``at`` is seconds since 1970."""

    how: Stop
    by: str
    at: float

    @classmethod
    def from_dict(cls, value: object) -> StopRequest:
        """Take back what ``as_dict`` gave. Raises FormatError."""
        if isinstance(value, Mapping) and set(value) == {"how", "by", "at"}:
            how = next((stop for stop in Stop if stop.value == value["how"]), None)
            by, at = value["by"], value["at"]
            if how is not None and isinstance(by, str) and isinstance(at, (int, float)):
                return cls(how, by, float(at))
        raise FormatError("no request to stop")

    def as_dict(self) -> dict[str, Any]:
        return {"how": self.how.value, "by": self.by, "at": self.at}

    def __str__(self) -> str:
        return f"asked to stop {_WORDS[self.how]} by {self.by}"


class StopSign:
    """What the session was asked so far: one thread asks, machine tasks heed it in the places where they may stop."""

    def __init__(self) -> None:
        self.asked: StopRequest | None = None

    def ask(self, request: StopRequest) -> bool:
        """Take a request; False when it asks for nothing that was not asked before."""
        if self.asked is not None and self.asked.how.covers(request.how):
            return False
        self.asked = request
        return True

    def is_up(self, stop: Stop) -> bool:
        """Tell whether the session was asked to stop as soon as this, or sooner."""
        return self.asked is not None and self.asked.how.covers(stop)

    def heed(self, stop: Stop) -> None:
        """Raise Cancelled when the session was asked to stop as soon as this, or sooner."""
        if self.asked is not None and self.is_up(stop):
            raise cancelled(str(self.asked))


def cancelled(why: str) -> Cancelled:
    """Build the error of a machine task that stops before its end; ``why`` completes "the session was"."""
    return Cancelled(f"the session was {why}", hint="run the job again to go on", reason="cancelled")
