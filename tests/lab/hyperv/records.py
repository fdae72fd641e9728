# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The replica records of the host: ``replica.json`` beside a replica's disks, and the fence that it makes.

This is a host function of its own, not one of Hyper-V: docs/design/host_contract.md.
"""

from __future__ import annotations

import json
import ntpath
from typing import Final, NamedTuple

from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import is_inside
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError

FILE_NAME: Final = "replica.json"
LENGTH_MAX: Final = 1024 * 1024  # characters


class Stored(NamedTuple):
    """A record; ``age_seconds`` since it was written last, by the host's clock."""

    epoch: int
    revision: int
    age_seconds: int
    text: str


class Records:
    """Reads and replaces records under the lab's lock."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def read(self, folder: str) -> Stored | None:
        """Return the record in a folder, None when there is none. Raises HostError Hvr.RecordInvalid."""
        path = ntpath.join(folder, FILE_NAME)
        text = self._lab.volumes.read_text(path)
        return None if text is None else Stored(*numbers_of(text, folder), self._age_seconds(path), text)

    def write(self, folder: str, *, expected: tuple[int, int], text: str) -> None:
        """Replace the record when its epoch and revision are the expected ones; 0, 0: there is none."""
        self.check_folder(folder)
        epoch, revision = numbers_of(text, folder)
        stored = self.read(folder)
        path = ntpath.join(folder, FILE_NAME)
        if stored is not None and stored.text == text:
            self._lab.volumes.date(path, self._lab.now())
            return
        found = (stored.epoch, stored.revision) if stored else (0, 0)
        if found != expected:
            raise fenced(folder, f"the record has epoch and revision {found}, not {expected}")
        if epoch not in {found[0], found[0] + 1} or epoch == 0 or revision != found[1] + 1:
            raise HostError(
                "Hvr.RecordInvalid",
                f"epoch and revision {epoch, revision} cannot follow {found} in {folder}",
                category=Category.INVALID_DATA,
                target=folder,
            )
        self._lab.volumes.write_text(path, text)
        self._lab.volumes.date(path, self._lab.now())

    def find(self, folder: str) -> list[tuple[str, Stored]]:
        """Return each record one level below a folder; an unreadable one has epoch and revision 0."""
        found = []
        for each in self._lab.volumes.subfolders(folder):
            try:
                record = self.read(each)
            except HostError:
                record = Stored(0, 0, 0, self._lab.volumes.read_text(ntpath.join(each, FILE_NAME)) or "")
            if record is not None:
                found.append((each, record))
        return found

    def _age_seconds(self, path: str) -> int:
        return max(0, int(self._lab.now() - self._lab.volumes.dated(path)))

    def remove(self, folder: str) -> None:
        """Delete the record, and the folder when it is empty then."""
        self._lab.volumes.remove_file(ntpath.join(folder, FILE_NAME))
        self._lab.volumes.remove_folder_if_empty(folder)

    def check_fence(self, folder: str, epoch: int) -> None:
        """Raises HostError Hvr.Fenced unless the record in the folder has exactly this epoch."""
        stored = self.read(folder)
        if stored is None:
            raise fenced(folder, "there is no record")
        if stored.epoch != epoch:
            raise fenced(folder, f"the record has epoch {stored.epoch}, the session {epoch}")

    def check_folder(self, folder: str) -> None:
        """Raises HostError Hvr.PathNotAllowed for a folder outside the roots that may hold replicas."""
        try:
            self._lab.volumes.local(folder)
        except Refusal as refusal:
            raise not_allowed(folder) from refusal
        if not any(is_inside(folder, root) for root in self._lab.state.replica_roots):
            raise not_allowed(folder)


def numbers_of(text: str, folder: str) -> tuple[int, int]:
    """Return epoch and revision of a record. Raises HostError Hvr.RecordInvalid."""
    try:
        record = json.loads(text) if len(text) <= LENGTH_MAX else None
    except ValueError:
        record = None
    given = [record.get(name) for name in ("epoch", "revision")] if isinstance(record, dict) else [None, None]
    epoch, revision = (each if isinstance(each, int) and not isinstance(each, bool) else -1 for each in given)
    if epoch < 0 or revision < 0:
        raise HostError(
            "Hvr.RecordInvalid",
            f"the record in {folder} is no JSON object with whole numbers as epoch and revision",
            category=Category.INVALID_DATA,
            target=folder,
        )
    return epoch, revision


def fenced(folder: str, why: str) -> HostError:
    """Return the error that stops a session which another one has replaced."""
    message = f"Another session works on the replica in {folder}: {why}"
    return HostError("Hvr.Fenced", message, category=Category.INVALID_OPERATION, target=folder)


def not_allowed(path: str) -> HostError:
    """Return the error for a path outside the allowed folders."""
    message = f"{path} is not inside a folder that may hold replicas"
    return HostError("Hvr.PathNotAllowed", message, category=Category.PERMISSION_DENIED, target=path)
