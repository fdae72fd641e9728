# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Which part of the data path was the slowest: the stage that was busy longest names it.

Sending waits when the target does not take what comes, receiving waits when the source has nothing to send. Only a slow
network makes both wait, so the shorter of the two is the time that the network cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ..transfers import TransferStatus

_STAGES: Final[Mapping[str, str]] = {
    "read": "source",
    "compress": "proxy",
    "write": "target",
    "flush": "target",
    "compare": "target",
    "unpack": "target",
}


def busy_by_part(source: TransferStatus, target: TransferStatus) -> dict[str, float]:
    """Return the busy seconds of each part."""
    parts: dict[str, float] = {}
    for stage, seconds in [*source.busy_seconds.items(), *target.busy_seconds.items()]:
        part = _STAGES.get(stage)
        if part is not None:
            parts[part] = parts.get(part, 0.0) + seconds
    parts["network"] = min(source.busy_seconds.get("send", 0.0), target.busy_seconds.get("receive", 0.0))
    return parts


def bottleneck(parts: Mapping[str, float]) -> str:
    """Name the busiest part; empty when nothing was busy."""
    busiest = max(parts, key=lambda part: parts[part], default="")
    return busiest if busiest and parts[busiest] > 0 else ""


def together(all_parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Add the busy seconds of several disks."""
    total: dict[str, float] = {}
    for parts in all_parts:
        for part, seconds in parts.items():
            total[part] = total.get(part, 0.0) + seconds
    return total
