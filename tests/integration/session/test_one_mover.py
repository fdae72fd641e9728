# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One mover serves both sides of a job."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET


def test_one_proxy_for_both_hosts_replicates_first_all_and_then_changes(site):
    site.start_mover("proxy", serves=[SOURCE, TARGET])
    job = site.job(source_proxies=["proxy"], target_proxies=["proxy"])
    assert site.run(job).outcome is Outcome.DONE, site.journal.texts
    site.guest_writes(7, 0, 10 * MiB)
    report = site.run(job)
    assert [disk.reason for disk in report.machines[0].disks] == ["tracked"] * 2
    site.prove(points=2)


def test_replica_on_the_host_of_its_source_is_made(site):
    report = site.run(site.job(target_host=SOURCE))
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert report.machines[0].traffic.read > 0
