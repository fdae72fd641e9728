# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""The engine as one file that outlives a task: a zip application of the collection's own engine sources.

What AnsiballZ brings to a manager vanishes with the module, but a session worker goes on. The archive is named by its
content, so a running worker keeps its version while a newer one is placed beside it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "module_utils" / "_engine"
PACKAGE = "opendr_engine"
MAIN = f"import sys\n\nfrom {PACKAGE}.cli import main\n\nsys.exit(main())\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip file can hold; a fixed one makes equal content equal bytes


@dataclass(frozen=True)
class EngineArchive:
    """``content`` runs as ``python NAME session``; ``name`` changes when any source of the engine does."""

    name: str
    content: bytes


def build_archive(engine: Path = ENGINE) -> EngineArchive:
    """Pack the sources of the engine; the same sources give the same bytes on every machine.

    They are stored, not deflated: deflate differs between zlib versions, and replacing an archive under a running
    worker would pull the modules it has yet to import from under it.
    """
    content = _pack({"__main__.py": MAIN.encode(), **_sources(engine)})
    return EngineArchive(f"opendr-engine-{hashlib.sha256(content).hexdigest()[:16]}.pyz", content)


def _sources(engine: Path) -> dict[str, bytes]:
    files = sorted(engine.rglob("*.py"))
    return {f"{PACKAGE}/{path.relative_to(engine).as_posix()}": path.read_bytes() for path in files}


def _pack(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    return buffer.getvalue()
