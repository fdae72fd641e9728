# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays run by ansible-runner, as AWX does, over the laboratory: lines are noted with the time at which they came."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner.interface
import yaml

from ansible_collections.opendr.hyperv.tests.demo.playbook import TREE

JOB_MODULE = "opendr.hyperv.hyperv_replica_job"
INFO_MODULE = "opendr.hyperv.hyperv_replica_info"
SESSION_MODULE = "opendr.hyperv.hyperv_replica_session_info"
_FINAL = frozenset({"runner_on_ok", "runner_on_failed", "runner_on_skipped", "runner_on_unreachable"})


@dataclass
class Outcome:
    """What a play did. ``lines`` are what was shown while tasks ran, with seconds since the start of the play."""

    status: str = ""
    results: list[dict[str, Any]] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)
    text: str = ""

    @property
    def result(self) -> dict[str, Any]:
        """The result of the last task."""
        return self.results[-1]


class Control:
    """A controller with an inventory; every play gets a folder of its own in ``folder``."""

    def __init__(self, folder: Path, inventory: Path) -> None:
        self.folder = folder
        self.inventory = inventory
        self.pipelining = True  # quicker; without it modules and their arguments pass through files
        self._plays = 0

    def run(
        self,
        tasks: Sequence[Mapping[str, Any]],
        *,
        check: bool = False,
        arguments: str = "",
        on_line: Callable[[str], object] = lambda line: None,
        cancel_at: Callable[[str], bool] = lambda line: False,
    ) -> Outcome:
        """Run tasks on the manager and return what came of them; a failed task ends the play.

        ``on_line`` is called with each line that a task shows; at a line that fits ``cancel_at`` the play is cancelled.
        """
        outcome = Outcome()
        began = time.monotonic()

        def note(event: dict[str, Any]) -> bool:
            outcome.text += event.get("stdout", "") + "\n"
            if event["event"] == "verbose" and event["stdout"].strip():
                outcome.lines.append((time.monotonic() - began, event["stdout"]))
                on_line(event["stdout"])
            if event["event"] in _FINAL:
                outcome.results.append(event["event_data"]["res"])
            return False

        run = ansible_runner.interface.run(
            private_data_dir=str(self._prepare(tasks)),
            playbook="play.yml",
            inventory=str(self.inventory),
            cmdline=f"{'--check --diff' if check else ''} {arguments}".strip() or None,
            envvars=self._environment(),
            event_handler=note,
            cancel_callback=lambda: any(cancel_at(line) for _at, line in outcome.lines),
            quiet=True,
        )
        outcome.status = run.status
        return outcome

    def start(self, tasks: Sequence[Mapping[str, Any]]) -> subprocess.Popen[str]:
        """Start ``ansible-playbook`` as somebody on a terminal does; all it says comes through ``stdout``."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        return subprocess.Popen(
            [*command, str(self._prepare(tasks) / "project" / "play.yml")],
            env={**os.environ, **self._environment(), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def task(self, module: str, /, *, check: bool = False, **options: Any) -> dict[str, Any]:
        """Run one task and return its result, also a failed one."""
        return self.run([{module: options}], check=check).result

    def _prepare(self, tasks: Sequence[Mapping[str, Any]]) -> Path:
        self._plays += 1
        folder = self.folder / f"play-{self._plays}"
        (folder / "project").mkdir(parents=True)
        play = {"hosts": "replication_managers", "gather_facts": False, "tasks": [dict(task) for task in tasks]}
        (folder / "project" / "play.yml").write_text(yaml.safe_dump([play]))
        return folder

    def _environment(self) -> dict[str, str]:
        configuration, temporary = self.folder / "ansible.cfg", self.folder / "tmp"
        configuration.write_text("[defaults]\n")
        temporary.mkdir(exist_ok=True)
        return {
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "home" / "remote"),
            "TMPDIR": str(temporary),
            "ANSIBLE_CONFIG": str(configuration),
            "ANSIBLE_PIPELINING": str(self.pipelining),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }
