# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The movers of one side of a job: which of them serves a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from ...errors import EngineError, RequestError, StateError, TransportError
from ...machines import DiskGeometry, HostPath
from ...ports import Mover
from ...transfers import LeafState, MoverInfo, TargetOrder
from .patience import Patience


class Movers:
    """Movers in order of preference; connected when first needed."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        connect: Callable[[str], Mover],
        option: str,
        patience: Patience,
        meet: Callable[[MoverInfo], None],
    ) -> None:
        """``meet`` hears once of each mover that is reached."""
        self._names = tuple(names)
        self._connect = connect
        self._option = option
        self._patience = patience
        self._meet = meet
        self._roots: dict[str, tuple[HostPath, ...]] = {}
        self._movers: dict[str, Mover] = {}

    def serving(self, paths: Sequence[HostPath]) -> Mover:
        """Return the first mover that is reached and serves all paths.

        Raises:
            TransportError: none serves them, and some could not be reached.
            RequestError: reason ``path_not_served``; all were reached.
        """
        unreached: EngineError | None = None
        for name in self._names:
            try:
                if all(any(path.is_under(root.path) for root in self._of(name, path.host)) for path in paths):
                    return self._movers[name]
            except TransportError as error:
                unreached = unreached or error
        if unreached is not None:
            raise unreached
        raise RequestError(
            f"option {self._option}: no mover of {', '.join(self._names)} serves {paths[0]}",
            hint=f"add an access rule for it to a mover, or name another one in {self._option}",
            reason="path_not_served",
        )

    def open_and_close(self, order: TargetOrder) -> None:
        """Open a leaf as a transfer would, with patience, and let go of it; nothing is written."""

        def look() -> None:
            mover = self.serving(order.chain)
            try:
                mover.open_target(order)
            finally:
                mover.close_transfer(order.ticket)

        self._patience.call(look)

    def inspect(self, chain: Sequence[HostPath]) -> LeafState:
        """Check an idle chain with patience; see ``ports.Mover``."""
        return self._patience.call(lambda: self.serving(chain).inspect(chain))

    def create_disk(self, path: HostPath, geometry: DiskGeometry, *, replica_id: UUID, epoch: int) -> None:
        """Create a base image with patience; see ``ports.Mover``."""
        try:
            self._patience.call(
                lambda: self.serving([path]).create_disk(path, geometry, replica_id=replica_id, epoch=epoch)
            )
        except (RequestError, StateError) as error:
            raise in_words_of_the_host(error, path) from error

    def close(self) -> None:
        for mover in self._movers.values():
            mover.close()
        self._movers.clear()

    def _of(self, name: str, host: str) -> list[HostPath]:
        if name not in self._roots:
            if name not in self._movers:
                self._movers[name] = self._connect(name)
            info = self._movers[name].describe()
            self._meet(info)
            parts = [root.partition(":") for root in info.roots]
            self._roots[name] = tuple(HostPath(part[0], part[2]) for part in parts)
        return [root for root in self._roots[name] if root.host == host]


def in_words_of_the_host(error: EngineError, path: HostPath) -> EngineError:
    """Return a mover's error without the mover's own path, which says nothing to a user, where one is known to be."""
    said = _SAID.get(error.reason)
    return error if said is None else type(error)(said.format(path), hint=error.hint, reason=error.reason)


_SAID: Final = {
    "file_missing": "{} is missing, or a file that it stands on",
    "storage_failed": "the storage of {} reports an error",
    "volume_full": "the volume of {} has no room left",
}
