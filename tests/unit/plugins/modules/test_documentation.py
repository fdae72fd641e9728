# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examples are real: each task of our modules, wherever it is shown, passes the module's argument specification."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.plugin_docs import read_docstring

from ansible_collections.opendr.hyperv.plugins.module_utils import _spec

ROOT = Path(__file__).parents[4]
SPECIFICATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "opendr.hyperv.hyperv_replica": (_spec.REPLICA_MODULE, _spec.REPLICA_RULES),
    "opendr.hyperv.hyperv_replica_job": (_spec.JOB_MODULE, _spec.JOB_RULES),
    "opendr.hyperv.hyperv_replica_info": (_spec.INFO_MODULE, _spec.INFO_RULES),
    "opendr.hyperv.hyperv_replica_session_info": (_spec.SESSION_INFO_MODULE, {}),
}
MODULES = [name.rpartition(".")[2] for name in SPECIFICATIONS]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def tasks(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every use of one of our modules, however deep in plays and blocks."""
    if isinstance(value, list):
        for item in value:
            yield from tasks(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key in SPECIFICATIONS:
                yield key, item
            else:
                yield from tasks(item)


def complaints(text: str) -> list[str]:
    """Return what the specifications say against the tasks of a YAML text."""
    found = []
    for module, arguments in tasks(yaml.safe_load(text)):
        specification, rules = SPECIFICATIONS[module]
        shown = {name: stand_in(specification.get(name, {}), value) for name, value in arguments.items()}
        found += ArgumentSpecValidator(specification, **rules).validate(shown).error_messages
    return found


def stand_in(option: dict[str, Any], value: Any) -> Any:
    """Put the default of an option, or anything of its type, where a template stands."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    return option.get("default") or {"list": ["a"], "dict": {"a": "b"}, "int": 1}.get(option.get("type", ""), value)


def documents(module: str) -> dict[str, Any]:
    return read_docstring(str(ROOT / "plugins" / "modules" / f"{module}.py"), ignore_errors=False)


def yaml_blocks(page: Path) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_a_module_pass_its_specification(module: str) -> None:
    examples = documents(module)["plainexamples"]
    assert module in examples
    assert complaints(examples) == []


@pytest.mark.parametrize("module", MODULES)
def test_return_values_are_documented_with_samples(module: str) -> None:
    for name, value in documents(module)["returndocs"].items():
        described = value.get("contains") or {name: value}
        assert all("sample" in item for item in described.values()), name


@pytest.mark.parametrize("file", PLAYBOOKS, ids=lambda file: file.name)
def test_playbooks_pass_the_specifications(file: Path) -> None:
    assert complaints(file.read_text(encoding="utf-8")) == []


def test_yaml_in_pages_passes_the_specifications() -> None:
    blocks = [(page, block) for page in PAGES for block in yaml_blocks(page)]
    assert any("hyperv_replica_job" in block for _unused, block in blocks)
    assert [(page.name, complaint) for page, block in blocks for complaint in complaints(block)] == []


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        ("{name: web, state: absent, wait: maybe}", "wait"),
        ("{name: web}", "vms"),
        ("{name: web, state: started, vms: [a]}", "source_host"),
        ("{state: started, name: web, snapshots: 3}", "snapshots"),
    ],
)
def test_wrong_task_is_found(arguments: str, wrong: str) -> None:
    found = complaints(f"- hosts: all\n  tasks:\n    - block:\n        - opendr.hyperv.hyperv_replica_job: {arguments}")
    assert len(found) == 1
    assert wrong in found[0]
