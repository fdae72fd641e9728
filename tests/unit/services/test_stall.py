# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.config import Timing
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Limits
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.stall import Stall
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import TransferState, TransferStatus

WAITING = TransferStatus(TransferState.WAITING)


def test_standing_still_is_an_error_after_the_limit_and_not_before():
    stall = Stall(60.0)
    for now in (1000.0, 1030.0, 1060.0):
        stall.check(WAITING, WAITING, now=now)
    with pytest.raises(TransportError, match="for 61 seconds: the source is waiting, the target waiting") as caught:
        stall.check(WAITING, WAITING, now=1061.0)
    assert caught.value.reason == "stalled"


MOVES = [
    (TransferStatus(TransferState.RUNNING, processed=1), WAITING),
    (TransferStatus(TransferState.RUNNING, sent=1), WAITING),
    (WAITING, TransferStatus(TransferState.RUNNING, processed=1)),
    (WAITING, TransferStatus(TransferState.RUNNING, written=1)),
    (WAITING, TransferStatus(TransferState.RUNNING, durable_until=1)),
]


@pytest.mark.parametrize(("source", "target"), MOVES)
def test_whatever_moves_begins_a_new_wait(source, target):
    stall = Stall(60.0)
    stall.check(WAITING, WAITING, now=0.0)
    stall.check(source, target, now=50.0)
    stall.check(source, target, now=110.0)
    with pytest.raises(TransportError):
        stall.check(source, target, now=111.0)


def test_movers_that_wait_for_each_other_speak_first():
    assert Limits().stall_seconds > Timing().reconnect_limit
