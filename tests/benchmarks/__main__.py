# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mover against rsync, as ratios: a full copy, and a copy of what changed.

    make bench
    python -m ansible_collections.opendr.hyperv.tests.benchmarks --gib 8 --rounds 3 --folder /srv/bench

All run in turn on the same files and make everything durable. The movers send over TLS, once without compression and
once as jobs do by default; rsync speaks to its daemon without TLS and without compression. The bars hold for like and
like: the mover without compression. With compression the processors of one machine, which here has to be both ends, are
the limit; what that buys is the number of bytes sent. The figure that counts is the median of the ratios of each turn,
since the load of a machine changes between turns. Each replica is compared with its source by qemu-img.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, total
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import Compression
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB

from . import disks
from .contestants import Movers, Rsync, Sample, start_from

FULL_BAR = 1.0  # wall time of the mover over that of rsync --whole-file, at most
CHANGED_BAR = 8.0  # wall time of rsync --inplace over that of the mover, at least
PLAIN, PACKED = "mover, plain", "mover, zstd 1"
LEVELS = {PLAIN: None, PACKED: Compression.OPTIMAL.level}

Turn = dict[str, Sample]  # by contestant


def main() -> int:
    options = _options()
    missing = [program for program in ("rsync", "qemu-img") if shutil.which(program) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="opendr-bench-", dir=options.folder) as folder:
        return _race(Path(folder), gib=options.gib, rounds=options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Full and incremental copy against rsync, as ratios.")
    parser.add_argument("--gib", type=int, default=4, help="size of the disk (4)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each race (3)")
    parser.add_argument("--folder", help="where the disks are made; needs five times their size")
    return parser.parse_args()


def _race(folder: Path, *, gib: int, rounds: int) -> int:
    source, target = folder / "source", folder / "target"
    source.mkdir()
    target.mkdir()
    first, second = source / "first.vhdx", source / "second.vhdx"
    disks.fill(first, size=gib * GiB)
    shutil.copyfile(first, second)
    changed = disks.work_a_day(second)
    print(f"disk {gib} GiB, file {first.stat().st_size / MiB:.0f} MiB, changed {total(changed) / MiB:.0f} MiB ", end="")
    print(f"in {len(changed)} extents; {rounds} turns; seconds are medians")
    with Movers(folder, source=source, target=target) as movers, Rsync(folder, target=target) as rsync:
        track = Track(movers, rsync, target)
        full = [track.run(first, None, None, "--whole-file") for _turn in range(rounds)]
        part = [track.run(second, first, changed, "--inplace", "--no-whole-file") for _turn in range(rounds)]
    ratios = _report("full copy", full, figure=lambda mover, rsync: mover.wall / rsync.wall)
    speeds = _report("changed", part, figure=lambda mover, rsync: rsync.wall / mover.wall)
    for name in LEVELS:
        print(f"{name}: full copy in {ratios[name]:.2f} of the time of rsync --whole-file, ", end="")
        print(f"what changed {speeds[name]:.1f} times as fast as rsync --inplace")
    print(f"bars for {PLAIN}: at most {FULL_BAR}, at least {CHANGED_BAR}")
    return 0 if ratios[PLAIN] <= FULL_BAR and speeds[PLAIN] >= CHANGED_BAR else 1


@dataclass(frozen=True)
class Track:
    """Where the races are held."""

    movers: Movers
    rsync: Rsync
    target: Path

    def run(self, source: Path, base: Path | None, extents: list[Extent] | None, *options: str) -> Turn:
        """Let each contestant make a replica of ``source``, from ``base`` or from nothing."""
        turn = {}
        for name, level in LEVELS.items():
            replica = self.target / "mover.vhdx"
            start_from(base, replica)
            turn[name] = self.movers.run(source, replica, extents=extents, level=level)
            command = ["qemu-img", "compare", "-q", "-f", "vhdx", "-F", "vhdx", str(source), str(replica)]
            subprocess.run(command, check=True)
        start_from(base, self.target / "rsync.vhdx")
        turn["rsync"] = self.rsync.run(source, self.target / "rsync.vhdx", *options)
        return turn


def _report(race: str, turns: list[Turn], *, figure: Callable[[Sample, Sample], float]) -> dict[str, float]:
    """Print what each needed; return the median of the turns' figures for each mover."""
    medians = {}
    for name in turns[0]:
        samples = [turn[name] for turn in turns]
        wall, cpu = statistics.median(s.wall for s in samples), statistics.median(s.cpu for s in samples)
        line = f"  {race:9} {name:13} {wall:6.2f} s wall, {cpu:6.2f} s CPU"
        if name in LEVELS:
            figures = [figure(turn[name], turn["rsync"]) for turn in turns]
            medians[name] = statistics.median(figures)
            line += f", {samples[0].sent_mib:5.0f} MiB sent; turns {', '.join(f'{value:.2f}' for value in figures)}"
        print(line)
    return medians


if __name__ == "__main__":
    sys.exit(main())
