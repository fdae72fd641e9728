# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of the engine hold, and the checker finds each kind of breach."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.tests.style.layers import (
    EngineFile,
    assert_statements,
    breaches,
    imports,
)

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
ENGINE = PLUGINS / "module_utils" / "_engine"


def engine_files() -> list[str]:
    return sorted(path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.py"))


def found(path: str, source: str) -> str:
    return "\n".join(breaches(EngineFile.parse(path, source)))


def test_engine_is_where_the_check_looks():
    assert {"errors.py", "units.py", "extents.py", "libraries.py"} <= set(engine_files())


@pytest.mark.parametrize("path", engine_files())
def test_engine_file_keeps_its_layer(path):
    assert breaches(EngineFile.parse(path, (ENGINE / path).read_text(encoding="utf-8"))) == []


def test_plugins_have_no_assert_and_empty_packages():
    for path in PLUGINS.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert assert_statements(ast.parse(source)) == [], path
        if path.name == "__init__.py":
            assert source == "", path


BAD = [
    ("formats/x.py", "from ..adapters import files", "formats may not import adapters"),
    ("formats/x.py", "from ..adapters.files import File", "formats may not import adapters"),
    ("formats/vhdx/x.py", "from ...wire import frames", "formats may not import wire"),
    ("wire/x.py", "from ..formats.vhdx.header import Header", "wire may not import formats"),
    ("wan/x.py", "from ..wire import frames", "wan may not import wire"),
    ("model/x.py", "from ..services.replicate import run", "model may not import services"),
    ("services/x.py", "from ..adapters import psrp", "services may not import adapters"),
    ("adapters/x.py", "from ..services import replicate", "adapters may not import services"),
    ("adapters/x.py", "def f():\n    from ..mover import daemon", "adapters may not import mover"),
    ("mover/x.py", "from ..wan_accelerator import daemon", "mover may not import wan_accelerator"),
    ("mover/x.py", "from ..cli import main", "mover may not import cli"),
    ("errors.py", "from .formats import vhdx", "errors may not import formats"),
    ("errors.py", "from . import model", "errors may not import model"),
    ("novel/x.py", "", "novel is no known layer"),
    ("formats/x.py", "from ...plugin_utils import x", "climbs out"),
    ("formats/x.py", "from ansible.module_utils.basic import AnsibleModule", "imports ansible"),
    ("adapters/x.py", "import ansible_collections.opendr.hyperv", "imports ansible_collections"),
    ("formats/x.py", "import os", "may not import os"),
    ("formats/x.py", "import os.path", "may not import os"),
    ("wire/x.py", "from time import monotonic", "may not import time"),
    ("model/x.py", "if True:\n    import threading as t", "may not import threading"),
    ("ports.py", "import asyncio", "may not import asyncio"),
    ("model/x.py", "data = open('x').read()", "may not call open()"),
    ("model/x.py", "from uuid import uuid4\nname = uuid4()", "may not call uuid4()"),
    ("model/x.py", "import datetime\nnow = datetime.datetime.now()", "may not call datetime.datetime.now()"),
    ("model/x.py", "try:\n    import jmespath\nexcept ImportError:\n    jmespath = None", "may not import jmespath"),
    ("services/x.py", "import sqlalchemy", "may not import sqlalchemy"),
    ("adapters/x.py", "import pypsrp", "not guarded"),
    ("adapters/x.py", "def f():\n    import pypsrp.wsman", "not guarded"),
    ("adapters/x.py", "try:\n    import pypsrp\nexcept OSError:\n    pass", "not guarded"),
    ("libraries.py", "import xxhash", "not guarded"),
    (
        "adapters/x.py",
        "try:\n    from pypsrp.wsman import WSMan\nexcept ImportError:\n    WSMan = object\nclass Mine(WSMan): ...",
        "inherits from a wheel's class",
    ),
    (
        "adapters/x.py",
        "try:\n    import pypsrp\n    class Mine(pypsrp.wsman.WSMan): ...\nexcept ImportError:\n    pass",
        "inherits from a wheel's class",
    ),
    ("services/x.py", "import importlib", "import of importlib"),
    ("services/x.py", "module = __import__('os')", "call of __import__()"),
    ("services/x.py", "exec('import os')", "call of exec()"),
    ("adapters/x.py", "import fcntl", "fcntl is not on Windows"),
    ("mover/x.py", "import os\nos.pread(0, 1, 0)", "os.pread is not on Windows"),
    ("mover/x.py", "import os as system\nsystem.statvfs('/')", "os.statvfs is not on Windows"),
    ("adapters/sub/files.py", "from os import fork", "os.fork is not on Windows"),
    ("formats/__init__.py", "from .vhdx import Header", "must be empty"),
]


@pytest.mark.parametrize(("path", "source", "sentence"), BAD, ids=[f"{path}-{said}" for path, _source, said in BAD])
def test_breach_is_found(path, source, sentence):
    assert sentence in found(path, source)


GOOD = [
    (
        "formats/vhdx/header.py",
        "from ...errors import FormatError\nfrom ... import units\nfrom . import crc\nimport struct",
    ),
    ("extents.py", "from .units import align_up\nfrom .errors import FormatError"),
    ("model/job.py", "from ..units import MiB\nfrom .names import Name\nimport datetime, uuid, enum"),
    ("services/replicate.py", "from ..ports import Clock\nfrom ..model.job import Job\nimport threading, os"),
    ("adapters/tls.py", "import os, socket, ssl, time\nos.replace('a', 'b')\nopen('x')"),
    ("adapters/files.py", "import fcntl, os\nos.pread(0, 1, 0)"),
    ("adapters/psrp.py", "try:\n    from pypsrp.wsman import WSMan\nexcept (ImportError, OSError):\n    WSMan = None"),
    ("adapters/psrp.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pypsrp"),
    ("adapters/sql.py", "class Mine(Exception): ...\nclass Other(Mine): ..."),
    ("mover/daemon.py", "from ..adapters.tls import listen\nfrom ..wire.frames import Frame"),
    ("cli.py", "from .mover.daemon import main\nfrom .services import replicate"),
    ("formats/vhdx/__init__.py", ""),
    ("formats/x.py", "def read(port, clock):\n    return port.open('x'), clock.now()"),
]


@pytest.mark.parametrize(("path", "source"), GOOD)
def test_good_file_is_not_blamed(path, source):
    assert found(path, source) == ""


def test_assert_is_found_wherever_it_stands():
    assert assert_statements(ast.parse("def f(x):\n    if x:\n        assert x\n")) == [3]


def test_import_in_else_branch_is_not_guarded():
    source = "try:\n    pass\nexcept ImportError:\n    pass\nelse:\n    import pypsrp\n"
    assert [item.guarded for item in imports(EngineFile.parse("adapters/x.py", source))] == [False]
