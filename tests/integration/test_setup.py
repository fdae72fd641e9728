# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make setup`` and all that begins with it."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.opendr.hyperv.plugins.plugin_utils.engine_archive import ENGINE

SETUP = ENGINE.parents[2] / "tools" / "setup.sh"


@pytest.mark.parametrize("python", ["/nonexistent/python3", "/bin/true"])
def test_interpreter_that_cannot_be_used_is_refused_and_named(python: str) -> None:
    environment = {**os.environ, "PYTHON": python}
    done = subprocess.run([str(SETUP), "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"PYTHON={python} is no Python 3.11" in done.stderr
