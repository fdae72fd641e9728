# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Merges that do not get on: who is the cause, and what helps."""

from __future__ import annotations

from typing import Final

from ..errors import HypervisorError
from ..machines import Activity

HELD_BACK_HINT: Final = (
    "a backup product exported the machine without its storage (ExportSystemDefinition): switch merging on again with "
    "ModifyDiskMergeSettings, or restart the machine or the management service of Hyper-V"
)
OTHER_HINT: Final = "look into the event log of Hyper-V-VMMS on the host (event 19100)"
CAUSES: Final = {  # HRESULT in the words of the host, and what helps. Source: SA KB2779204, winerror.h
    "0x80070020": "another program holds the file: end its backup of it, or exclude the folder from the virus scanner",
    "0x80070070": "make room on the volume: a merge needs the size of the file that goes",
    "0x80070569": "give NT VIRTUAL MACHINE\\Virtual Machines the right to log on as a service (KB2779204)",
    "0x8007052F": "give NT VIRTUAL MACHINE\\Virtual Machines the right to log on as a service (KB2779204)",
}


def merge_problem(activity: Activity, *, what: str, host: str) -> HypervisorError | None:
    """Return why the merges of a machine do not get on, None when nothing is known against them."""
    if activity.merge_held_back:
        return HypervisorError(
            f"merging of {what} on {host} is held back by another program: its chain of files grows",
            hint=HELD_BACK_HINT,
            reason="merge_held_back",
        )
    if not activity.problem or activity.is_idle:  # what was said of merges that are done by now
        return None
    code = next((code for code in CAUSES if code.lower() in activity.problem.lower()), "")
    return HypervisorError(
        f"a merge of {what} on {host} does not get on: {activity.problem}",
        hint=CAUSES.get(code, OTHER_HINT),
        reason="merge_stalled",
    )
