# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas to verify."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.integration.session.verify.verifying import PLACES


@pytest.fixture
def site(site: WebSite) -> WebSite:
    """A replica of one restore point."""
    site.run()
    return site


@pytest.fixture
def layered(site: WebSite) -> WebSite:
    """A replica of three restore points, each with a file of its own."""
    for number, place in enumerate([PLACES["middle"], PLACES["newest"]]):
        site.guest_writes(7 + number, 0, place, 128 * KiB)
        site.run()
    return site
