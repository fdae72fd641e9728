# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import what in the engine, and what no file may do; read from the syntax tree, nothing is run.

Each function takes a parsed file and yields one sentence for each breach. ``tests/unit/test_layers.py`` applies them to
the tree, and to small bad samples that each must be found.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

BASE = frozenset(
    {
        "errors",
        "units",
        "extents",
        "machines",
        "transfers",
        "jobs",
        "reports",
        "progress",
        "stops",
        "libraries",
        "ports",
        "verification",
        "typed",
    }
)
_PURE = frozenset({"formats", "guestfs", "wire", "wan", "model"})
_ABOVE_MODEL = BASE | _PURE - {"model"}

# First name below _engine: the names that it may import besides itself. The base modules may import each other.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "formats": BASE,
    "guestfs": BASE,
    "wire": BASE,
    "wan": BASE,
    "model": _ABOVE_MODEL,
    "adapters": BASE | _PURE,
    "services": BASE | _PURE,
    "mover": BASE | _PURE | {"adapters", "services"},
    "wan_accelerator": BASE | _PURE | {"adapters", "services"},
    "worker": BASE | _PURE | {"adapters", "services"},
    "cli": BASE | _PURE | {"adapters", "services", "mover", "wan_accelerator", "worker"},
}
NO_IO = BASE | _PURE
IO_MODULES = frozenset({"asyncio", "os", "random", "socket", "sqlite3", "ssl", "subprocess", "threading", "time"})
# Time, identifiers and randomness are arguments of a pure function, files are ports.
IO_CALLS = frozenset(
    "open print input uuid1 uuid4 uuid.uuid1 uuid.uuid4 datetime.now datetime.utcnow datetime.datetime.now "
    "datetime.datetime.utcnow date.today datetime.date.today secrets.token_bytes secrets.token_hex".split()
)
MAY_IMPORT_WHEELS = frozenset({"adapters", "mover", "wan_accelerator", "libraries"})
DYNAMIC_MODULES = frozenset({"importlib", "imp", "runpy", "pkgutil", "zipimport"})
DYNAMIC_CALLS = frozenset({"__import__", "builtins.__import__", "exec", "eval"})

# What CPython does not have on Windows. The one file adapter may use it, behind its own test of the platform.
POSIX_HOME = "adapters/files.py"
POSIX_MODULES = frozenset(
    "crypt fcntl grp nis ossaudiodev posix pty pwd readline resource spwd syslog termios tty".split()
)
POSIX_OS_NAMES = frozenset(
    """
    O_ASYNC O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOATIME O_NOFOLLOW O_NONBLOCK O_PATH O_SYNC O_TMPFILE SEEK_DATA
    SEEK_HOLE chown chroot copy_file_range ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf
    fstatvfs getegid geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getresgid getresuid getsid
    getuid getxattr initgroups killpg lchown listxattr lockf login_tty major makedev memfd_create minor mkfifo mknod
    nice openpty pathconf pidfd_open pipe2 posix_fadvise posix_fallocate posix_openpt posix_spawn pread preadv
    pwrite pwritev readv register_at_fork removexattr sched_getaffinity sched_setaffinity sched_yield sendfile
    setegid seteuid setgid setgroups setns setpgid setpgrp setpriority setregid setresgid setresuid setreuid setsid
    setuid setxattr splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname uname unshare wait wait3 wait4 waitid
    writev
    """.split()
)


@dataclass(frozen=True, slots=True)
class EngineFile:
    """One parsed file; ``path`` is relative to ``_engine``, with forward slashes."""

    path: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, source: str) -> EngineFile:
        return cls(path, ast.parse(source, filename=path))

    @property
    def layer(self) -> str:
        """First name below ``_engine``: ``formats`` for formats/vhdx/header.py, ``errors`` for errors.py."""
        return PurePosixPath(self.path).with_suffix("").parts[0]

    @property
    def package(self) -> tuple[str, ...]:
        """The package that a relative import starts from."""
        return PurePosixPath(self.path).parts[:-1]


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: ``module`` is absolute (``os.path``), or below ``_engine`` when ``relative``."""

    module: str
    bound: str  # the name that the file can use afterwards
    relative: bool
    line: int
    guarded: bool  # inside try with except ImportError
    for_types: bool  # under ``if TYPE_CHECKING``


def breaches(file: EngineFile) -> list[str]:
    """Return every breach of a rule in one engine file, each as a sentence."""
    if PurePosixPath(file.path).name == "__init__.py":
        return [f"{file.path}: a package's __init__.py must be empty"] if file.tree.body else []
    if file.layer not in MAY_IMPORT:
        return [f"{file.path}: {file.layer} is no known layer; give it a row in MAY_IMPORT"]
    checks = (_upward, _absolute, _pure, _wheels, _inherited_wheels, _dynamic, _posix)
    return [f"{file.path}:{line}: {text}" for check in checks for line, text in check(file)]


def assert_statements(tree: ast.Module) -> list[int]:
    """Return the lines of ``assert`` statements, which the plugins may not have."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


