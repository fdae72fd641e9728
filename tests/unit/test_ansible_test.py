# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree has nothing of what ansible-test is known to refuse, and the check finds it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.style.ansible_test import refusals

ROOT = Path(__file__).resolve().parents[2]
NODE_FILE = "plugins/module_utils/x.py"


def test_tree_has_nothing_that_ansible_test_refuses():
    paths = [path for folder in ("plugins", "tests", "tools") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(paths) > 20
    found = [(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    assert [refusal for name, source in found for refusal in refusals(name, ast.parse(source))] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("tests/x.py", "for _ in x: pass"),
        ("tests/x.py", "a, _ = x"),
        ("tests/x.py", "f = lambda _: 1"),
        ("tests/x.py", "def g(foo): pass"),
        ("tests/x.py", "type(x) is int"),
        ("tests/x.py", "if type(x) == int: pass"),
        (NODE_FILE, "print('x')"),
        (NODE_FILE, "import sys\nsys.exit(1)"),
        (NODE_FILE, "Buffer = bytes | memoryview"),
        (NODE_FILE, "Maybe = Extent | None"),
        ("plugins/modules/x.py", "Rows = list[int] | tuple[int, ...] | Other"),
    ],
)
def test_refusal_is_found(path, source):
    assert len(refusals(path, ast.parse(source))) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (NODE_FILE, "def f(x: int | None = None) -> str | None: ..."),
        (NODE_FILE, "field: dict[str, int | None] = {}\nisinstance(x, int | str)"),
        (NODE_FILE, "both = left | right\nflags = re.A | re.M\nmask = READ | WRITE\nsome = Mode.READ | Mode.WRITE"),
        (NODE_FILE, "for _index, _1 in x: pass\nport.print(1)"),
        (NODE_FILE, "type(x) is type(y)"),
        ("plugins/action/x.py", "Buffer = bytes | memoryview\nprint(1)"),
    ],
)
def test_good_code_is_not_refused(path, source):
    assert refusals(path, ast.parse(source)) == []
