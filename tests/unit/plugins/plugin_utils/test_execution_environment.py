# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.plugin_utils.execution_environment import is_thrown_away

RUNNER = {"AWX_ISOLATED_DATA_DIR": "/runner/artifacts/1"}
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}


@pytest.mark.parametrize(
    ("environment", "files", "thrown_away"),
    [
        (RUNNER | KUBERNETES, set(), True),
        (RUNNER, {"/run/.containerenv"}, True),
        (RUNNER, {"/.dockerenv"}, True),
        (RUNNER, set(), False),
        (KUBERNETES, {"/.dockerenv"}, False),
        ({}, set(), False),
    ],
)
def test_runner_in_a_container_is_an_execution_environment(
    environment: dict[str, str], files: set[str], thrown_away: bool
) -> None:
    assert is_thrown_away(environment, files.__contains__) is thrown_away
