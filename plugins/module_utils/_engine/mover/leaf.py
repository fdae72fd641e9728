# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The leaf of a replica while a mover holds it: who may write to it, from where on, and what is durable.

Order of events, each durable before the next: the journal names the identity that the leaf is about to get; the leaf
gets it; data; the journal moves on. Source: docs/design/mover_protocol.md, "Journal".
"""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from ..adapters import files
from ..adapters.files import LocalFile
from ..errors import EngineError, FormatError, PeerError, StateError
from ..extents import Extent
from ..formats.vhdx.chain import Chain
from ..formats.vhdx.check import check_chain
from ..transfers import LeafState, TargetOrder, Ticket
from ..wire.messages import Hello
from . import journal as journals
from .epochs import fenced
from .journal import Journal


class Begin(NamedTuple):
    """Where a source starts, and whether it sends gaps as well."""

    durable_until: int
    wants_gaps: bool


def open_chain(paths: Sequence[str], *, writable: bool, new_file_id: UUID | None = None) -> Chain:
    """Open a chain, leaf first; a writable leaf is locked, parents are only read. All files are closed on failure."""
    opened: list[LocalFile] = []
    try:
        for path in paths:
            opened.append(files.open_leaf(path) if writable and not opened else files.open_for_reading(path))
        return Chain.open(opened, writable=writable, new_id=(lambda: new_file_id or uuid.uuid4()) if writable else None)
    except BaseException:
        for file in opened:
            file.close()
        raise


def inspect_chain(paths: Sequence[str]) -> LeafState:
    """Check the structure of an idle chain and return the identity of its leaf.

    Raises FormatError for a chain that is broken, StateError ``leaf_locked`` for one that is in use.
    """
    if not paths:
        raise FormatError("a chain has one file at least", reason="chain_broken")
    opened = [_open_idle(paths[0])]
    try:
        opened += [files.open_for_reading(path) for path in paths[1:]]
        _raise_problems(check_chain(opened, after_crash=True), paths)
        return leaf_state(Chain.open(opened))
    finally:
        for file in opened:
            file.close()


def _open_idle(path: str) -> files.LocalFile:
    """Open a leaf that nobody writes to; several may look at once, so a call that is repeated does not meet itself."""
    try:
        return files.open_shared(path)
    except StateError as error:
        if error.reason != "file_locked":
            raise
        raise StateError(error.message, hint=error.hint, reason="leaf_locked") from error


def leaf_state(chain: Chain) -> LeafState:
    """Return the identity of a chain's leaf."""
    leaf = chain.leaf
    return LeafState(leaf.file_write_guid, leaf.data_write_guid, leaf.virtual_size, leaf.is_empty)


def _raise_problems(problems: list[str], paths: Sequence[str]) -> None:
    if problems:
        raise FormatError(
            f"{paths[0]}: {'; '.join(problems[:5])}",
            hint="apply the newest restore point of the replica, or make the replica anew",
            reason="chain_broken",
        )


def require_size(hello: Hello, size: int) -> None:
    """Raise StateError ``size_differs`` when the source's disk is not as large as the replica's."""
    if hello.virtual_size != size:
        raise StateError(
            f"the source disk has {hello.virtual_size} bytes, the replica's {size}",
            hint="resize the replica's disk, or replace it",
            reason="size_differs",
        )


