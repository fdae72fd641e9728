# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""From the status of an ended session to the result of the task that followed it."""

from __future__ import annotations

import typing as t

from ..module_utils._failure import sentence
from .follower import Status


def report(status: Status) -> dict[str, t.Any]:
    """Return the report of an ended session; one that could not even begin has only its status."""
    return status["result"] or {"state": status["state"], "machines": [], "error": status["error"]}


def ending(status: Status) -> dict[str, t.Any]:
    """Return what makes the task fail: the first error, with the machine it belongs to. Empty when all went well."""
    if status["state"] == "done":
        return {}
    errors = list(_errors(report(status)))
    if not errors:
        return {"failed": True, "msg": f"the session was {status['state']}"}
    return {"failed": True, "msg": "; ".join(_told(error) for error in errors), "failure": errors[0]}


def _errors(session: dict[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    if session["error"]:
        yield session["error"]
    for machine in session["machines"]:
        if machine["error"]:
            yield {**machine["error"], "machine": machine["name"]}


def _told(error: dict[str, t.Any]) -> str:
    machine = error.get("machine")
    return f"{machine}: {sentence(error)}" if machine else sentence(error)
