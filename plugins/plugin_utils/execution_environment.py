# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Whether the play runs in an execution environment, which is thrown away with everything that was written in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

# What container engines leave in a container (Kubernetes a variable), and what ansible-runner sets for its callbacks.
CONTAINER_FILES = ("/run/.containerenv", "/.dockerenv")
CONTAINER_VARIABLE = "KUBERNETES_SERVICE_HOST"
RUNNER_VARIABLE = "AWX_ISOLATED_DATA_DIR"


def is_thrown_away(environment: Mapping[str, str], exists: Callable[[str], bool]) -> bool:
    """Tell from the controller's environment and files. A container of which no runner knows is somebody's own."""
    inside = CONTAINER_VARIABLE in environment or any(exists(file) for file in CONTAINER_FILES)
    return inside and RUNNER_VARIABLE in environment
