# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.demo import guardian
from ansible_collections.opendr.hyperv.tests.integration.ansible.control import Control
from ansible_collections.opendr.hyperv.tests.lab.inventory import write_inventory
from ansible_collections.opendr.hyperv.tests.lab.site import ProcessSite

# The movers' patience in production is minutes; on a slow line QUICK of the lab would be too short.
TIMING = {"reconnect_interval": 1.0, "reconnect_limit": 60.0, "heartbeat": 5.0, "silence": 60.0, "flush": 0.5}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessSite]:
    """Two hosts and two movers; whatever they or the plays start, session workers included, ends with the module."""
    folder = tmp_path_factory.mktemp("site")
    os.environ[guardian.MARK] = str(folder)
    try:
        with ProcessSite(folder, timing=TIMING) as started:
            yield started
    finally:
        del os.environ[guardian.MARK]
        guardian.stop(str(folder))


@pytest.fixture
def control(site: ProcessSite, tmp_path: Path) -> Control:
    """A controller whose inventory has the whole site."""
    return Control(tmp_path, write_inventory(site, tmp_path / "inventory.yml"))
