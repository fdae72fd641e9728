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
    job,
    require_converged,
)
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET, only_error

TRIES = 4  # whether the record or a disk is written once more depends on how fast a merge is
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


def die(scene, site, name, *, place, number):
    """Let the host die at a place, and prove what the session made of it; False when it did not come there."""
    host = MortalHost(site, name, place)
    before = [record.epoch for record in site.records()]
    report = session(scene, site, host, number=number)
    if [record.epoch for record in site.records()] == before:  # nothing is tried twice until the replica is taken
        assert only_error(report)["retryable"], place
        report = site.run(job(site))
    try:
        require_converged(site, report)
    except AssertionError as error:
        raise AssertionError(f"{scene.name}: {name} died at {place}") from error
    return host.struck


def walk(scene, folder, name, *, found):
    if scene.is_first:
        for number, place in enumerate(found):
            with scene.site(folder / str(number)) as site:
                assert die(scene, site, name, place=place, number=number), place
    else:
        with scene.site(folder / "site") as site:
            for number, place in enumerate(found):
                assert any(die(scene, site, name, place=place, number=number) for _try in range(TRIES)), place


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
