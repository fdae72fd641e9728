# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a machine go away next: pure decisions over its tree of images.

A file is *pinned* while a checkpoint or the current state names it. One that nobody names takes over the content of its
only child (and the child goes), or goes itself when nothing stands on it. With two children it has to stay.
Source: [SA merge-checkpoints-with-many-differencing-disks], Remove-VMSnapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import RECOVERY, Drive, Machine, Merge


@dataclass(frozen=True, slots=True)
class Delete:
    """An image that nothing needs."""

    path: str


def next_step(machine: Machine) -> Merge | Delete | None:
    """Return what has to be merged or deleted next, None when the files are as they should be.

    A merge that would rewrite a file of a recovery checkpoint waits until that checkpoint is gone: somebody reads it.
    """
    pinned = {drive.path for drives in _named_drives(machine) for drive in drives}
    frozen = {
        path
        for checkpoint in machine.checkpoints
        if checkpoint.kind == RECOVERY
        for drive in checkpoint.settings.vhdx_drives()
        for path in machine.chain(drive.path)
    }
    return _step(machine.files, pinned=pinned, frozen=frozen)


def _step(parents: Mapping[str, str], *, pinned: Set[str], frozen: Set[str]) -> Merge | Delete | None:
    for path, parent in parents.items():
        if path in pinned or path in frozen:
            continue
        children = [child for child, its_parent in parents.items() if its_parent == path]
        if not children and parent:  # a base is the user's file, never deleted
            return Delete(path)
        if len(children) == 1 and children[0] not in frozen:
            return Merge(child=children[0], parent=path)
    return None


def rename(machine: Machine, *, old: str, new: str) -> None:
    """Let everything that named ``old`` name ``new``, after its content has moved there."""
    for drives in _named_drives(machine):
        for drive in drives:
            if drive.path == old:
                drive.path = new
    for child, parent in machine.files.items():
        if parent == old:
            machine.files[child] = new
    machine.files.pop(old, None)


def _named_drives(machine: Machine) -> Iterator[list[Drive]]:
    yield machine.settings.vhdx_drives()
    for checkpoint in machine.checkpoints:
        yield checkpoint.settings.vhdx_drives()
