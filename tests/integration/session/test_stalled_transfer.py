# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mover that takes an order and then does nothing, without a word."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import TransferState, TransferStatus
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, only_error


class Idle:
    """A mover that never starts what it was told to."""

    def __init__(self, mover):
        self._mover = mover

    def __getattr__(self, name):
        return getattr(self._mover, name)

    def start_source(self, order):
        return TransferStatus(TransferState.WAITING)

    def status(self, ticket, *, side):
        return TransferStatus(TransferState.WAITING)


def test_transfer_that_stands_still_ends_and_the_next_session_goes_on(site):
    def connect(name):
        mover = site.connect_mover(name)
        return Idle(mover) if name == SOURCE else mover

    limits = replace(site.site().limits, stall_seconds=0.3, reconnect_limit_seconds=0.1)
    error = only_error(site.run(site=site.site(connect_mover=connect, limits=limits)))
    assert (error["code"], error["reason"]) == ("transport_failed", "stalled")
    assert "the source is waiting" in error["message"]
    assert site.run().outcome is Outcome.DONE
    site.prove(points=1)
    assert site.source_leftovers() == []
