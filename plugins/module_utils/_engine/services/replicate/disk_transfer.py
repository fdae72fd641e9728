# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The transfer of one disk between two movers, watched and held through lost connections.

The movers reconnect to each other by themselves. What this adds: a mover that was restarted knows nothing of its
transfers, so they are opened again, and go on where the journal beside the leaf says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from ...errors import EngineError, FormatError, PeerError, RequestError, StateError, TransportError
from ...extents import Extent, normalize
from ...machines import HostPath, Slot
from ...model.bottleneck import bottleneck, busy_by_part, together
from ...model.naming import readable_time
from ...model.scopes import Decision
from ...ports import Mover
from ...progress import Amount
from ...reports import DiskReport, Outcome, Traffic
from ...transfers import Sample, Scope, Side, SourceOrder, TargetOrder, Ticket, TransferState, TransferStatus
from ...wire.failures import error_from_plain
from .leaves import LeafUnclean
from .movers import in_words_of_the_host
from .stall import Stall
from .work import Work

UNKNOWN: frozenset[str] = frozenset({"transfer_unknown", "ticket_refused", "ticket_expired"})
RATE_WEIGHT = 0.3  # of the newest measurement in the smoothed rate


@dataclass(frozen=True, slots=True)
class DiskOrder:
    """What to send of a disk, from which frozen chain into which leaf (both leaf first), or what to compare."""

    disk_id: UUID
    slot: Slot
    size: int  # bytes
    decision: Decision
    extents: tuple[Extent, ...]
    source_chain: tuple[HostPath, ...]
    target_chain: tuple[HostPath, ...]
    data_write_guid: UUID | None
    cycle_id: str  # names the frozen content
    sample: Sample | None = None
    basis: str = ""  # see ``SourceOrder``


class LeafTouched(Exception):
    """A signal between steps: no journal explains what a leaf holds, so it has to be compared."""

    def __init__(self, disk_id: UUID, *, found: str) -> None:
        """``found`` is the DataWriteGuid that the leaf has."""
        super().__init__(str(disk_id))
        self.disk_id = disk_id
        self.found = UUID(found)


