# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a machine task looks after while it waits: its lease, and the room on the volumes while the guest is frozen.

Each look is a single try. A host that cannot be reached now is asked again later; nothing is lost meanwhile, as a lease
that ends is still fenced by its epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from ...errors import HypervisorError, TransportError
from ...ports import Clock
from .records import RecordStore

LOOK_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 15.0  # after a look that failed


class Watch:
    """Called often, it looks each minute."""

    def __init__(self, clock: Clock, store: RecordStore, *, require_space: Callable[[], None]) -> None:
        """``require_space`` raises StateError when a volume has no room left."""
        self._clock = clock
        self._store = store
        self._require_space = require_space
        self._renew_at = clock.monotonic()
        self._look_at = self._renew_at + LOOK_SECONDS

    def end(self) -> None:
        """Look no more: the task gives up, and nothing may keep it from removing its checkpoint."""
        self._renew_at = self._look_at = inf

    def look(self) -> None:
        """Renew the lease and look at the space, when it is time.

        Raises:
            StateError: reason ``fenced``, a newer session has the replica; ``source_volume_full``, ``volume_full``.
        """
        now = self._clock.monotonic()
        if now >= self._renew_at:
            self._renew_at = now + self._renew()
        pending = self._store.record.pending
        needs_room = pending is not None and pending.is_frozen and not pending.is_sent
        if needs_room and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look_at_space()

    def _renew(self) -> float:
        """Return the seconds until the next try."""
        try:
            self._store.renew(now=self._clock.now())
        except HypervisorError:
            return AGAIN_SECONDS  # it lasts five times as long; to be fenced or without room is a StateError
        except TransportError as error:
            if not error.retryable:
                raise
            return AGAIN_SECONDS
        return 0.0

    def _look_at_space(self) -> None:
        try:
            self._require_space()
        except (TransportError, HypervisorError):
            pass  # told by whoever needs an answer of this host
