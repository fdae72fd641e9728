# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The transfer step of a machine: decide for each disk what is sent, record it, send it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from ...errors import Cancelled, EngineError, HypervisorError, StateError, TrackingLost, TransportError
from ...extents import Extent, grow, total
from ...machines import VERSION_TRACKED, FrozenDisk
from ...model.bottleneck import bottleneck, together
from ...model.forecast import LEAF_BLOCK, Disk, expected_changes
from ...model.record import PendingDisk, ReplicaDisk
from ...model.repairs import with_repairs
from ...model.scopes import Decision, Evidence, Reason, content_during, decide, goes_on
from ...progress import Phase, readable
from ...stops import Stop
from ...transfers import Scope
from .disk_transfer import DiskOrder, DiskTransfer, LeafTouched, covers
from .foreign import renew, tell_differences, unexplained, untouched_disks
from .leaves import LeafUnclean, chain_of
from .rest import require_short_chains
from .source import require_frozen
from .target import prepare
from .work import Work

ATTEMPTS_MAX = 4  # of the whole step: each turns a doubt about a leaf into something safe


def replicate_disks(work: Work, frozen: Sequence[FrozenDisk], *, resumed: Mapping[UUID, PendingDisk]) -> None:
    """Prepare the replica and bring its leaves to the frozen state of the source.

    ``resumed`` has what a dead session was doing in this very cycle; its transfers go on.
    """
    renewed = False
    for _attempt in range(ATTEMPTS_MAX):
        try:
            _run(work, frozen, resumed=resumed)
            return tell_differences(work)
        except LeafTouched as signal:
            unexplained(work, signal.disk_id, found=signal.found)
        except LeafUnclean as problem:
            if renewed:  # a fresh leaf is no better: the damage is below it
                raise problem.error from problem
            renew(work, problem)
            renewed = True
    raise StateError(
        f"the leaves of replica {work.record.target.name} do not come to rest",
        hint="is somebody working on the replica? Its newest restore point is untouched",
        reason="leaf_touched",
    )


def _run(work: Work, frozen: Sequence[FrozenDisk], *, resumed: Mapping[UUID, PendingDisk]) -> None:
    work.enter(Phase.PREPARE)
    untouched: frozenset[UUID] = frozenset()
    if work.record.target.vm_id is not None:
        untouched = untouched_disks(work)
    new = prepare(work, frozen)
    decisions = _decide(work, frozen, untouched=untouched, resumed=resumed) | new
    orders = _orders(work, frozen, decisions=decisions)
    _record(work, orders)
    work.enter(Phase.TRANSFER)
    try:
        _transfer(work, orders)
    except Cancelled:
        raise
    except EngineError:
        _require_frozen_yet(work)
        raise


def _decide(
    work: Work, frozen: Sequence[FrozenDisk], *, untouched: frozenset[UUID], resumed: Mapping[UUID, PendingDisk]
) -> dict[UUID, Decision]:
    alive = tracking_point_lives(work)
    if work.record.tracking is not None and not alive:
        work.warn_once(
            f"the reference point of the last session is not on {work.job.source_host}: {_who_removed(work)}"
        )
    decisions = {}
    for disk in frozen:
        known = work.record.disk(disk.disk_id)
        if known is None:
            continue
        is_untouched = disk.disk_id in untouched
        earlier = resumed.get(disk.disk_id)
        if earlier is not None and is_untouched and goes_on(known.content, earlier.scope):
            decisions[disk.disk_id] = Decision(earlier.scope, Reason.RESUMED)
        else:
            known_of = evidence(work, disk.disk_id, tracking_point_alive=alive, leaf_untouched=is_untouched)
            decisions[disk.disk_id] = decide(known, disk, evidence=known_of)
    return decisions


def tracking_point_lives(work: Work) -> bool:
    """Ask the source for the reference point that the record names."""
    tracking = work.record.tracking
    return tracking is not None and tracking.reference_point_id in {
        point.reference_point_id for point in work.source.reference_points(work.vm_id)
    }


