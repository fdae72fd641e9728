# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a machine task looks after while it waits: its leases, and the room on the volumes while the guest is frozen.

Each look is a single try. A host that cannot be reached now is asked again later; nothing is lost meanwhile, as a lease
that ends is still fenced by its epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from ...errors import HypervisorError, TransportError
from ...model.lease import renewal_seconds
from ...ports import Clock
from .records import RecordStore
from .site import Limits

LOOK_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 15.0  # after a look that failed


class Watch:
    """Called often, it looks each minute."""

    def __init__(
        self,
        clock: Clock,
        store: RecordStore,
        *,
        limits: Limits,
        hold_source: Callable[[], None],
        require_space: Callable[[], None],
    ) -> None:
        """``hold_source`` extends the checkpoint's lease; ``require_space`` raises StateError when there is no room."""
        self._clock = clock
        self._store = store
        self._require_space = require_space
        now = clock.monotonic()
        self._leases: tuple[_Lease, ...] = (
            _Lease(store.renew, every=renewal_seconds(limits.lease_seconds), now=now),
            _Lease(hold_source, every=renewal_seconds(limits.checkpoint_seconds), now=now),
        )
        self._look_at = now + LOOK_SECONDS
        self.is_frozen = False  # by a verification, of whose checkpoint the record says nothing

    def end(self) -> None:
        """Look no more: the task gives up, and nothing may keep it from removing its checkpoint."""
        self._leases = ()
        self._look_at = inf

    def look(self) -> None:
        """Renew the leases and look at the space, when it is time.

        Raises:
            StateError: reason ``fenced``, a newer session has the replica; ``source_volume_full``, ``volume_full``.
        """
        now = self._clock.monotonic()
        for lease in self._leases:
            lease.look(now)
        pending = self._store.record.pending
        needs_room = self.is_frozen or (pending is not None and pending.is_frozen and not pending.is_sent)
        if needs_room and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look_at_space()

    def _look_at_space(self) -> None:
        try:
            self._require_space()
        except (TransportError, HypervisorError):
            pass  # told by whoever needs an answer of this host


class _Lease:
    """One lease: renewed when it is time, tried again soon when that fails, long before it ends."""

    def __init__(self, renew: Callable[[], None], *, every: float, now: float) -> None:
        self._renew = renew
        self._every = every
        self._at = now + every

    def look(self, now: float) -> None:
        """Renew at ``now`` (monotonic) if it is time. To be fenced or without room is a StateError."""
        if now < self._at:
            return
        self._at = now + self._every
        try:
            self._renew()
        except HypervisorError:
            self._at = now + min(AGAIN_SECONDS, self._every)
        except TransportError as error:
            if not error.retryable:
                raise
            self._at = now + min(AGAIN_SECONDS, self._every)
