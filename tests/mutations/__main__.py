# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes one rule after another from a copy of the tree; the test that holds it must break.

``python -m ansible_collections.opendr.hyperv.tests.mutations [WORD ...]``: the words choose among rules and files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.tests.mutations.table import MUTATIONS, Mutation

ROOT: Final = Path(__file__).resolve().parents[2]
ENGINE: Final = Path("plugins/module_utils/_engine")
SECONDS: Final = 300  # a rule that is gone may let a test wait for ever; that breaks it too
PASSED, FAILED = 0, 1  # pytest's words for it; others mean that it did not run at all


def path_of(mutation: Mutation) -> Path:
    """Return the file, relative to the checkout."""
    return Path(mutation.file) if mutation.file.startswith("tests/") else ENGINE / mutation.file


def mutated(mutation: Mutation, text: str) -> str:
    """Return the text without the rule. Raises ValueError when the place is not there exactly once."""
    if text.count(mutation.old) != 1:
        raise ValueError(f"{mutation.file} has {mutation.old!r} {text.count(mutation.old)} times")
    return text.replace(mutation.old, mutation.new)


class Copy:
    """A copy of the tree that tests run in."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for name in ("plugins", "tests", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(ROOT / "pyproject.toml", folder)
        link = folder / ".build/tree/ansible_collections/opendr/hyperv"
        link.parent.mkdir(parents=True)
        link.symlink_to(folder)

    def run(self, tests: Iterable[str], *, output: int | None = None, limit: float | None = None) -> int:
        """Run tests; return pytest's exit code, FAILED when they take too long."""
        environment = {**os.environ, "PYTHONPATH": str(self.root / ".build/tree"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        command += [f"tests/{test}" for test in tests]
        try:
            done = subprocess.run(command, cwd=self.root, env=environment, stdout=output, timeout=limit, check=False)
        except subprocess.TimeoutExpired:
            return FAILED
        return done.returncode

    def run_mutated(self, mutation: Mutation) -> int:
        """Run the rule's test without the rule."""
        path = self.root / path_of(mutation)
        text = path.read_text(encoding="utf-8")
        path.write_text(mutated(mutation, text), encoding="utf-8")
        try:
            return self.run([mutation.test], output=subprocess.DEVNULL, limit=SECONDS)
        finally:
            path.write_text(text, encoding="utf-8")


def main(words: list[str]) -> int:
    """Return 0 when each test passes with its rule and breaks without it."""
    chosen = [each for each in MUTATIONS if not words or any(word in f"{each.rule} {each.file}" for word in words)]
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        if copy.run(dict.fromkeys(mutation.test for mutation in chosen)) != PASSED:
            print("these tests do not pass as they are: nothing can be said")
            return 1
        for number, mutation in enumerate(chosen, start=1):
            killed = copy.run_mutated(mutation) == FAILED
            survived += not killed
            print(f"{number}/{len(chosen)} {'killed' if killed else 'SURVIVED'}: {mutation.rule} ({mutation.test})")
    print(f"mutants: {len(chosen)}, killed: {len(chosen) - survived}, survived: {survived}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
