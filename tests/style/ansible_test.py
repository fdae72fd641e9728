# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pylint of ansible-test refuses and people write all the same, found in a second instead of in a minute."""

from __future__ import annotations

import ast
from collections.abc import Iterator

BAD_NAMES = frozenset({"_", "foo", "bar", "baz"})
# In what may run on a managed node, which its pylint takes for Python 3.8.
ON_NODES = ("plugins/module_utils/", "plugins/modules/")
BAD_CALLS = {"print": "write to sys.stdout", "sys.exit": "raise SystemExit", "exit": "raise SystemExit"}
BUILTIN_TYPES = frozenset("bool bytearray bytes dict float frozenset int list memoryview object set str tuple".split())


def refusals(path: str, tree: ast.Module) -> list[str]:
    """Return one sentence for each; ``path`` is relative to the checkout, with slashes."""
    checks = [_names, _type_comparisons]
    if path.startswith(ON_NODES):
        checks += [_calls, _unions]
    return [f"{path}:{line}: {text}" for check in checks for line, text in check(tree)]


def _names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.arg):
            continue
        name = node.id if isinstance(node, ast.Name) else node.arg
        if name in BAD_NAMES:
            yield node.lineno, f"no name {name}: say what it is, with an underscore before it when it is not used"


def _type_comparisons(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """``type(x) is int`` is refused, ``type(x) is type(y)`` is not."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Is | ast.IsNot | ast.Eq | ast.NotEq):
            continue
        if _is_type_call(node.left) and not _is_type_call(node.comparators[0]):
            yield node.lineno, "compare types with isinstance"


def _is_type_call(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "type"


def _calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in BAD_CALLS:
            yield node.lineno, f"no {name}() here: {BAD_CALLS[name]}"


def _unions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """``Name = X | Y``; in annotations nothing is evaluated, and isinstance is let through."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        value = node.value
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr) and _is_type(value):
            yield node.lineno, "X | Y is evaluated here: write the alias as text"


def _is_type(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_type(node.left) and _is_type(node.right)
    if isinstance(node, ast.Subscript):
        return _is_type(node.value)
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Name) and (node.id in BUILTIN_TYPES or not (node.id.isupper() or node.id.islower()))
