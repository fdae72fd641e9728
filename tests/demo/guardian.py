# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clears up after the demo, however it ended: Ctrl-C, an error, or a kill that it cannot catch.

The guardian is a process of its own. It waits until the demo's end of a pipe closes, then stops whatever the demo
started, and what that started in turn, a detached session worker included: all of them carry the demo's folder in their
environment. Then it removes the folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

MARK: Final = "OPENDR_DEMO"
GRACE_SECONDS: Final = 5.0


class Guardian:
    """Started by the demo; ``release`` lets it clear up and returns when it is done."""

    def __init__(self, folder: Path) -> None:
        os.environ[MARK] = str(folder)
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # a Ctrl-C on the terminal is not for it
        )

    def release(self) -> None:
        self._process.communicate()


def main() -> None:
    folder = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    stop(str(folder))
    shutil.rmtree(folder, ignore_errors=True)


def stop(folder: str) -> None:
    """End every process that belongs to the folder: politely, after the grace period by force."""
    deadline = time.monotonic() + GRACE_SECONDS
    asked: set[int] = set()
    while found := belonging(folder):
        late = time.monotonic() > deadline
        for pid in found if late else found - asked:
            _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= found
        time.sleep(0.05)


def belonging(folder: str) -> set[int]:
    """Return the processes that carry the folder's mark, or name the folder in their arguments."""
    return {
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _belongs(entry, folder.encode())
    }


def _belongs(process: Path, folder: bytes) -> bool:
    try:
        arguments = (process / "cmdline").read_bytes()
        environment = (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or it is another user's
        return False
    return folder in arguments or MARK.encode() + b"=" + folder in environment


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    main()
