# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The journal beside a leaf: which cycle writes to it, and how far it is durable.

It is written ahead: the identity that the leaf is about to get stands in the journal before it stands in the leaf. So
a mover that was killed at any moment leaves a leaf whose DataWriteGuid the journal explains; one that the journal does
not explain was touched by somebody else. Source: docs/design/mover_protocol.md, "Journal".
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from ..adapters import files
from ..errors import FormatError, RequestError
from ..model.naming import journal_of

VERSION: Final = 1
FILE_MAX: Final = 16 * 1024  # bytes
IDS: Final = ("replica_id", "disk_id", "base", "previous", "written", "file_write_guid")


@dataclass(frozen=True, slots=True)
class Journal:
    """State of one leaf. The last five are DataWriteGuids or a FileWriteGuid. Source: [MS-VHDX] 2.2.2."""

    replica_id: UUID
    disk_id: UUID
    cycle_id: str  # empty: the disk is new, no cycle has written to it
    epoch: int
    plan: str  # names scope and extents of the cycle
    was_empty: bool  # the leaf read as zeros before the cycle
    durable_until: int  # bytes: everything of the plan below is on the disk
    complete: bool
    base: UUID  # before the first cycle that this journal knows: what the replica's record says
    previous: UUID  # before this mover opened the leaf for the last time
    written: UUID  # given by this mover then
    file_write_guid: UUID  # the same, of the file

    def explains(self, found: UUID, *, recorded: UUID) -> bool:
        """Tell whether a leaf that the record knows as ``recorded`` may be ``found`` now."""
        return recorded in (self.base, self.written) and found in (self.base, self.previous, self.written)

    def to_text(self) -> str:
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps({"version": VERSION, **plain, **{name: str(plain[name]) for name in IDS}}, indent=1)

    @classmethod
    def from_text(cls, text: str) -> Journal:
        """Decode. Raises FormatError."""
        try:
            plain = json.loads(text)
            if plain.pop("version") != VERSION:
                raise FormatError("the journal is of another version")
            journal = cls(**{**plain, **{name: UUID(plain[name]) for name in IDS}})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise FormatError(f"this is no journal: {error}") from error
        numbers: tuple[object, ...] = (journal.durable_until, journal.epoch)  # whatever the file said
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise FormatError("this is no journal: numbers expected")
        return journal


def load(leaf: str) -> Journal | None:
    """Return the journal of a leaf; None when there is none, or none that can be trusted: then it explains nothing."""
    try:
        return Journal.from_text(files.read_small(journal_of(leaf), limit=FILE_MAX).decode())
    except (FormatError, UnicodeDecodeError):
        return None
    except RequestError as error:
        if error.reason == "file_missing":
            return None
        raise


def tidy(leaf: str) -> None:
    """Remove what a mover that was killed left of a journal; the caller holds the leaf."""
    files.remove_unfinished(journal_of(leaf))


def store(leaf: str, journal: Journal) -> None:
    """Replace the journal of a leaf; it is durable on return."""
    files.write_atomically(journal_of(leaf), journal.to_text().encode())


def forget(leaf: str) -> None:
    """Remove the journal of a file that is a leaf no more."""
    files.remove_file(journal_of(leaf))