class DiskTransfer:
    """One disk under way."""

    def __init__(self, work: Work, order: DiskOrder) -> None:
        self._work = work
        self._order = order
        self._source: Mover = work.source_movers.serving(order.source_chain)
        self._target: Mover = work.target_movers.serving(order.target_chain)
        self._ticket: Ticket | None = None
        self._started_at = self._alive_at = self._seen_at = work.site.clock.monotonic()
        self._before = Traffic()  # of earlier attempts
        self._parts_before: dict[str, float] = {}
        self._status = self._target_status = TransferStatus(TransferState.WAITING)
        self._amount = Amount()
        self._next_at = self._started_at  # nothing is tried before
        self._is_open = False
        self._stall = Stall(work.site.limits.stall_seconds)
        self._is_outage_told = False
        self._asked = self._target  # the mover that was called last
        self._waiting_since: float | None = None  # seconds since 1970; None: it goes on
        self._peer_errors = 0
        self._compared_until = self._compared_bytes = 0  # by earlier attempts of a verification
        self._bad_before: tuple[Extent, ...] = ()
        self._bad_bytes_before = 0
        self.data_write_guid: UUID | None = None

    @property
    def disk_id(self) -> UUID:
        return self._order.disk_id

    @property
    def parts(self) -> dict[str, float]:
        """Busy seconds of each part of the data path, earlier attempts included."""
        return together([self._parts_before, busy_by_part(self._status, self._target_status)])

    @property
    def report(self) -> DiskReport:
        """What was done so far, also when it failed."""
        order, traffic = self._order, self._before + self._traffic(self._status)
        return DiskReport(
            slot=str(order.slot),
            disk_id=order.disk_id,
            scope=order.decision.scope.value,
            reason=order.decision.reason.value,
            traffic=replace(traffic, disk=order.size, total=self._amount.total),
            seconds=self._seen_at - self._started_at,
            bottleneck=bottleneck(self.parts),
            bad_bytes=self._bad_bytes_before + self._status.bad_bytes,
            bad=self.bad,
        )

    @property
    def bad(self) -> tuple[Extent, ...]:
        """What a verification found bad so far."""
        return tuple(normalize([*self._bad_before, *self._status.bad], size=self._order.size))

    def _open(self) -> None:
        """Open both sides. Raises LeafUnclean, LeafTouched, or what a mover refuses."""
        site, order, record = self._work.site, self._order, self._work.record
        ticket = Ticket(
            secret=site.new_secret(),
            source_mover=self._source.name,
            target_mover=self._target.name,
            replica_id=record.replica_id,
            disk_id=order.disk_id,
            cycle_id=order.cycle_id,
            epoch=record.epoch,
            lifetime_seconds=site.limits.ticket_seconds,
        )
        self._ticket = ticket
        read_only = order.decision.scope is Scope.VERIFY
        self._open_leaf(TargetOrder(ticket, order.target_chain, order.data_write_guid, read_only))
        self._asked = self._source
        source_order = SourceOrder(
            ticket=ticket,
            chain=order.source_chain,
            scope=order.decision.scope,
            extents=self._extents(),
            unit=self._work.job.block_size,
            compression=self._work.job.compression.level,
            target_address=self._target.data_address,
            sample=order.sample,
            basis=order.basis,
        )
        try:
            self._status = self._source.start_source(source_order)
        except (RequestError, StateError) as error:
            raise in_words_of_the_host(error, order.source_chain[0]) from error

    def _extents(self) -> tuple[Extent, ...]:
        """Return those of the order; what is left out of a verification is also what was compared before."""
        order, compared = self._order, Extent(0, self._compared_until)
        return tuple(normalize([*order.extents, compared], size=order.size)) if compared.length else order.extents

    def _open_leaf(self, target_order: TargetOrder) -> None:
        self._asked = self._target
        try:
            self._target.open_target(target_order)
        except FormatError as error:
            raise LeafUnclean(error, self.disk_id) from error
        except (RequestError, StateError) as error:
            if isinstance(error, StateError) and error.reason == "leaf_touched":
                raise LeafTouched(self.disk_id, found=error.current) from error
            raise in_words_of_the_host(error, self._order.target_chain[0]) from error

    def poll(self) -> bool:
        """Begin, go on, or look how far it is; True when all is durable at the target.

        Raises LeafUnclean, LeafTouched, or what ended it for good.
        """
        if self._work.site.clock.monotonic() < self._next_at:
            return False
        try:
            if not self._is_open:
                self._reopen()
            statuses = self._statuses()
            return statuses is not None and self._judge(*statuses)
        except EngineError as error:
            self._is_open = False
            self._try_later(error)
            return False

    def _statuses(self) -> tuple[TransferStatus, TransferStatus] | None:
        """Ask both movers; None when one cannot be reached now: they may well go on without their manager."""
        try:
            self._asked = self._source
            source = self._source.status(self._known, side=Side.SOURCE)
            self._asked = self._target
            return source, self._target.status(self._known, side=Side.TARGET)
        except TransportError as error:
            self._try_later(error)
            return None

    def _judge(self, source: TransferStatus, target: TransferStatus) -> bool:
        self._note(source, target)
        for status in (source, target):
            if status.state in (TransferState.FAILED, TransferState.CANCELLED):
                # Each passes on what ended the other, and only the target runs out of room.
                error = error_from_plain(status.error)
                is_full = error.reason == "volume_full"
                raise in_words_of_the_host(error, self._order.target_chain[0]) if is_full else error
        if source.state is not TransferState.DONE or target.state is not TransferState.DONE:
            self._stall.check(source, target, now=self._seen_at)
            return False
        self.data_write_guid = target.leaf.data_write_guid if target.leaf is not None else None
        self._work.reporter.disk(self.disk_id, outcome=Outcome.DONE, amount=self._amount)
        self.close()
        return True

    def _try_later(self, error: EngineError) -> None:
        """Wait before the next try; an outage is told once. Raises the error when trying again does not help."""
        if not self._may_retry(error):
            raise error
        self._next_at = self._work.site.clock.monotonic() + self._work.site.limits.reconnect_seconds
        if not self._is_outage_told:
            self._is_outage_told = True
            self._work.reporter.warn(f"disk {self._order.slot}: {error.message}; trying again")
        self._tell_waiting(self._asked)

    def _tell_waiting(self, mover: Mover) -> None:
        """Nothing moves until a mover is back: no rate, and no end in sight."""
        if self._waiting_since is None:
            self._waiting_since = self._work.site.clock.now()
        waiting = f"waiting for mover {mover.name} since {readable_time(self._waiting_since)}"
        self._amount = replace(self._amount, rate=0)
        self._work.reporter.disk(self.disk_id, outcome=Outcome.RUNNING, amount=self._amount, waiting=waiting)

    @property
    def _known(self) -> Ticket:
        if self._ticket is None:
            raise StateError("the transfer was not started", reason="transfer_unknown")
        return self._ticket

    def _note(self, status: TransferStatus, target: TransferStatus) -> None:
        """Measure the rate and pass the progress on."""
        now = self._work.site.clock.monotonic()
        total, processed = (self._compared_bytes + count for count in (status.total, status.processed))
        done, seconds = processed - self._amount.processed, now - self._seen_at
        rate = self._amount.rate
        if seconds > 0:
            newest = max(0, done) / seconds
            rate = int(newest if not rate else rate + RATE_WEIGHT * (newest - rate))
        if done > 0:
            self._alive_at = now
            self._is_outage_told = False
        self._seen_at, self._status, self._target_status = now, status, target
        self._amount = Amount(total, processed, self._before.sent + status.sent, rate)
        if status.state is TransferState.WAITING:  # the source mover has no connection to the target mover
            self._tell_waiting(self._target)
            return
        self._waiting_since = None
        self._work.reporter.disk(self.disk_id, outcome=Outcome.RUNNING, amount=self._amount)

    def _may_retry(self, error: EngineError) -> bool:
        clock, limits = self._work.site.clock, self._work.site.limits
        if clock.monotonic() - self._alive_at > limits.reconnect_limit_seconds:
            return False
        if isinstance(error, PeerError):
            self._peer_errors += 1
            return self._peer_errors == 1
        return (isinstance(error, TransportError) and error.retryable) or (
            isinstance(error, StateError) and error.reason in UNKNOWN
        )

    def _reopen(self) -> None:
        """Begin with a new ticket; what is durable of the cycle is not sent again."""
        self.close()
        if self._order.decision.scope is Scope.VERIFY:
            self._compared_until = max(self._compared_until, self._status.durable_until)
            self._compared_bytes += self._status.processed
            self._bad_before, self._bad_bytes_before = self.bad, self.report.bad_bytes
        self._before += self._traffic(self._status)
        self._parts_before = self.parts
        self._status = self._target_status = TransferStatus(TransferState.WAITING)
        self._open()
        self._stall = Stall(self._work.site.limits.stall_seconds)
        self._is_open = True

    @staticmethod
    def _traffic(status: TransferStatus) -> Traffic:
        return Traffic(read=status.read, sent=status.sent, zero=status.zero, same=status.same)

    def close(self) -> None:
        """Release both sides; a mover that is not reached lets go by itself when the ticket ends or an epoch passes."""
        ticket, self._ticket = self._ticket, None
        if ticket is None:
            return
        for mover in (self._source, self._target):
            try:
                mover.close_transfer(ticket)
            except EngineError:
                pass  # said in the comment above; the error that led here is the one to tell


def whole_disk(size: int) -> tuple[Extent, ...]:
    """Return the extents of a comparison."""
    return (Extent(0, size),)


def covers(scope: Scope, changed: Sequence[Extent], *, size: int) -> tuple[Extent, ...]:
    """Return the extents of an order."""
    if scope is Scope.ALLOCATED:
        return ()
    return whole_disk(size) if scope is Scope.COMPARE else tuple(changed)
