# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a database refuses, with the way out. SQLite tells its errors apart by text: https://www.sqlite.org/rescode.html."""

from __future__ import annotations

from typing import Final

from ..errors import CatalogError

# A part of the text, the reason, the way out; the first that fits counts.
_REFUSALS: Final = (
    (("locked", "busy"), "catalog_busy", "another program holds it: try again"),
    (
        ("file is not a database", "malformed"),
        "catalog_damaged",
        "move the file away, and define the jobs again; only jobs and history are lost, replicas do not depend on it",
    ),
    (
        ("disk is full", "disk I/O error"),
        "catalog_failed",
        "make room on the volume of the file; when there is room, check the storage device",
    ),
    (
        ("unable to open database file", "readonly database"),
        "catalog_failed",
        "it must be a file, not a folder, and this user must be able to write to it and to the folder that holds it",
    ),
)


def refusal(cause: str, *, shown: str) -> CatalogError:
    """Return the error for a text of the database; ``shown`` is the URL without its password."""
    for texts, reason, hint in _REFUSALS:
        if any(text in cause for text in texts):
            return CatalogError(f"catalog {shown}: {cause}", hint=hint, reason=reason)
    return CatalogError(
        f"catalog {shown}: {cause}", hint="check the database and the option catalog_url", reason="catalog_failed"
    )