class OpenLeaf:
    """A locked leaf with its journal. One thread at a time."""

    def __init__(self, order: TargetOrder, paths: Sequence[str]) -> None:
        """Open, lock and check. Raises StateError ``leaf_locked``, ``leaf_touched``, ``fenced``; FormatError."""
        self._paths = tuple(paths)
        self._file_write_guid = uuid.uuid4()
        self._chain = open_chain(paths, writable=True, new_file_id=self._file_write_guid)
        self._reached = 0  # bytes: written below, durable or not
        self._begun: Begin | None = None
        try:
            self._found = leaf_state(self._chain)
            self._journal = journals.load(paths[0])
            journals.tidy(paths[0])
            self._check(order)
            if self._found.data_write_guid != order.data_write_guid:  # a session wrote to it and did not finish
                _raise_problems(check_chain(self._chain.files, after_crash=True), paths)
        except BaseException:
            self._chain.close()
            raise
        recorded = order.data_write_guid
        self._recorded = recorded if recorded is not None else self._found.data_write_guid

    def _check(self, order: TargetOrder) -> None:
        journal, found, recorded = self._journal, self._found.data_write_guid, order.data_write_guid
        mine = journal is not None and journal.replica_id == order.ticket.replica_id
        if journal is not None and mine and journal.epoch > order.ticket.epoch:
            raise fenced(journal.replica_id, epoch=order.ticket.epoch, seen=journal.epoch)
        if recorded is None or recorded == found:
            return
        if journal is None or not journal.explains(found, recorded=recorded):
            raise StateError(
                f"{order.chain[0]} was changed by somebody else: DataWriteGuid {found}, the record says {recorded}",
                current=str(found),
                hint="was the replica started or its disk mounted? The next session has to compare",
                reason="leaf_touched",
            )

    @property
    def virtual_size(self) -> int:
        return self._chain.virtual_size

    def durable_until_of(self, cycle_id: str) -> int:
        """Return how far an earlier transfer of a cycle came."""
        journal = self._journal
        return journal.durable_until if journal is not None and self._continues(journal, cycle_id) else 0

    def _continues(self, journal: Journal, cycle_id: str) -> bool:
        return journal.cycle_id == cycle_id and self._found.data_write_guid in (journal.previous, journal.written)

    def begin(self, ticket: Ticket, hello: Hello) -> Begin:
        """Prepare the leaf for a source's plan, or for another connection of it."""
        require_size(hello, self.virtual_size)
        if self._begun is None:
            self._begun = self._announce(ticket, hello)
            self._reached = self._begun.durable_until
        elif self._journal is None or self._journal.plan != hello.plan.hex():
            raise PeerError("the source has changed its plan within a transfer", reason="plan_changed")
        return self._begun._replace(durable_until=self.make_durable())

    def _announce(self, ticket: Ticket, hello: Hello) -> Begin:
        old, plan = self._journal, hello.plan.hex()
        continues = old is not None and self._continues(old, ticket.cycle_id) and old.plan == plan
        is_new = old is not None and not old.cycle_id and old.written == self._found.data_write_guid
        was_empty = is_new or (continues and old is not None and old.was_empty)
        self._journal = Journal(
            replica_id=ticket.replica_id,
            disk_id=ticket.disk_id,
            cycle_id=ticket.cycle_id,
            epoch=ticket.epoch,
            plan=plan,
            was_empty=was_empty,
            durable_until=old.durable_until if continues and old is not None else 0,
            complete=False,
            base=self._recorded,
            previous=self._found.data_write_guid,
            written=uuid.uuid4(),
            file_write_guid=self._file_write_guid,
        )
        journals.store(self._paths[0], self._journal)
        self._chain.prepare(self._journal.written)
        for parent in self._paths[1:]:
            if os.path.dirname(parent) == os.path.dirname(self._paths[0]):  # elsewhere it may only read
                journals.forget(parent)
        return Begin(self._journal.durable_until, hello.whole_disk and not was_empty)

    def check_place(self, extent: Extent) -> None:
        """Hold the source to its order. Raises PeerError for an extent outside the disk or one that goes back."""
        if extent.offset < self._reached or extent.end > self.virtual_size:
            raise PeerError(f"{extent} after {self._reached}, disk of {self.virtual_size}", reason="out_of_order")

    def write(self, offset: int, data: memoryview) -> None:
        self._chain.write(offset, data)

    def zero(self, extent: Extent) -> None:
        self._chain.zero(extent.offset, extent.length)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._chain.read_into(offset, buffer)

    def reach(self, offset: int) -> None:
        """Note that everything of the plan below ``offset`` is written."""
        self._reached = offset

    def make_durable(self) -> int:
        """Flush, then move the journal on; return what is durable now."""
        if self._journal is None or self._begun is None:
            return 0
        if self._reached > self._journal.durable_until:
            self._chain.flush()
            self._advance(self._journal, durable_until=self._reached)
        return self._journal.durable_until

    def complete(self) -> LeafState:
        """Everything is written: make it durable, say so in the journal, close the leaf."""
        if self._journal is None:
            raise PeerError("the transfer has not begun", reason="out_of_order")
        self._chain.flush()
        self._advance(self._journal, durable_until=self.virtual_size, complete=True)
        state = leaf_state(self._chain)
        self._chain.close()
        return state

    def close(self) -> None:
        """Release the leaf; what can be made durable before is."""
        try:
            self.make_durable()
        except EngineError:
            pass  # the disk has failed before, and that was told; the journal says what is durable
        finally:
            self._chain.close()

    def _advance(self, journal: Journal, *, durable_until: int, complete: bool = False) -> None:
        """Move the journal on. The leaf was flushed, its new identity too: with an older one it is an older leaf."""
        self._journal = dataclasses.replace(
            journal, durable_until=durable_until, complete=complete, previous=journal.written
        )
        journals.store(self._paths[0], self._journal)
