# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, functions and argument lists keep the sizes of the house style."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ansible_collections.opendr.hyperv.tests.style.sizes import Excess, complaints, excesses

ROOT = Path(__file__).resolve().parents[2]

# Old offenders: what is longer than its limit, and by how much. An entry may only be lowered or removed.
OFFENDERS: dict[str, int] = {}


def source_files() -> Iterator[Path]:
    for folder in ("plugins", "tests", "tools"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def keys(path: str, source: str) -> list[str]:
    return [excess.key for excess in excesses(path, source)]


def function(name: str, lines: int) -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def test_sizes_keep_their_limits():
    found = []
    for path in source_files():
        found += excesses(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    assert complaints(found, OFFENDERS) == []


def test_the_tree_is_seen():
    assert ROOT / "plugins/module_utils/_engine/errors.py" in set(source_files())


def test_long_file_is_found_and_a_table_does_not_count():
    assert keys("plugins/x.py", "pass\n" * 401) == ["plugins/x.py lines"]
    table = "TABLE = (\n" + "    1,\n" * 500 + ")\n"
    assert keys("plugins/x.py", table + "pass\n" * 400) == []
    assert keys("plugins/x.py", table + "pass\n" * 401) == ["plugins/x.py lines"]


def test_long_module_is_found_and_documentation_does_not_count():
    documentation = "DOCUMENTATION = r'''\n" + "text\n" * 200 + "'''\n"
    assert keys("plugins/modules/x.py", documentation + "pass\n" * 120) == []
    assert keys("plugins/modules/x.py", documentation + "pass\n" * 121) == ["plugins/modules/x.py module lines"]


def test_long_function_is_found_wherever_it_stands():
    assert keys("plugins/x.py", function("f", 60)) == []
    assert keys("plugins/x.py", function("f", 61)) == ["plugins/x.py f lines"]
    inside = "class A:\n    if True:\n        async " + function("f", 61).replace("\n", "\n        ")
    assert keys("plugins/x.py", inside) == ["plugins/x.py A.f lines"]


def test_docstring_does_not_count():
    documented = function("f", 60).replace(":\n", ":\n    '''one\n    two\n    '''\n", 1)
    assert keys("plugins/x.py", documented) == []


def test_main_and_tests_have_limits_of_their_own():
    assert keys("plugins/modules/x.py", function("main", 16)) == ["plugins/modules/x.py main lines"]
    assert keys("tests/unit/test_x.py", function("test_x", 41)) == ["tests/unit/test_x.py test_x lines"]
    assert keys("plugins/x.py", function("test_x", 41)) == []
    assert keys("tests/lab/x.py", function("main", 16)) == []


def test_arguments_are_counted_without_self():
    assert keys("plugins/x.py", "def f(a, b, *, c, d, e, f, g): ...") == []
    assert keys("plugins/x.py", "def f(a, *, b, c, d, e, f, g, h): ...") == ["plugins/x.py f arguments"]
    assert keys("plugins/x.py", "def f(a, b, c): ...") == ["plugins/x.py f positional arguments"]
    assert keys("plugins/x.py", "def _f(a, b, c): ...") == []
    assert keys("plugins/x.py", "def _f(a, b, c, d, e, f, g, h): ...") == ["plugins/x.py _f arguments"]
    assert keys("plugins/x.py", "class A:\n    def f(self, a, b): ...") == []
    assert keys("plugins/x.py", "class A:\n    def f(self, a, b, c): ...") == ["plugins/x.py A.f positional arguments"]
    assert keys("plugins/x.py", "class A:\n    @staticmethod\n    def f(a, b): ...") == []


def test_special_methods_and_tests_may_have_any_signature():
    assert keys("plugins/x.py", "class A:\n    def __exit__(self, a, b, c): ...") == []
    assert keys("tests/unit/test_x.py", "def test_x(a, b, c): ...") == []
    assert keys("tests/lab/x.py", "def f(a, b, c): ...") == ["tests/lab/x.py f positional arguments"]


def test_offender_may_only_shrink():
    old = [Excess("x.py f lines", 70, 60)]
    assert complaints(old, {"x.py f lines": 70}) == []
    assert complaints(old, {}) == ["x.py f lines is 70, the limit is 60"]
    assert complaints(old, {"x.py f lines": 65}) == ["x.py f lines has grown from 65 to 70"]
    assert complaints(old, {"x.py f lines": 80}) == ["x.py f lines has shrunk to 70: lower its entry from 80"]
    assert complaints([], {"x.py f lines": 70}) == ["x.py f lines is within its limit now: remove its entry"]
