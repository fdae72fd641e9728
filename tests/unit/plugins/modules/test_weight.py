# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module ships what it imports on each task, so the one that is called every two seconds must stay light."""

from __future__ import annotations

import subprocess
import sys

POLLED = "ansible_collections.opendr.hyperv.plugins.modules.hyperv_replica_session_info"
PROGRAM = f"import sys, {POLLED}; print(*sys.modules)"
ENGINE = "ansible_collections.opendr.hyperv.plugins.module_utils._engine."
WHEELS = {
    "sqlalchemy",
    "pypsrp",
    "requests",
    "msgpack",
    "zstandard",
    "xxhash",
    "blake3",
    "google_crc32c",
    "cryptography",
}


def imported() -> set[str]:
    return set(
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout.split()
    )


def test_polled_module_loads_no_wheel() -> None:
    assert imported() & WHEELS == set()


def test_polled_module_loads_a_handful_of_the_engine() -> None:
    assert len([name for name in imported() if name.startswith(ENGINE)]) <= 10
