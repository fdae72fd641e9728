# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Either host dies at every place where it can, and is started again: the session that runs goes on by itself."""

from __future__ import annotations

from collections import Counter

import pytest

from ansible_collections.opendr.hyperv.tests.integration.session.walk.hosts import MortalHost, places
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

LEAST = {SOURCE: 30, TARGET: 60}


def session(scene, site, host, *, number):
    """Run a session to its end and let the merges it caused be done, while the host may die."""
    scene.prepare(site, number)
    site.source.settle()  # what an earlier session left to merge is no part of this one
    site.target.settle()
    with host.writing():
        return site.run(job(site), between=host.between)


def trace(scene, folder, name):
    with scene.site(folder) as site:
        host = MortalHost(site, name)
        session(scene, site, host, number=200)
        return host.trace


def walk(scene, folder, name, *, found):
    def die(site, place, number):
        """Let the host die at a place, and prove what the session made of it; False when it did not come there."""
        host = MortalHost(site, name, place)
        before = epochs(site)
        report = session(scene, site, host, number=number)
        require_survived(site, report, before=before, where=f"{scene.name}: {name} died at {place}")
        return host.struck

    walk_over(scene, folder, scene.site, found=found, die=die)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["some", "every"])
@pytest.mark.parametrize(
    "scene",
    [LATER, pytest.param(FIRST, marks=pytest.mark.soak), pytest.param(COMPARE, marks=pytest.mark.soak)],
    ids=lambda scene: scene.name,
)
@pytest.mark.parametrize("name", [SOURCE, TARGET])
def test_host_dies_anywhere(name, scene, every, tmp_path, figures):
    found = places(trace(scene, tmp_path / "trace", name), every=every)
    assert len(found) >= LEAST[name]
    walk(scene, tmp_path, name, found=found)
    kinds = Counter(place.name.partition(" ")[0] for place in found)
    figures(f"{len(found)} places, {dict(sorted(kinds.items()))}")
