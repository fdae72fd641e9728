# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resilient change tracking: which parts of a disk the guest may have written since an id.

Time is cut into epochs. A checkpoint begins a new one and its change-tracking id is the name of that epoch; what
changed since an id is the union of its epoch and all later ones. An epoch is a file of grain numbers that only grows:
a number is in the file before the guest's write is, so a kill loses nothing.

The truth of a host is coarser after it stopped without a hand-over (the .mrt file). Source: WSD backup-approaches.
"""

from __future__ import annotations

import array
from pathlib import Path
from typing import Final
from uuid import uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, grow
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import State, Tracker

GRAIN: Final = 16 * KiB  # bytes: the finest that the lab tracks

UNKNOWN_ID: Final = 0xC03A0029  # ERROR_VHD_INVALID_CHANGE_TRACKING_ID
NOT_INITIALIZED: Final = 0xC03A0020  # ERROR_CTLOG_TRACKING_NOT_INITIALIZED
CHANGED_OFFLINE: Final = 0xC03A0022  # ERROR_CTLOG_VHD_CHANGED_OFFLINE
INVALID_STATE: Final = 0xC03A0023  # ERROR_CTLOG_INVALID_TRACKING_STATE


class Tracking:
    """The trackers of all disks. The caller saves the state."""

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._state = state
        self._open_epochs: dict[str, set[int]] = {}

    def begin_epoch(self, vm_id: str, disk_id: str) -> str:
        """Begin a new epoch of a disk and return its change-tracking id."""
        key = f"{vm_id}/{disk_id}"
        tracker = self._state.trackers.setdefault(key, Tracker())
        rct_id = f"rctX:{uuid4()}:{len(tracker.epochs) + 1:08x}"
        tracker.epochs.append(rct_id)
        tracker.lost_code = tracker.lost_code if len(tracker.epochs) > 1 else 0
        self._open_epochs[key] = set()
        return rct_id

    def record(self, vm_id: str, disk_id: str, *, extents: list[Extent]) -> None:
        """Note what the guest is about to write. Tracking begins with the first checkpoint."""
        key = f"{vm_id}/{disk_id}"
        tracker = self._state.trackers.get(key)
        if tracker is None or not tracker.epochs:
            return
        known = self._open_epochs.get(key)
        if known is None:
            known = self._open_epochs[key] = set(self._read(key, tracker.epochs[-1]))
        new = [n for e in extents for n in range(e.offset // GRAIN, -(-e.end // GRAIN)) if n not in known]
        if new:
            known.update(new)
            path = self._path(key, tracker.epochs[-1])
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(array.array("Q", new).tobytes())

    def changes(self, vm_id: str, disk_id: str, *, rct_id: str, until: str, size: int) -> list[Extent]:
        """Return what may have changed since ``rct_id`` and before the epoch ``until`` (empty: till now).

        Raises:
            Refusal: TRACKING_LOST with the code that a host gives.
        """
        key = f"{vm_id}/{disk_id}"
        tracker = self._state.trackers.get(key)
        if tracker is not None and tracker.lost_code:
            raise lost(tracker.lost_code, "Change tracking information of this disk cannot be used")
        if tracker is None or not tracker.epochs:
            raise lost(NOT_INITIALIZED, "Change tracking is not initialized for this disk")
        if rct_id not in tracker.epochs:
            raise lost(UNKNOWN_ID, "The change tracking identifier is not valid")
        first = tracker.epochs.index(rct_id)
        last = tracker.epochs.index(until) if until in tracker.epochs else len(tracker.epochs)
        numbers = sorted({n for epoch in tracker.epochs[first:last] for n in self._read(key, epoch)})
        extents = (Extent(number * GRAIN, GRAIN) for number in numbers)
        return grow(extents, grain=self._state.switches.tracking_grain, size=size)

    def lose(self, vm_id: str, disk_id: str, *, code: int) -> None:
        """Give up what was tracked: every id handed out until now is refused from now on."""
        tracker = self._state.trackers.get(f"{vm_id}/{disk_id}")
        if tracker is not None:
            for rct_id in tracker.epochs:
                self._path(f"{vm_id}/{disk_id}", rct_id).unlink(missing_ok=True)
            tracker.epochs.clear()
            tracker.lost_code = code

    def keep_only(self, vm_id: str, disk_id: str, *, wanted: set[str]) -> None:
        """Forget the epochs before the oldest id that somebody still needs."""
        key = f"{vm_id}/{disk_id}"
        tracker = self._state.trackers.get(key)
        while tracker and len(tracker.epochs) > 1 and tracker.epochs[0] not in wanted:
            self._path(key, tracker.epochs.pop(0)).unlink(missing_ok=True)

    def coarsen(self, grain: int) -> None:
        """Widen the newest epoch of each disk: the host stopped without a hand-over."""
        for key, tracker in self._state.trackers.items():
            if tracker.epochs:
                per_grain = max(1, grain // GRAIN)
                groups = {number // per_grain for number in self._read(key, tracker.epochs[-1])}
                wide = array.array("Q", [g * per_grain + i for g in sorted(groups) for i in range(per_grain)])
                path = self._path(key, tracker.epochs[-1])
                if wide:
                    path.with_suffix(".new").write_bytes(wide.tobytes())
                    path.with_suffix(".new").replace(path)
        self._open_epochs.clear()

    def _read(self, key: str, rct_id: str) -> array.array[int]:
        numbers = array.array("Q")
        path = self._path(key, rct_id)
        if path.exists():
            data = path.read_bytes()
            numbers.frombytes(data[: len(data) - len(data) % 8])
        return numbers

    def _path(self, key: str, rct_id: str) -> Path:
        return self._folder / key / (rct_id.replace(":", "-") + ".grains")


def lost(code: int, message: str) -> Refusal:
    """Return the refusal that means: compare or read in full instead."""
    return Refusal(Kind.TRACKING_LOST, message, code=code)
