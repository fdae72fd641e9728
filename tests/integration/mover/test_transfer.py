# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole transfers between two movers: what arrives, and how little travels."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, total
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Scope
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from .sites import Site

pytestmark = pytest.mark.needs("qemu-img")


def test_a_full_copy_equals_the_source(site: Site) -> None:
    site.create()
    source, target = site.copy(site.ticket())
    site.assert_equal()
    assert source.processed == source.total == source.read
    assert target.written == source.processed - source.zero
    assert target.leaf is not None
    assert target.leaf.virtual_size == site.disk.geometry.virtual_size


def test_changed_extents_bring_the_replica_up_to_date(site: Site) -> None:
    site.create()
    site.copy(site.ticket())
    changed = site.disk.write(Extent(1 * MiB, 64 * KiB), Extent(7 * MiB, 512), Extent(23 * MiB, 1 * MiB))
    changed += site.disk.zero(Extent(9 * MiB, 256 * KiB))
    source, _target = site.copy(site.ticket("cycle-2"), Scope.CHANGED, sorted(changed))
    site.assert_equal()
    assert source.read < total(changed) + 64 * KiB
    assert source.sent < total(changed)