def imports(file: EngineFile) -> Iterator[Import]:
    """Yield each import of a file, wherever it stands."""
    for node, guarded, for_types in _walk(file.tree, guarded=False, for_types=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                yield Import(alias.name, bound, False, node.lineno, guarded, for_types)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                bound = alias.asname or alias.name
                module = _resolve(file, node, alias.name)
                yield Import(module, bound, node.level > 0, node.lineno, guarded, for_types)


def _resolve(file: EngineFile, node: ast.ImportFrom, name: str) -> str:
    parts = (node.module or "").split(".") if node.module else []
    if node.level == 0:
        return ".".join(parts)
    if node.level - 1 > len(file.package):
        return ""  # climbs out of _engine
    return ".".join([*file.package[: len(file.package) - (node.level - 1)], *(parts or [name])])


def _walk(node: ast.AST, *, guarded: bool, for_types: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    yield node, guarded, for_types
    for field, value in ast.iter_fields(node):
        inside_guard = guarded or (isinstance(node, ast.Try) and field == "body" and _catches_import_error(node))
        inside_types = for_types or (
            isinstance(node, ast.If) and field == "body" and _names(node.test, "TYPE_CHECKING")
        )
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child, guarded=inside_guard, for_types=inside_types)


def _catches_import_error(node: ast.Try) -> bool:
    return any(handler.type is not None and _names(handler.type, "ImportError") for handler in node.handlers)


def _names(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id == name) or (isinstance(part, ast.Attribute) and part.attr == name)
        for part in ast.walk(node)
    )


def _upward(file: EngineFile) -> Iterator[tuple[int, str]]:
    for item in imports(file):
        if not item.relative:
            continue
        target = item.module.partition(".")[0]
        if not target:
            yield item.line, "a relative import climbs out of _engine"
        elif target != file.layer and target not in MAY_IMPORT[file.layer]:
            yield item.line, f"{file.layer} may not import {target}"


def _absolute(file: EngineFile) -> Iterator[tuple[int, str]]:
    for item in imports(file):
        top = item.module.partition(".")[0]
        if not item.relative and top in ("ansible", "ansible_collections", "plugins", "_engine"):
            yield item.line, f"the engine imports {top}; inside it imports are relative, and it knows no Ansible"


def _pure(file: EngineFile) -> Iterator[tuple[int, str]]:
    if file.layer not in NO_IO:
        return
    for item in imports(file):
        top = item.module.partition(".")[0]
        if not item.relative and top in IO_MODULES:
            yield item.line, f"{file.layer} does no I/O and may not import {top}"
    for line, name in _calls(file):
        if name in IO_CALLS:
            yield line, f"{file.layer} does no I/O and may not call {name}()"


def _calls(file: EngineFile) -> Iterator[tuple[int, str]]:
    """Yield the dotted name of each thing called by name, so ``port.open()`` is not taken for ``open()``."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node.lineno, ast.unparse(node.func)


def _wheels(file: EngineFile) -> Iterator[tuple[int, str]]:
    for item in _third_party(file):
        if file.layer not in MAY_IMPORT_WHEELS:
            yield (
                item.line,
                f"{file.layer} may not import {item.module}: wheels belong to adapters, daemons, libraries.py",
            )
        elif not item.guarded and not item.for_types:
            yield item.line, f"import of {item.module} is not guarded by try with except ImportError"


def _third_party(file: EngineFile) -> Iterator[Import]:
    ours = {"ansible", "ansible_collections", "plugins", "_engine"}
    for item in imports(file):
        top = item.module.partition(".")[0]
        if not item.relative and top not in sys.stdlib_module_names and top not in ours:
            yield item


def _inherited_wheels(file: EngineFile) -> Iterator[tuple[int, str]]:
    foreign = {item.bound for item in _third_party(file)}
    for node in _module_level(file.tree.body):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if any(isinstance(part, ast.Name) and part.id in foreign for part in ast.walk(base)):
                    yield node.lineno, f"class {node.name} inherits from a wheel's class at module level"


def _module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            blocks = [*ast.iter_child_nodes(node)]
            handlers = [
                statement for block in blocks if isinstance(block, ast.ExceptHandler) for statement in block.body
            ]
            yield from _module_level([block for block in blocks if isinstance(block, ast.stmt)] + handlers)


def _dynamic(file: EngineFile) -> Iterator[tuple[int, str]]:
    for item in imports(file):
        top = item.module.partition(".")[0]
        if not item.relative and top in DYNAMIC_MODULES:
            yield item.line, f"import of {top}: AnsiballZ ships only what it can see"
    for line, name in _calls(file):
        if name in DYNAMIC_CALLS:
            yield line, f"call of {name}(): AnsiballZ ships only what it can see"


def _posix(file: EngineFile) -> Iterator[tuple[int, str]]:
    if file.path == POSIX_HOME:
        return
    os_names = {item.bound for item in imports(file) if item.module == "os" and not item.relative}
    for item in imports(file):
        if item.relative:
            continue
        if item.module.partition(".")[0] in POSIX_MODULES:
            yield item.line, f"{item.module} is not on Windows; only {POSIX_HOME} may use it"
        if item.module == "os" and item.bound in POSIX_OS_NAMES:
            yield item.line, f"os.{item.bound} is not on Windows; only {POSIX_HOME} may use it"
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.Attribute) or node.attr not in POSIX_OS_NAMES:
            continue
        if isinstance(node.value, ast.Name) and node.value.id in os_names:
            yield node.lineno, f"os.{node.attr} is not on Windows; only {POSIX_HOME} may use it"
