# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manager dies at every place of a session where it can; the next session finds what it left."""

from __future__ import annotations

from collections import Counter

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.mortal import Death, Killed
from ansible_collections.opendr.hyperv.tests.integration.session.walk.scenes import (
    COMPARE,
    DAMAGED,
    FIRST,
    LATER,
    SCENES,
    job,
    require_converged,
)
from ansible_collections.opendr.hyperv.tests.integration.session.walk.tracing import Trace, moments

LEAST = {FIRST: 35, LATER: 30, COMPARE: 30, DAMAGED: 35}  # places to die at that a session has, and more


def die(site, moment):
    death = Death(moment.name, nth=moment.nth, after=moment.after)
    with pytest.raises(Killed):
        site.run(job(site), between=death.site)
    assert death.struck, moment


def places(scene, folder, *, every):
    """Return each place to die at of a kind of session."""
    with scene.site(folder) as site:
        scene.prepare(site, 200)
        trace = Trace(site)
        assert site.run(job(site), between=trace.site).outcome is Outcome.DONE
        return moments(trace.trace, every=every)


def walk(scene, folder, found):
    """Die at each place, and let the next session make it good."""
    if scene.is_first:
        for number, moment in enumerate(found):
            with scene.site(folder / str(number)) as site:
                die_and_go_on(scene, site, moment, number=number)
    else:
        with scene.site(folder / "site") as site:
            for number, moment in enumerate(found):
                die_and_go_on(scene, site, moment, number=number)


def die_and_go_on(scene, site, moment, *, number):
    scene.prepare(site, number)
    die(site, moment)
    site.guest_writes(number + 2, 0, 7 * MiB)
    try:
        require_converged(site, site.run(job(site)))
    except AssertionError as error:
        raise AssertionError(f"{scene.name}: the manager died {moment}") from error


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["changes", "every call"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_manager_dies_anywhere(scene, every, tmp_path, figures):
    found = places(scene, tmp_path / "trace", every=every)
    assert len(found) >= LEAST[scene]
    walk(scene, tmp_path, found)
    figures(f"{len(found)} places, {dict(sorted(Counter(moment.name for moment in found).items()))}")