def _who_removed(work: Work) -> str:
    """Guess where our reference point went: some products remove all others after a full backup. Source: Bareos."""
    ours = set(work.record.obsolete_reference_points)
    if any(point.reference_point_id not in ours for point in work.source.reference_points(work.vm_id)):
        return "another backup product has made one since, and likely removed all others, as Bareos does"
    return "somebody removed it, or the machine was imported anew"


def evidence(work: Work, disk_id: UUID, *, tracking_point_alive: bool, leaf_untouched: bool = True) -> Evidence:
    """Return what is known of a disk before a cycle."""
    tracking = work.record.tracking
    return Evidence(
        leaf_untouched=leaf_untouched,
        version_tracked=work.config.machine.version_number >= VERSION_TRACKED,
        rct_id=tracking.rct_ids.get(disk_id) if tracking is not None else None,
        tracking_point_alive=tracking_point_alive,
    )


def _orders(work: Work, frozen: Sequence[FrozenDisk], *, decisions: Mapping[UUID, Decision]) -> list[DiskOrder]:
    orders = []
    for disk in frozen:
        known = work.record.disk(disk.disk_id)
        if known is None:
            raise StateError(f"disk {disk.slot} is not in the record", reason="record_invalid")
        decision, changed = changes(work, disk, decision=decisions[disk.disk_id])
        if known.repairs:
            work.reporter.warn(f"disk {disk.slot}: {readable(total(known.repairs))} that are bad are sent again")
        if decision.scope is Scope.COMPARE:
            work.reporter.warn(f"disk {disk.slot} is compared as a whole: {decision.reason.value}")
        chain, size = chain_of(work, known.leaf), disk.geometry.virtual_size
        require_short_chains(work, [len(chain)], what=f"replica {work.record.target.name}", host=work.job.target_host)
        orders.append(
            DiskOrder(
                disk_id=disk.disk_id,
                slot=disk.slot,
                size=size,
                decision=decision,
                extents=covers(decision.scope, with_repairs(changed, known), size=size),
                source_chain=tuple(work.on_source(path) for path in disk.chain),
                target_chain=chain,
                data_write_guid=known.data_write_guid,
                cycle_id=str(work.pending.cycle_id),
                basis=_basis(work, known) if decision.scope is Scope.CHANGED else "",
            )
        )
    _claim_room_for(work, frozen, orders)
    return orders


def _basis(work: Work, disk: ReplicaDisk) -> str:
    """Name what a list of changes covers at least, however often the host is asked for it."""
    since = work.record.tracking.rct_ids.get(disk.disk_id) if work.record.tracking is not None else None
    return f"since {since}, {[(extent.offset, extent.length) for extent in disk.repairs]}"


def changes(work: Work, disk: FrozenDisk, *, decision: Decision) -> tuple[Decision, Sequence[Extent]]:
    """Ask for changes where they are to be sent; an answer that cannot be trusted leads to a comparison."""
    tracking = work.record.tracking
    if decision.scope is not Scope.CHANGED or tracking is None:
        return decision, ()
    try:
        rct_id = tracking.rct_ids[disk.disk_id]
        return decision, work.source.changed_extents(disk.chain[0], rct_id=rct_id, size=disk.geometry.virtual_size)
    except (TrackingLost, KeyError) as error:
        work.reporter.warn(f"changes of disk {disk.slot} are not known: {error}")
        return Decision(Scope.COMPARE, Reason.TRACKING_LOST), ()


def claim_room(work: Work, disks: Sequence[Disk]) -> None:
    """Foresee the cycle before it begins, and claim its room on both hosts."""
    work.space.claim(work.record, disks, changed=expected_changes(work.record, disks, now=work.site.clock.now()))


