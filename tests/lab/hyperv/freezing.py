# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every checkpoint does to the files: the leaves stand still, new ones take the writes."""

from __future__ import annotations

import copy
from uuid import uuid4

from ansible_collections.opendr.hyperv.tests.lab.hyperv.disks import Disks
from ansible_collections.opendr.hyperv.tests.lab.hyperv.images import child_path
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Checkpoint, Machine, Settings


def freeze(lab: Lab, disks: Disks, *, machine: Machine, name: str, kind: str, consistency: str) -> Checkpoint:
    """Make a checkpoint of the present state and put an empty leaf on each disk. The caller has checked the state.

    The new files are in the trash list until the new state is saved, so a kill in between leaves none behind.
    """
    checkpoint = Checkpoint(
        checkpoint_id=str(uuid4()).upper(),
        name=name,
        created_at=lab.now(),
        kind=kind,
        consistency=consistency,
        parent_id=machine.current_parent,
        settings=copy.deepcopy(machine.settings),
        ignored=[drive.slot for drive in machine.settings.drives if drive not in machine.settings.vhdx_drives()],
    )
    with disks.offline_edits_allowed(machine), lab.images.paused(machine):
        put_leaves(lab, machine, settings=machine.settings)
        machine.checkpoints.append(checkpoint)
        machine.current_parent = checkpoint.checkpoint_id
    lab.shadows.freeze(
        machine.vm_id,
        checkpoint.checkpoint_id,
        disk_ids=[drive.disk_id for drive in machine.settings.vhdx_drives()],
        label={"name": name, "created_at": checkpoint.created_at, "kind": kind, "consistency": consistency},
    )
    machine.trash = []
    lab.commit()
    return checkpoint


def put_leaves(lab: Lab, machine: Machine, *, settings: Settings) -> None:
    """Put a new empty file on top of each disk of ``settings``; nothing changes when one cannot be made."""
    new = {drive.path: child_path(drive.path) for drive in settings.vhdx_drives()}
    machine.trash = list(new.values())
    lab.commit()
    try:
        for parent, child in new.items():
            lab.images.walk(parent)
            lab.images.create_child(child, parent)
    except BaseException:
        for child in new.values():
            lab.volumes.remove_file(child)
        machine.trash = []
        raise
    machine.files.update({child: parent for parent, child in new.items()})
    for drive in settings.vhdx_drives():
        drive.path = new[drive.path]


def take_out(machine: Machine, checkpoint: Checkpoint) -> None:
    """Remove a checkpoint from the tree: what stood on it stands on its parent."""
    machine.checkpoints.remove(checkpoint)
    for child in machine.checkpoints:
        if child.parent_id == checkpoint.checkpoint_id:
            child.parent_id = checkpoint.parent_id
    if machine.current_parent == checkpoint.checkpoint_id:
        machine.current_parent = checkpoint.parent_id
