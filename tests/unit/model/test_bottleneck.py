# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The busiest part names the bottleneck."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.bottleneck import (
    bottleneck,
    busy_by_part,
    together,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import TransferState, TransferStatus


def status(**busy: float) -> TransferStatus:
    return TransferStatus(TransferState.DONE, busy_seconds=busy)


@pytest.mark.parametrize(
    ("source", "target", "part"),
    [
        (status(read=5, compress=1, send=1), status(receive=6, write=1), "source"),
        (status(read=1, compress=5, send=1), status(receive=6, write=1), "proxy"),
        (status(read=1, compress=1, send=5), status(receive=5, write=1), "network"),
        (status(read=1, compress=1, send=7), status(receive=1, write=5), "target"),
        (status(read=1, compress=1, send=7), status(receive=1, write=2, flush=4), "target"),
        (status(read=1, send=7), status(receive=1, compare=5), "target"),
        (status(read=3, send=7), status(receive=1, unpack=2, write=2), "target"),
        (status(), status(), ""),
        (status(unknown=9), status(write=0.0), ""),
    ],
)
def test_longest_busy_stage_decides(source, target, part):
    assert bottleneck(busy_by_part(source, target)) == part


def test_network_is_what_both_sides_waited_for_and_disks_add_up():
    one = busy_by_part(status(send=2.0), status(receive=3.0, write=4.0))
    assert one == {"network": 2.0, "target": 4.0}
    assert together([one, one, {"source": 1.0}]) == {"network": 4.0, "target": 8.0, "source": 1.0}
