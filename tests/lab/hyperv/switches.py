# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One switch per question that only a real host can answer; each names its probe (docs/design/host_contract.md).

"-" is no question: hosts were seen to do both.

The defaults are the nastiest answers that a host may legally give. A suite that passes under every value does not
depend on the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

KiB = 1024
MiB = 1024 * KiB


def _open(*, probe: str, values: tuple[Any, ...]) -> dict[str, Any]:
    return {"grade": "?", "probe": probe, "values": values}


def _seen(*, values: tuple[Any, ...]) -> dict[str, Any]:
    return {"grade": "F", "probe": "-", "values": values}


@dataclass(frozen=True, slots=True)
class Switches:
    """How this host answers where the documentation is silent."""

    listing_order: str = field(default="shuffled", metadata=_seen(values=("shuffled", "stored")))
    """Order of the objects that a function emits; it was seen to change between calls (go-wsman)."""
    reference_point_order: str = field(default="shuffled", metadata=_open(probe="1", values=("shuffled", "attached")))
    """Order of the pairs of a reference point: any, or that of the disks."""
    whole_disk_query: str = field(default="refused", metadata=_open(probe="2", values=("refused", "answered")))
    """GetVirtualDiskChanges with ByteLength equal to the size of the disk."""
    processed_length: str = field(default="short", metadata=_open(probe="2", values=("short", "full")))
    """ProcessedByteLength: at most half of what was asked, or all."""
    no_changes: str = field(default="null", metadata=_open(probe="2", values=("null", "empty")))
    """The arrays when nothing changed."""
    changed_pairs: str = field(default="shuffled", metadata=_open(probe="2", values=("shuffled", "sorted", "twice")))
    """Order of the pairs; ``twice``: shuffled, and some are given again in two parts."""
    changed_until: str = field(default="now", metadata=_open(probe="4", values=("now", "checkpoint")))
    """Whether a query on a frozen file also lists what was written after the checkpoint."""
    tracking_grain: int = field(default=128 * KiB, metadata=_open(probe="4", values=(128 * KiB, 16 * KiB, MiB)))
    """Bytes: changed ranges are widened to multiples of this."""
    restart_grain: int = field(default=MiB, metadata=_open(probe="4", values=(MiB, 16 * KiB)))
    """Bytes: grain of what was tracked when the host stopped without a hand-over (the .mrt file)."""
    applied_checkpoint: str = field(default="lost", metadata=_open(probe="4", values=("lost", "violated")))
    """Tracking after an applied user checkpoint: refused, or answered as if nothing had happened."""
    recovery_on_off: str = field(default="allowed", metadata=_open(probe="3", values=("allowed", "refused")))
    recovery_on_saved: str = field(default="refused", metadata=_open(probe="3", values=("refused", "allowed")))
    recovery_on_paused: str = field(default="refused", metadata=_open(probe="3", values=("refused", "allowed")))
    """Recovery checkpoint of a machine that does not run."""
    off_consistency: str = field(default="crash", metadata=_open(probe="3", values=("crash", "refused")))
    """An application-consistent checkpoint of a machine that is off: made as crash-consistent, or refused."""
    untracked_conversion: str = field(default="refused", metadata=_open(probe="1", values=("refused", "empty")))
    """ConvertToReferencePoint below version 8.0: refused, or a reference point without pairs."""
    checkpoint_while_merging: str = field(default="refused", metadata=_open(probe="9", values=("refused", "allowed")))
    """A new checkpoint while an earlier one is being merged."""
    removal_returns: str = field(default="early", metadata=_open(probe="9", values=("early", "merged")))
    """When Remove-VMSnapshot returns."""
    merge_delay_ms: int = field(default=300, metadata=_open(probe="9", values=(300, 0)))
    """How late a merge begins."""

    def changed(self, values: Mapping[str, object]) -> Switches:
        """Return a copy with some switches set. Raises ValueError for an unknown switch or value."""
        known = {each.name: each for each in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"no switch is called {name}")
            if not isinstance(value, type(known[name].default)) or isinstance(value, bool):
                raise ValueError(f"switch {name} cannot be {value!r}")
            if isinstance(value, str) and value not in known[name].metadata["values"]:
                raise ValueError(f"switch {name} is one of {known[name].metadata['values']}, not {value!r}")
        return replace(self, **dict(values))  # type: ignore[arg-type]