def _claim_room_for(work: Work, frozen: Sequence[FrozenDisk], orders: Sequence[DiskOrder]) -> None:
    """Claim again now that the host has told what changed; a comparison may need less than anybody can tell."""
    tracked = [order for order in orders if order.decision.scope is Scope.CHANGED]
    changed = {**work.space.forecast.changed, **{order.disk_id: total(order.extents) for order in tracked}}
    blocks = {order.disk_id: total(grow(order.extents, grain=LEAF_BLOCK, size=order.size)) for order in tracked}
    work.space.claim(work.record, frozen, changed=changed, taken={**changed, **blocks})


def _record(work: Work, orders: Sequence[DiskOrder]) -> None:
    """Record what the leaves may hold from now on, before the first byte is written."""
    by_id = {order.disk_id: order for order in orders}
    repairs = {disk.disk_id: disk.repairs for disk in work.record.disks}
    pending = replace(
        work.pending,
        step=Phase.TRANSFER,
        disks=tuple(
            PendingDisk(
                order.disk_id,
                order.decision.scope,
                order.decision.reason.value,
                tuple(path.path for path in order.source_chain),
                None,
                total(order.extents) if order.decision.scope is Scope.CHANGED else None,
                repairs[order.disk_id],
            )
            for order in orders
        ),
    )

    def during(disk: ReplicaDisk) -> ReplicaDisk:
        order = by_id.get(disk.disk_id)
        return disk if order is None else replace(disk, content=content_during(disk.content, order.decision.scope))

    work.store.save(replace(work.record, pending=pending, disks=tuple(during(disk) for disk in work.record.disks)))
    work.reporter.begin_disks([(str(order.slot), order.disk_id, order.decision) for order in orders])


def run_transfers(work: Work, orders: Sequence[DiskOrder]) -> list[DiskTransfer]:
    """Carry out the orders, some side by side, to their end."""
    started_at = work.site.clock.monotonic()
    waiting = list(orders)
    begun: list[DiskTransfer] = []
    running: list[DiskTransfer] = []
    try:
        while waiting or running:
            if not running:
                work.site.stop.heed(Stop.AFTER_DISK)
            while waiting and len(running) < work.site.limits.disks and not work.site.stop.is_up(Stop.AFTER_DISK):
                begun.append(DiskTransfer(work, waiting.pop(0)))
                running.append(begun[-1])
            running = [transfer for transfer in running if not transfer.poll()]
            work.space.note_left(1 - work.reporter.status.percent / 100)
            if running:
                work.pause()
    finally:
        for transfer in running:
            transfer.close()
        work.note_transfers(
            [transfer.report for transfer in begun],
            seconds=work.site.clock.monotonic() - started_at,
            slowest=bottleneck(together(transfer.parts for transfer in begun)),
        )
    return begun


def _require_frozen_yet(work: Work) -> None:
    """Raise what explains that a mover cannot read the source any more, if it is that."""
    try:
        require_frozen(work)
    except (TransportError, HypervisorError):
        pass  # the error of the transfer is the one to tell


def _transfer(work: Work, orders: Sequence[DiskOrder]) -> None:
    started_at = work.site.clock.monotonic()
    sent = {transfer.disk_id: transfer for transfer in run_transfers(work, orders)}
    seconds = work.pending.seconds + work.site.clock.monotonic() - started_at
    disks = tuple(_sent(disk, sent[disk.disk_id]) for disk in work.pending.disks)
    traffic = sum((report.traffic for report in work.disk_reports), work.pending.traffic)
    require_frozen(work)
    work.intend(replace(work.pending, step=Phase.CONVERT, disks=disks, traffic=traffic, seconds=seconds))


def _sent(disk: PendingDisk, transfer: DiskTransfer) -> PendingDisk:
    """Return what became of a disk; a comparison of the whole disk has found out what differs."""
    changed, traffic = disk.changed, transfer.report.traffic
    if disk.scope is Scope.COMPARE and disk.reason != Reason.RESUMED.value:
        changed = traffic.total - traffic.same
    return replace(disk, data_write_guid=transfer.data_write_guid, changed=changed)
