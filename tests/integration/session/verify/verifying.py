# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verification of machine ``web`` on a small site, and what it found."""

from __future__ import annotations

import uuid
from dataclasses import replace

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import open_for_reading
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image, Source
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.verify.task import run_verification
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import VerifyMode, VerifySpec
from ansible_collections.opendr.hyperv.tests.lab.site import MemoryJournal

FULL = VerifySpec(VerifyMode.FULL)
PIECE = 64 * KiB
SIZE = 40 * MiB  # of both disks
PLACES = {"base": 3 * MiB, "middle": 8 * MiB, "newest": 12 * MiB}  # of disk 0: what each file stores


def verify(site, spec=FULL, *, ports=None, job=None):
    """Run a verification; ``site.journal`` has what it told."""
    site.journal = MemoryJournal()
    ports = replace(ports or site.site(), journal=site.journal)
    return run_verification(ports, job or site.job(), session_id=uuid.uuid4(), spec=spec)


def files(site):
    """Return the files of the newest restore point's first disk by the names of ``PLACES``."""
    replica = site.machine("web_replica", host=site.target)
    chain = site.chains(replica, str(site.record().newest.point_id))[str(first(site.record().disks).disk_id)]
    return dict(zip(PLACES, reversed(chain), strict=False))


def first(disks):
    """Return what is told of the first disk."""
    return next(disk for disk in disks if str(disk.slot) == "SCSI 0:0")


def verdicts(site):
    return [point.verified.verdict if point.verified else None for point in site.record().restore_points]


def checked(report):
    assert report.outcome is Outcome.DONE, report.as_dict()
    return report.machines[0].verification


def storing(site, place):
    """Return the file that has a byte of the first disk in the newest restore point; None: it reads as zero."""
    replica = site.machine("web_replica", host=site.target)
    for path in site.chains(replica, str(site.record().newest.point_id))[str(first(site.record().disks).disk_id)]:
        with open_for_reading(str(path)) as opened:
            (segment,) = Image.open(opened).segments(place, 1)
        if segment.source is not Source.ABSENT:
            return path if segment.source is Source.DATA else None
    return None


def remove_by_hand(site, index):
    point = site.record().restore_points[index]
    replica = site.machine("web_replica", host=site.target)
    site.target.call("Remove-VMSnapshot", vm_id=replica["vm_id"], checkpoint_id=str(point.point_id).upper())
    site.target.settle()
