# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The steps of a machine task as data: what each may change, and what the record says before it does.

The words are the table "Steps of a machine task" of docs/design/session.md; the tests hold the two equal, hold every
call of traced sessions to ``acts``, and kill a session at each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ..progress import Phase
from .record import Content, Pending, ReplicaRecord
from .retention import unused_files

Intent = Callable[[ReplicaRecord], bool]

# Calls that any step may make once the replica is taken: they record, or let go of something.
ALWAYS: Final = frozenset({"write_record", "hold_source", "close_transfer"})
# What a task that gives up does besides, in whatever step it was.
GIVING_UP: Final = frozenset({"remove_checkpoint", "remove_record"})


@dataclass(frozen=True, slots=True)
class Step:
    """``acts`` has each port call of the step that changes something, with what the record says before it is made."""

    phase: Phase
    intent: str
    act: str
    found_by: str
    restart: str
    acts: Mapping[str, Intent]


def _whatever(_record: ReplicaRecord) -> bool:
    """The call needs no intent: it undoes something that its own name or id explains."""
    return True


def _during(phase: Phase, condition: Callable[[Pending], bool] = lambda _pending: True) -> Intent:
    """The record has a cycle in a step, and more."""
    return lambda record: record.pending is not None and record.pending.step is phase and condition(record.pending)


def _has_cycle(record: ReplicaRecord) -> bool:
    return record.pending is not None and record.pending.checkpoint_id is not None


def _has_disks(record: ReplicaRecord) -> bool:
    return _has_cycle(record) and bool(record.disks)


def _knows_disks(record: ReplicaRecord) -> bool:
    return bool(record.disks)


def _doubts_leaf(record: ReplicaRecord) -> bool:
    return any(disk.content is Content.UNKNOWN for disk in record.disks)


_SENDING: Final = _during(Phase.TRANSFER, lambda pending: bool(pending.disks))
_SENT: Final = _during(Phase.CONVERT, lambda pending: all(disk.data_write_guid for disk in pending.disks))

STEPS: Final = (
    Step(
        Phase.INSPECT,
        intent="-",
        act="read source and target, refuse what cannot be replicated",
        found_by="-",
        restart="again",
        acts={},
    ),
    Step(
        Phase.LEASE,
        intent="-",
        act="record: epoch + 1, lease of this session (compare and set); fence and lease at the source host; finish or "
        "drop what a dead session left",
        found_by="epoch",
        restart="takes the lease when it ended, or when this manager knows its holder is dead",
        acts={"remove_checkpoint": _whatever},
    ),
    Step(
        Phase.CHECKPOINT,
        intent="name, cycle id",
        act="recovery checkpoint on the source",
        found_by="its name",
        restart="same checkpoint while it lives, else a new cycle",
        acts={"create_checkpoint": _during(Phase.CHECKPOINT)},
    ),
    Step(
        Phase.PREPARE,
        intent="files, machine marker",
        act="first run: create disks and machine, attach. Later: carry over configuration, prove the leaf untouched",
        found_by="path and disk id, marker in `Notes`",
        restart="again",
        acts={
            "create_machine": _has_cycle,
            "create_disk": _has_disks,
            "attach_disk": _has_disks,
            "detach_disk": _knows_disks,
            "set_nic": _has_cycle,
            "remove_nic": _has_cycle,
            "update_machine": _has_cycle,
            "apply_restore_point": _doubts_leaf,
            "remove_file": _knows_disks,
            "open_target": _knows_disks,  # and closed again: does the journal explain what a dead session left
        },
    ),
    Step(
        Phase.TRANSFER,
        intent="checkpoint id, scope of each disk",
        act="movers send frozen extents into the leaves",
        found_by="ticket's cycle id, journal beside the leaf",
        restart="same cycle: goes on where it was; new cycle: overwrites (changes are a superset), compares, or "
        "applies the newest restore point and sends again when a leaf is unclean",
        acts={"open_target": _SENDING, "start_source": _SENDING},
    ),
    Step(
        Phase.CONVERT,
        intent="state of each leaf",
        act="checkpoint becomes a reference point and merges away",
        found_by="checkpoint id",
        restart="again: the host returns the same reference point",
        acts={"convert_checkpoint": _SENT, "remove_checkpoint": _SENT},
    ),
    Step(
        Phase.RESTORE_POINT,
        intent="reference point, RCT ids, name",
        act="`Checkpoint-VM` on the replica, wait until idle, take fingerprints",
        found_by="its name",
        restart="again, when the leaves are as recorded; else the cycle is dropped",
        acts={"create_restore_point": _during(Phase.RESTORE_POINT)},
    ),
    Step(
        Phase.COMMIT,
        intent="-",
        act="record: restore point, tracking point, fingerprints; `pending` goes",
        found_by="epoch and content",
        restart="-",
        acts={},
    ),
    Step(
        Phase.TIDY,
        intent="old reference point in `obsolete`",
        act="destroy it on the source",
        found_by="its id",
        restart="again at the next session",
        acts={"remove_reference_point": lambda record: bool(record.obsolete_reference_points)},
    ),
    Step(
        Phase.RETENTION,
        intent="ids in `removing`",
        act="remove restore points oldest first, wait for each merge, take fingerprints again",
        found_by="their ids",
        restart="again at the next session",
        acts={
            "remove_restore_point": lambda record: bool(record.removing),
            "remove_file": lambda record: bool(unused_files(record)),
        },
    ),
    Step(
        Phase.RELEASE,
        intent="-",
        act="record: no lease, last error",
        found_by="-",
        restart="lease ends by itself",
        acts={},
    ),
)

# What a verification does after ``lease`` and before ``release``.
VERIFICATION_STEPS: Final = (
    Step(
        Phase.STRUCTURE,
        intent="-",
        act="refuse a replica that was touched; the target mover checks the files of every restore point",
        found_by="-",
        restart="again",
        acts={},
    ),
    Step(
        Phase.CHECKPOINT,
        intent="-",
        act="recovery checkpoint on the source, crash-consistent",
        found_by="replica and session in its name",
        restart="the next session of the replica removes it, or the host when its lease has ended",
        acts={"create_checkpoint": _whatever},
    ),
    Step(
        Phase.VERIFY,
        intent="-",
        act="movers compare what has not changed since the tracking point; record: `repairs`, `verified`; the "
        "checkpoint goes",
        found_by="-",
        restart="again, from the beginning",
        acts={"open_target": _whatever, "start_source": _whatever, "remove_checkpoint": _whatever},
    ),
)

BY_PHASE: Final = {step.phase: step for step in STEPS}
CHANGING: Final = ALWAYS | GIVING_UP | {call for step in STEPS for call in step.acts}
