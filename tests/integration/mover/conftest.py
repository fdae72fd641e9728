# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the mover's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .sites import Site, make_site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Two movers that run and a source disk; the replica's disk is not made yet."""
    made = make_site(tmp_path)
    with made.source, made.target:
        yield made
