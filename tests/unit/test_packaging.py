# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in more than one file is the same in each."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.mover.daemon import VERSION

ROOT = Path(__file__).resolve().parents[2]
HEADER = re.compile(
    r"Copyright \(c\) \d{4} OpenDR contributors\n"
    r"(# |// |; )?GNU General Public License v3\.0\+ \(see LICENSE or https://www\.gnu\.org/licenses/gpl-3\.0\.txt\)\n"
    r"(# |// |; )?SPDX-License-Identifier: GPL-3\.0-or-later"
)
# Text of others, files that a tool writes, and one that lists names only.
WITHOUT_HEADER = re.compile(
    r"LICENSE|MAINTAINERS|CHANGELOG\.md|uv\.lock|changelogs/changelog\.yaml|tools/requirements-\w+\.txt|docs/.*\.md"
    r"|.*/NOTICE\.md|.*/__init__\.py|.*\.(json|bin|gz|xz|vhdx|avhdx|pem)"
)


def tracked_files() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.fail("not a git checkout: cannot tell which files are ours")
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def requirements(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked_packages() -> list[dict]:
    return tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]


def exported(group: str) -> dict[str, str]:
    text = (ROOT / "tools" / f"requirements-{group}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", text, re.MULTILINE))


def test_versions_agree():
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert galaxy["version"] == project()["project"]["version"] == VERSION


def test_wheels_of_the_product_are_those_of_the_group_run():
    wheels = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    assert wheels
    assert set(wheels) <= set(project()["dependency-groups"]["run"])


def test_lock_is_that_of_the_project():
    own = next(package for package in locked_packages() if package["name"] == "opendr-hyperv")
    wanted = {}
    for group, entries in project()["dependency-groups"].items():
        wanted[group] = {re.split(r"[^a-z0-9.-]", entry)[0] for entry in entries if isinstance(entry, str)}
    wanted["dev"] |= wanted["run"]
    locked = {group: {entry["name"] for entry in entries} for group, entries in own["dev-dependencies"].items()}
    assert locked == wanted, "run make lock"


def test_exports_are_those_of_the_lock():
    versions = {(package["name"], package.get("version")) for package in locked_packages()}
    for group in ("run", "dev"):
        assert exported(group).items() <= versions, "run make lock"
    names = {name for name, _version in versions} - {"opendr-hyperv"}
    assert set(exported("dev")) == names, "run make lock"
    assert set(exported("run")) < names


def test_action_group_holds_every_module():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - {"__init__"}
    assert set(runtime["action_groups"]["hyperv"]) == modules


def test_each_file_carries_its_licence():
    bare = [
        name
        for name in tracked_files()
        if not WITHOUT_HEADER.fullmatch(name)
        and not HEADER.search((ROOT / name).read_text(encoding="utf-8", errors="replace")[:400])
    ]
    assert bare == [], "add the three lines of licence; see CONTRIBUTING.md"


def test_header_is_recognised_in_full_only():
    good = (ROOT / "galaxy.yml").read_text(encoding="utf-8")[:400]
    assert HEADER.search(good)
    assert not HEADER.search(good.replace("SPDX", "SPD"))


def test_archive_leaves_out_what_users_do_not_run():
    ignored = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    kept = {
        "CHANGELOG.md",
        "CODE_OF_CONDUCT.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "MAINTAINERS",
        "README.md",
        "galaxy.yml",
    }
    kept |= {"changelogs", "docs", "extensions", "meta", "playbooks", "plugins", "requirements.txt", "roles"}
    assert {name.split("/")[0] for name in tracked_files()} <= kept | set(ignored)
