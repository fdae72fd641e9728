# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines of one job that begin in the same moment."""

from __future__ import annotations

import threading

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, disks


class Meeting:
    """A host whose sessions write their first record only when each has looked for records."""

    def __init__(self, host, barrier):
        self._host = host
        self._barrier = barrier
        self._met = False

    def __getattr__(self, name):
        return getattr(self._host, name)

    def write_record(self, *given, **named):
        if not self._met:
            self._met = True
            self._barrier.wait(timeout=60)
        self._host.write_record(*given, **named)


def test_machines_of_one_name_get_folders_of_their_own(site):
    other = site.source.create_machine("web", folder=f"{FOLDER}\\other", disks=disks(8 * MiB))
    site.source.call("Start-VM", vm_id=other)
    site.source.write(other, "SCSI 0:0", offset=2 * MiB, data=b"another " * 512)
    vms = [site.vm_id, other]
    barrier = threading.Barrier(2)

    def connect(name):
        host = site.connect_host(name)
        return Meeting(host, barrier) if name == "hv-b" else host

    report = site.run(site.job(vms=vms), site=site.site(connect_host=connect))
    assert report.outcome is Outcome.DONE, site.journal.texts
    assert len({record.target.folder for record in site.records()}) == 2
    site.guest_writes(7, 0, 10 * MiB)
    assert site.run(site.job(vms=vms)).outcome is Outcome.DONE
    for vm_id in vms:
        site.prove(vm_id, points=2)
