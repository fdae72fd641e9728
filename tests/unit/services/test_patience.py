# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which troubles are waited for, how long, and what is told of them."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    EngineError,
    HypervisorError,
    StateError,
    TransportError,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.patience import (
    Patience,
    patient,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Limits

LOST = TransportError("host hv-a: connection lost")
BUSY = HypervisorError("busy", error_id="Hvr.Busy")


class Waiting:
    """A clock that only waiting moves, and a port that answers as planned."""

    name = "hv-a"

    def __init__(self, *answers):
        self.answers = list(answers)
        self.seconds = 0.0
        self.told = []
        limits = Limits(busy_seconds=60.0, reconnect_seconds=15.0, poll_seconds=1.0)
        self.port = patient(self, Patience(self, limits, wait=self.sleep, tell=self.told.append))

    def monotonic(self):
        return self.seconds

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.seconds += seconds

    def ask(self, *, name):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return name, answer


def test_lost_calls_are_made_again_and_an_outage_is_told_once():
    site = Waiting(LOST, LOST, 1, LOST, 2)
    assert site.port.ask(name="x") == ("x", 1)
    assert site.seconds == 30.0
    assert site.told == ["host hv-a: connection lost; trying again"]
    assert site.port.ask(name="y") == ("y", 2)
    assert len(site.told) == 2


def test_busy_host_is_asked_often_and_nothing_is_told():
    site = Waiting(BUSY, BUSY, 1)
    assert site.port.ask(name="x") == ("x", 1)
    assert (site.seconds, site.told) == (2.0, [])


def test_patience_that_is_used_up_comes_back_with_the_next_answer():
    site = Waiting(*[LOST] * 6, 1, LOST, 2)
    with pytest.raises(TransportError):
        site.port.ask(name="x")
    assert site.seconds == 60.0
    with pytest.raises(TransportError):
        site.port.ask(name="x")
    assert site.seconds == 60.0
    assert site.port.ask(name="x") == ("x", 1)
    assert site.port.ask(name="x") == ("x", 2)
    assert site.seconds == 75.0


@pytest.mark.parametrize(
    "error",
    [
        StateError("fenced", reason="fenced"),
        HypervisorError("gone", error_id="Hvr.VmNotFound"),
        TransportError("wrong password", retryable=False),
    ],
    ids=["fenced", "refused", "denied"],
)
def test_what_waiting_does_not_mend_is_raised_at_once(error):
    site = Waiting(error, 1)
    with pytest.raises(EngineError) as caught:
        site.port.ask(name="x")
    assert caught.value is error
    assert (site.seconds, site.told) == (0.0, [])


def test_members_that_are_no_methods_are_passed_on():
    assert Waiting().port.name == "hv-a"
