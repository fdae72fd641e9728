# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something restarts in the middle of a transfer over a slow line: the transfer goes on where it was."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import start_worker
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.integration.session.manager import COMMAND
from ansible_collections.opendr.hyperv.tests.integration.session.test_worker import WebManager
from ansible_collections.opendr.hyperv.tests.lab.relay import SlowRelay
from ansible_collections.opendr.hyperv.tests.lab.site import SOURCE, TARGET, ProcessSite

SIZE = 12 * MiB  # of random bytes: what has to cross the line
SLOW, FAST = 2 * MiB, 200 * MiB  # bytes per second


class SlowManager(WebManager):
    """A manager whose target mover is at the other end of a slow line."""

    relay: SlowRelay

    def begin(self, *, percent: int) -> str:
        """Start a session; return its id when so much is done of its transfer."""
        topology = self.site.topology(self.site.job(compression="none"))
        topology["movers"][TARGET]["port"] = self.relay.port
        session_id: str = start_worker(COMMAND, topology)["session_id"]
        self.wait(session_id, lambda status: status["bytes_total"] >= SIZE and status["percent"] >= percent)
        return session_id


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SlowManager]:
    with ProcessSite(tmp_path) as site:
        made = SlowManager(site)
        chaos = random.Random(4)
        for offset in range(0, SIZE, MiB):
            site.source.write(made.vm_id, "SCSI 0:0", offset=offset, data=chaos.randbytes(MiB))
        with SlowRelay(site.movers[TARGET].port, rate=SLOW) as made.relay:
            yield made


@pytest.mark.parametrize("side", [SOURCE, TARGET])
def test_mover_killed_in_the_middle_sends_only_the_rest_again(manager, side):
    session_id = manager.begin(percent=30)
    manager.site.movers[side].kill()
    sent_before = manager.status(session_id)["bytes_sent"]
    manager.site.movers[side].start()
    manager.relay.set_rate(FAST)
    status = manager.wait(session_id)
    assert status["state"] == "done", status
    disk = status["result"]["machines"][0]["disks"][0]
    assert sent_before > 2 * MiB
    assert disk["bytes_sent"] < SIZE + sent_before  # not all of it a second time
    manager.site.prove(points=1)


def test_host_restarted_in_the_middle_is_waited_for(manager):
    session_id = manager.begin(percent=20)
    host = manager.site.hosts[TARGET]
    host.kill()
    manager.site.target.close()
    manager.wait(session_id, lambda status: status["percent"] >= 60)  # the movers do not need it
    manager.relay.set_rate(FAST)
    manager.wait(session_id, lambda status: status["percent"] == 100)
    host.start()
    manager.site.target = host.control()
    assert manager.wait(session_id)["state"] == "done"
    assert manager.site.source_leftovers() == []
    manager.site.prove(points=1)
