# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions that the kill walk takes apart, and what must be true after each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import is_locked
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome, SessionReport
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.lab.site import only_error

TRIES = 4  # whether the record or a disk is written once more depends on how fast a merge is

Opened = TypeVar("Opened")
Place = TypeVar("Place")


def write_something(site: WebSite, number: int) -> None:
    site.guest_writes(number, 0, 1 * MiB, 256 * KiB)
    site.guest_writes(number + 1, 1, 3 * MiB)


def lose_tracking(site: WebSite, number: int) -> None:
    write_something(site, number)
    site.source.call("lab.lose_tracking", vm_id=site.vm_id)


def damage_leaf(site: WebSite, number: int) -> None:
    write_something(site, number)
    site.target.settle()
    site.target.local_path(site.record().disks[0].leaf).write_bytes(b"\xff" * MiB)


@dataclass(frozen=True)
class Scene:
    """A kind of session: how many others went before, and what happens before each one that is taken apart."""

    name: str
    earlier: int
    prepare: Callable[[WebSite, int], None]

    @property
    def is_first(self) -> bool:
        return not self.earlier

    @contextmanager
    def site(self, folder: Path) -> Iterator[WebSite]:
        """Make a site in which this kind of session comes next."""
        with WebSite(folder) as site:
            for number in range(self.earlier):
                write_something(site, number)
                assert site.run(job(site)).outcome is Outcome.DONE
            yield site


FIRST = Scene("first copy", 0, write_something)
LATER = Scene("incremental with retention", 2, write_something)
COMPARE = Scene("compare", 2, lose_tracking)
DAMAGED = Scene("fresh leaf", 2, damage_leaf)
SCENES = (FIRST, LATER, COMPARE, DAMAGED)


def job(site: WebSite) -> JobSpec:
    """Two restore points: a later session merges the oldest, and removes the reference point before."""
    return site.job(restore_points=2)


def require_converged(site: WebSite, report: SessionReport) -> None:
    """Assert that a session is done, nothing is left over, and each restore point equals its source."""
    assert report.outcome is Outcome.DONE, report.as_dict()
    record = site.record()
    assert (record.pending, record.lease, record.removing) == (None, None, ())
    assert site.source_leftovers() == []
    assert len(site.machine("web")["reference_points"]) == 1
    assert held_files(site) == []
    assert unfinished_files(site) == []
    site.prove(points=len(record.restore_points))


def epochs(site: WebSite) -> list[int]:
    """Return the epochs of all records: a session that has taken a replica has raised one."""
    return [record.epoch for record in site.records()]


def require_survived(site: WebSite, report: SessionReport, *, before: list[int], where: str) -> None:
    """Assert the same of a session in which a host or a mover died; ``before`` has the epochs before it.

    Nothing is tried twice until the replica is taken: a session that did not come so far is run once more.
    """
    if epochs(site) == before:
        assert only_error(report)["retryable"], where
        report = site.run(job(site))
    try:
        require_converged(site, report)
    except AssertionError as error:
        raise AssertionError(where) from error


def walk_over(
    scene: Scene,
    folder: Path,
    opened: Callable[[Path], AbstractContextManager[Opened]],
    *,
    found: Iterable[Place],
    die: Callable[[Opened, Place, int], bool],
) -> None:
    """Let something die at each place; a first copy needs a new site each time. ``die`` tells whether it came there."""
    if scene.is_first:
        for number, place in enumerate(found):
            with opened(folder / str(number)) as site:
                assert die(site, place, number), place
    else:
        with opened(folder / "site") as site:
            for number, place in enumerate(found):
                assert any(die(site, place, number) for _try in range(TRIES)), place


def held_files(site: WebSite) -> list[str]:
    """Return disks of the replica that somebody still holds; the host may be merging one in this moment."""
    site.target.settle()
    folder = site.target.local_path(site.record().target.folder)
    return [path.name for path in folder.glob("*.*vhdx") if is_locked(str(path))]


def unfinished_files(site: WebSite) -> list[str]:
    """Return what was being made when its maker died."""
    return [str(path.relative_to(site.folder)) for path in site.folder.rglob("*.new")]
