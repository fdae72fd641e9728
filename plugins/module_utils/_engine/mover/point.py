# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The disk of a restore point while a source compares itself with it: read side by side with others, never written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ..errors import PeerError
from ..extents import Extent
from ..transfers import LeafState, Ticket
from ..wire.messages import Hello
from .leaf import Begin, leaf_state, open_chain, require_size


class PointDisk:
    """Fulfils ``target.TargetDisk``. Nothing becomes durable here: the source knows how far it has compared."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Open a chain, leaf first. Raises FormatError, RequestError ``file_missing``."""
        self._chain = open_chain(paths, writable=False)
        self._state = leaf_state(self._chain)

    @property
    def virtual_size(self) -> int:
        return self._chain.virtual_size

    def durable_until_of(self, _cycle_id: str) -> int:
        return 0

    def begin(self, _ticket: Ticket, hello: Hello) -> Begin:
        require_size(hello, self.virtual_size)
        return Begin(0, wants_gaps=False)

    def check_place(self, extent: Extent) -> None:
        if extent.end > self.virtual_size:
            raise PeerError(f"{extent} in a disk of {self.virtual_size}", reason="out_of_order")

    def write(self, offset: int, _data: memoryview) -> None:
        _refuse(offset)

    def zero(self, extent: Extent) -> None:
        _refuse(extent.offset)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._chain.read_into(offset, buffer)

    def reach(self, offset: int) -> None:
        """Only what is written reaches anywhere."""

    def make_durable(self) -> int:
        return 0

    def complete(self) -> LeafState:
        self._chain.close()
        return self._state

    def close(self) -> None:
        self._chain.close()


def _refuse(offset: int) -> NoReturn:
    raise PeerError(f"a restore point is only compared, the source sent data for {offset}", reason="read_only")
