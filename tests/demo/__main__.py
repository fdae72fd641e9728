# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make demo``: replicate a machine between two lab hosts with the real collection, and prove every restore point."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.opendr.hyperv.tests.demo.guardian import Guardian
from ansible_collections.opendr.hyperv.tests.demo.guest import Missing
from ansible_collections.opendr.hyperv.tests.demo.playbook import PlaybookFailed
from ansible_collections.opendr.hyperv.tests.demo.screen import BOLD, Screen
from ansible_collections.opendr.hyperv.tests.demo.story import Story


def main() -> int:
    screen = Screen()
    began = time.monotonic()
    try:
        with workplace() as folder:
            good = Story(folder, screen).tell()
    except (Missing, PlaybookFailed, RuntimeError) as error:
        screen.print()
        screen.bad(str(error))
        return 1
    except KeyboardInterrupt:
        screen.print()
        screen.dim("interrupted; everything that was started is stopped")
        return 130
    screen.print()
    if good:
        screen.good(screen.paint("every restore point is proven, and everything that was started is stopped", BOLD))
        screen.dim(f"  {time.monotonic() - began:.0f} seconds")
    else:
        screen.bad("a restore point differs from its source")
    screen.print()
    return 0 if good else 1


@contextmanager
def workplace() -> Iterator[Path]:
    """Give a folder of its own, and have everything that belongs to it stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="opendr-demo-"))
    guardian = Guardian(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        yield folder
    finally:
        guardian.release()


if __name__ == "__main__":
    sys.exit(main())
