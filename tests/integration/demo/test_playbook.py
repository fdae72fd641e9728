# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from pathlib import Path

from ansible_collections.opendr.hyperv.tests.demo.playbook import Playbook

WHERE = "import os, tempfile; print(tempfile.gettempdir()); print(os.environ['ANSIBLE_REMOTE_TEMP'])"


def test_temporary_files_of_a_playbook_end_with_its_folder(tmp_path: Path) -> None:
    playbook = Playbook("site.yml", inventory=tmp_path / "hosts.yml", folder=tmp_path, color=False)
    playbook.command = [sys.executable, "-c", WHERE]
    lines: list[str] = []
    playbook.run(lines.append)
    assert lines
    assert all(Path(line).is_relative_to(tmp_path) for line in lines)
