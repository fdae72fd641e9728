# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks shown in documents, in modules and in playbooks/ fit the modules that they call."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "opendr.hyperv."
FENCE = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def documented() -> dict[str, dict]:
    """What ansible-doc says of each module, fragments included."""
    names = [path.stem for path in sorted((ROOT / "plugins" / "modules").glob("hyperv_*.py"))]
    command = [sys.executable, "-m", "ansible", "doc", "-t", "module", "-j", *(PREFIX + name for name in names)]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "tree")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert set(found) == {PREFIX + name for name in names}, done.stderr
    return found


def tasks(value: object) -> Iterator[dict]:
    """Yield each mapping that has a key of ours, wherever it stands in a document."""
    if isinstance(value, dict):
        if any(str(key).startswith(PREFIX) for key in value):
            yield value
        for part in value.values():
            yield from tasks(part)
    elif isinstance(value, list):
        for part in value:
            yield from tasks(part)


def faults(task: dict, documented: dict[str, dict]) -> list[str]:
    said = []
    for name, arguments in task.items():
        if not str(name).startswith(PREFIX):
            continue
        if name not in documented:
            said.append(f"{name} is no module")
            continue
        options = documented[name]["doc"]["options"]
        given = arguments or {}
        said += [f"{name} has no option {option}" for option in given if option not in options]
        said += [f"{name} needs {key}" for key, about in options.items() if about.get("required") and key not in given]
        for key, value in given.items():
            choices = options.get(key, {}).get("choices")
            for one in value if isinstance(value, list) else [value]:
                if choices and "{{" not in str(one) and one not in choices:
                    said.append(f"{name}: {key} is {one}, not one of {choices}")
    return said


def examples(documented: dict[str, dict]) -> dict[str, str]:
    texts = {name: about["examples"] for name, about in documented.items()}
    for path in (ROOT / "playbooks").glob("*.yml"):
        texts[path.name] = path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for number, block in enumerate(FENCE.findall(path.read_text(encoding="utf-8"))):
            texts[f"{path.name} {number}"] = block
    return texts


def test_examples_fit_the_modules(documented):
    found = examples(documented)
    assert "README.md 0" in found
    for name, text in found.items():
        for task in tasks(yaml.safe_load(text)):
            assert faults(task, documented) == [], name


def test_each_module_has_an_example(documented):
    for name, about in documented.items():
        assert any(name in task for task in tasks(yaml.safe_load(about["examples"]))), name


def test_wrong_example_is_found():
    documented = {"opendr.hyperv.x": {"doc": {"options": {"name": {"required": True}, "state": {"choices": ["a"]}}}}}
    task = yaml.safe_load("block: [{opendr.hyperv.x: {state: b, size: 1}}, {opendr.hyperv.y: {}}]")
    said = [fault for part in tasks(task) for fault in faults(part, documented)]
    assert said == [
        "opendr.hyperv.x has no option size",
        "opendr.hyperv.x needs name",
        "opendr.hyperv.x: state is b, not one of ['a']",
        "opendr.hyperv.y is no module",
    ]
