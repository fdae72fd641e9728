# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the real playbook with the real ansible-playbook, and hands on its lines as they come."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.plugin_utils.engine_archive import ENGINE

TREE = ENGINE.parents[2] / ".build" / "tree"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STARS = re.compile(r" ?\*{4,}")


class PlaybookFailed(Exception):
    """ansible-playbook ended with an error; it has said what."""


class Playbook:
    """A playbook of the collection over an inventory; everything it writes stays in ``folder``."""

    def __init__(self, name: str, *, inventory: Path, folder: Path, color: bool) -> None:
        self.command = [str(Path(sys.executable).with_name("ansible-playbook")), name, "-i", str(inventory)]
        self.shown = f"ansible-playbook {name} -i {inventory.name}"
        # A file of our own, so that no other one is found; all settings are in the environment.
        configuration = folder / "ansible.cfg"
        configuration.write_text("[defaults]\n")
        # Modules unpack themselves below TMPDIR, and what an interrupt ends cannot remove that any more.
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        self._environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "ansible" / "remote"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "ansible" / "local"),
            "ANSIBLE_CONFIG": str(configuration),
            "TMPDIR": str(temporary),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "PYTHONUNBUFFERED": "1",
            "ANSIBLE_FORCE_COLOR" if color else "ANSIBLE_NOCOLOR": "true",
        }

    def run(self, show: Callable[[str], None]) -> None:
        """Run to the end. Raises PlaybookFailed."""
        with subprocess.Popen(
            self.command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process:
            if process.stdout is None:
                raise PlaybookFailed("ansible-playbook has no output")
            for line in _worth_showing(process.stdout):
                show(line)
        if process.returncode:
            raise PlaybookFailed(f"{self.shown} ended with {process.returncode}")


def _worth_showing(lines: Iterable[str]) -> Iterator[str]:
    """Leave out empty lines, rows of stars and the closing statistics; read to the end all the same."""
    closing = False
    for line in lines:
        plain = _COLOUR.sub("", line).strip()
        closing = closing or plain.startswith("PLAY RECAP")
        if plain and not closing:
            yield _STARS.sub("", line.rstrip())
