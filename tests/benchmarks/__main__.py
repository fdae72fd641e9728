# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mover against rsync, as ratios: a full copy, and a copy of what changed.

    make bench
    python -m ansible_collections.opendr.hyperv.tests.benchmarks --gib 8 --rounds 3 --folder /srv/bench

Both run in turn on the same files. The movers send over TLS with zstd level 1 and flush; rsync speaks to its daemon
without TLS, with ``--fsync``. The figure that counts is the median of the ratios of each turn, since the load of a
machine changes between turns. Each replica is compared with its source by qemu-img.
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
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import GiB, MiB

from . import disks
from .contestants import Movers, Rsync, Sample, start_from

FULL_BAR = 1.0  # wall time of the mover over that of rsync --whole-file, at most
CHANGED_BAR = 8.0  # wall time of rsync --inplace over that of the mover, at least
LEVEL = 1  # of zstd


@dataclass(frozen=True)
class Race:
    """One turn: what both needed."""

    mover: Sample
    rsync: Sample


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
        full = [_full(first, target, movers=movers, rsync=rsync) for _turn in range(rounds)]
        part = [
            _changed(first, second, target=target, extents=changed, movers=movers, rsync=rsync)
            for _turn in range(rounds)
        ]
    ratio = _report("full copy", full, compared_with="rsync --whole-file", figure=lambda m, r: m.wall / r.wall)
    speed = _report("changed", part, compared_with="rsync --inplace", figure=lambda m, r: r.wall / m.wall)
    print(f"full copy: {ratio:.2f} of the time of rsync --whole-file (bar: at most {FULL_BAR})")
    print(f"changed:   {speed:.1f} times as fast as rsync --inplace (bar: at least {CHANGED_BAR})")
    return 0 if ratio <= FULL_BAR and speed >= CHANGED_BAR else 1


def _full(source: Path, target: Path, *, movers: Movers, rsync: Rsync) -> Race:
    start_from(None, target / "mover.vhdx")
    mine = movers.run(source, target / "mover.vhdx", extents=None, level=LEVEL)
    _check(source, target / "mover.vhdx")
    start_from(None, target / "rsync.vhdx")
    return Race(mine, rsync.run(source, target / "rsync.vhdx", "--whole-file"))


def _changed(base: Path, source: Path, *, target: Path, extents: list[Extent], movers: Movers, rsync: Rsync) -> Race:
    start_from(base, target / "mover.vhdx")
    mine = movers.run(source, target / "mover.vhdx", extents=extents, level=LEVEL)
    _check(source, target / "mover.vhdx")
    start_from(base, target / "rsync.vhdx")
    return Race(mine, rsync.run(source, target / "rsync.vhdx", "--inplace", "--no-whole-file"))


def _check(source: Path, replica: Path) -> None:
    subprocess.run(["qemu-img", "compare", "-q", "-f", "vhdx", "-F", "vhdx", str(source), str(replica)], check=True)


def _report(name: str, races: list[Race], *, compared_with: str, figure: Callable[[Sample, Sample], float]) -> float:
    """Print both sides and return the median of the turns' figures."""
    for who, samples in (("mover", [race.mover for race in races]), (compared_with, [race.rsync for race in races])):
        wall, cpu = statistics.median(s.wall for s in samples), statistics.median(s.cpu for s in samples)
        sent = f", {samples[0].sent_mib:.0f} MiB sent" if samples[0].sent_mib else ""
        print(f"  {name:9} {who:18} {wall:6.2f} s wall, {cpu:6.2f} s CPU{sent}")
    figures = [figure(race.mover, race.rsync) for race in races]
    print(f"  {name:9} each turn: {', '.join(f'{value:.2f}' for value in figures)}")
    return statistics.median(figures)


if __name__ == "__main__":
    sys.exit(main())
