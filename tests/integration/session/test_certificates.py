# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate that ends in the middle of a session: named with its end and the way out; once renewed, all goes on."""

from __future__ import annotations

import datetime
import re

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.tests.integration.session.test_middle import middle_site
from ansible_collections.opendr.hyperv.tests.integration.session.test_wsman_faults import wsman_site
from ansible_collections.opendr.hyperv.tests.lab.site import MANAGER, SOURCE, TARGET, only_error
from ansible_collections.opendr.hyperv.tests.lab.wsman.faults import FaultKind

PAST = datetime.timedelta(hours=-1)
WHO = {
    MANAGER: ("manager", r"refuses our certificate .*manager-mgr\.pem of manager mgr"),
    SOURCE: ("mover", "the certificate of mover hv-a at .* is refused"),
    TARGET: ("mover", "the certificate of mover hv-b at .* is refused"),
}
END = r", valid until 20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ"


class Before:
    """A port; something happens before the first call of one of its functions."""

    def __init__(self, port, function, act):
        self._port = port
        self._function = function
        self._act = act

    def __getattr__(self, name):
        if name == self._function and self._act is not None:
            act, self._act = self._act, None
            act()
        return getattr(self._port, name)


def require_named(error, pattern):
    assert error["reason"] == "certificate_expired"
    assert re.search(pattern, str(error["message"])), error
    assert re.search(END, str(error["message"])), error
    assert "expired" in str(error["message"])
    assert str(error["hint"]).startswith("renew ")


@pytest.mark.parametrize("name", WHO)
def test_certificate_of_a_manager_or_a_mover_that_ends_in_a_session_is_named(tmp_path, name):
    role, pattern = WHO[name]

    def end():
        site.authority.issue(name, role=role, valid=PAST)
        for middle in site.middles.values():
            middle.cut()

    with middle_site(tmp_path, sees_frames=False) as site:
        movers = {each: site.connect_mover(each) for each in site.movers}
        movers[SOURCE] = Before(movers[SOURCE], "status", end)
        report = site.run(site=site.site(connect_mover=movers.__getitem__))
        require_named(only_error(report), pattern)
        assert site.source_leftovers() == []
        site.prove(points=2)
        site.authority.issue(name, role=role)
        assert site.run(site.job(restore_points=2)).outcome is Outcome.DONE
        site.prove(points=2)


@pytest.mark.parametrize("name", [SOURCE, TARGET])
def test_certificate_of_a_host_that_ends_in_a_session_is_named(tmp_path, name):
    def end():
        site.servers[name].use_certificate(site.authority.issue(name, role="host", valid=PAST))
        site.faults[name].add("*", FaultKind.DROP_BEFORE, count=20)

    with wsman_site(tmp_path) as site:
        hosts = {each: site.connect_host(each) for each in site.fronts}
        hosts[name] = Before(hosts[name], "checkpoint_disks" if name == SOURCE else "leaves", end)
        report = site.run(site=site.site(connect_host=hosts.__getitem__))
        require_named(only_error(report), f"host {name} .*: its certificate is not accepted")
        site.faults[name].clear()
        site.servers[name].use_certificate(site.authority.issue(name, role="host"))
        assert site.session().outcome is Outcome.DONE
        assert site.source_leftovers() == []
        site.prove(points=2)


def test_certificate_of_the_manager_that_ends_soon_is_told_before(site):
    report = site.run(site=site.site(certificate_expires_at=site.clock.now() + 29 * 86400))
    (warning,) = report.machines[0].warnings
    assert warning.startswith("the certificate of manager mgr-state ends at ")
    assert site.run(site=site.site(certificate_expires_at=site.clock.now() + 31 * 86400)).machines[0].warnings == ()
