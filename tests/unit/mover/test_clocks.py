# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Movers never ask for the time of day: a clock that is wrong or jumps means nothing to a transfer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ENGINE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "_engine"
FILES = [*sorted((ENGINE / "mover").glob("*.py")), ENGINE / "adapters" / "connection.py"]
TIME_OF_DAY = re.compile(r"time\.time|time_ns|datetime|localtime|gmtime|st_mtime|\bimport time as|from time import")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_time_of_day_is_not_asked_for(path):
    assert TIME_OF_DAY.findall(path.read_text(encoding="utf-8")) == []
