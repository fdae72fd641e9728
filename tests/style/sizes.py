# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sizes of the house style, measured on the syntax tree.

Counted are lines from ``def`` to the end, docstrings and decorators left out. In the length of a file, a table of more
than ``TABLE_LINES`` lines (one assignment at module level) does not count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FILE_LINES = 400
MODULE_LINES = 120  # plugins/modules, without the documentation strings
FUNCTION_LINES = 60
MAIN_LINES = 15
TEST_LINES = 40
ARGUMENTS = 7
POSITIONAL_ARGUMENTS = 2  # of what others call; a private helper and its callers stand in one file
TABLE_LINES = 10
DOCUMENTATION = frozenset({"DOCUMENTATION", "EXAMPLES", "RETURN"})


@dataclass(frozen=True, slots=True)
class Excess:
    """Something longer than it may be; ``key`` is stable when lines move."""

    key: str
    found: int
    limit: int


def excesses(path: str, source: str) -> list[Excess]:
    """Return all that is above its limit in one file; ``path`` is relative to the checkout, with slashes."""
    tree = ast.parse(source, filename=path)
    measures = [*_file_measures(path, source, tree), *_function_measures(path, tree)]
    return [excess for excess in measures if excess.found > excess.limit]


def complaints(found: list[Excess], allowed: Mapping[str, int]) -> list[str]:
    """Compare with the list of old offenders, which may only shrink: an entry is exact, or it is wrong."""
    said = []
    measured = {excess.key: excess for excess in found}
    for key, excess in measured.items():
        if key not in allowed:
            said.append(f"{key} is {excess.found}, the limit is {excess.limit}")
        elif excess.found > allowed[key]:
            said.append(f"{key} has grown from {allowed[key]} to {excess.found}")
        elif excess.found < allowed[key]:
            said.append(f"{key} has shrunk to {excess.found}: lower its entry from {allowed[key]}")
    said += [f"{key} is within its limit now: remove its entry" for key in allowed if key not in measured]
    return said


def _file_measures(path: str, source: str, tree: ast.Module) -> Iterator[Excess]:
    lines = len(source.splitlines())
    tables = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign) and _lines(node) > TABLE_LINES]
    yield Excess(f"{path} lines", lines - sum(_lines(node) for node in tables), FILE_LINES)
    if path.startswith("plugins/modules/"):
        documentation = [node for node in tree.body if isinstance(node, ast.Assign) and _is_documentation(node)]
        yield Excess(f"{path} module lines", lines - sum(_lines(node) for node in documentation), MODULE_LINES)


def _is_documentation(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id in DOCUMENTATION for target in node.targets)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _function_measures(path: str, tree: ast.Module) -> Iterator[Excess]:
    for name, node, in_class in _functions(tree, prefix="", in_class=False):
        key = f"{path} {name}"
        yield Excess(f"{key} lines", _function_lines(node), _function_limit(path, node.name))
        if not _signature_is_free(path, node):
            counts = _argument_counts(node, in_class=in_class)
            yield Excess(f"{key} arguments", counts[0], ARGUMENTS)
            if node.name == "__init__" or not node.name.startswith("_"):
                yield Excess(f"{key} positional arguments", counts[1], POSITIONAL_ARGUMENTS)


def _functions(
    node: ast.AST, *, prefix: str, in_class: bool
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child, in_class
            yield from _functions(child, prefix=f"{prefix}{child.name}.", in_class=False)
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, prefix=f"{prefix}{child.name}.", in_class=True)
        else:
            yield from _functions(child, prefix=prefix, in_class=in_class)


def _function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    docstring = first if ast.get_docstring(node, clean=False) is not None else None
    return _lines(node) - (_lines(docstring) if docstring else 0)


def _function_limit(path: str, name: str) -> int:
    if path.startswith("tests/") and name.startswith("test_"):
        return TEST_LINES
    return MAIN_LINES if name == "main" and path.startswith("plugins/") else FUNCTION_LINES


def _signature_is_free(path: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tests and fixtures ask for what they need by name; special methods have the signature of the language."""
    if path.startswith("tests/") and not path.startswith("tests/lab/"):
        return True
    return node.name.startswith("__") and node.name.endswith("__") and node.name not in ("__init__", "__call__")


def _argument_counts(node: ast.FunctionDef | ast.AsyncFunctionDef, *, in_class: bool) -> tuple[int, int]:
    """Return how many arguments there are, and how many of them may be given by position; self and cls left out."""
    static = any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list)
    positional = len(node.args.posonlyargs) + len(node.args.args) - (1 if in_class and not static else 0)
    return positional + len(node.args.kwonlyargs), positional
