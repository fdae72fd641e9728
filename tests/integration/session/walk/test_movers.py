# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Either mover dies at every place where it can, and is started again: the session that runs goes on by itself."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.wire.frames import Kind
from ansible_collections.opendr.hyperv.tests.integration.session.walk.movers import MoverWalk, places
from ansible_collections.opendr.hyperv.tests.integration.session.walk.scenes import (
    COMPARE,
    FIRST,
    LATER,
    epochs,
    job,
    require_survived,
    walk_over,
)
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET


@contextmanager
def walked(scene, folder):
    with scene.site(folder) as site:
        yield site, MoverWalk(site)


def trace(scene, folder, name):
    with walked(scene, folder) as (site, walk):
        scene.prepare(site, 200)
        walk.restart(name)
        assert site.run(job(site)).outcome is Outcome.DONE
        return walk.trace(name)


def walk_places(scene, folder, name, *, found):
    def die(opened, place, number):
        """Let the mover die at a place, and prove what the session made of it; False when it did not come there."""
        site, walk = opened
        scene.prepare(site, number)
        before = epochs(site)
        report, struck = walk.dying(name, lambda: site.run(job(site)), place=place)
        require_survived(site, report, before=before, where=f"{scene.name}: mover {name} died at {place}")
        return struck

    walk_over(scene, folder, lambda path: walked(scene, path), found=found, die=die)


def frames_of(names):
    return {Kind[word] for word in (name.rpartition(" ")[2] for name in names) if word in Kind.__members__}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [SOURCE, TARGET])
def test_mover_dies_at_the_first_and_last_place_of_each_kind(name, tmp_path, figures):
    """What an incremental session has is walked there; the others add what only they have."""
    known, count = set(), 0
    for scene in (LATER, COMPARE, FIRST):
        traced = trace(scene, tmp_path / scene.name / "trace", name)
        found = [place for place in places(traced, every=False) if place.name not in known]
        walk_places(scene, tmp_path / scene.name, name, found=found)
        known |= {place.name for place in found}
        count += len(found)
    wanted = {Kind.HELLO, Kind.READY, Kind.REQUEST, Kind.REPLY, Kind.UNIT, Kind.DURABLE, Kind.COMPARE, Kind.DIGESTS}
    assert frames_of(known) >= wanted | {Kind.END, Kind.DONE}
    figures(f"{count} places of {len(known)} kinds: {', '.join(sorted(known))}")


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("scene", [LATER, COMPARE, FIRST], ids=lambda scene: scene.name)
@pytest.mark.parametrize("name", [SOURCE, TARGET])
def test_mover_dies_anywhere(name, scene, tmp_path, figures):
    found = places(trace(scene, tmp_path / "trace", name), every=True)
    walk_places(scene, tmp_path, name, found=found)
    figures(f"{len(found)} places")
