# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges that nobody here wrote: libvhdi reads chains, qemu-img checks files."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pyvhdi

from ansible_collections.opendr.hyperv.tests.lab.libvhdi_view import LibvhdiView

_STEP = 4 * 1024 * 1024


def first_difference(chain: Sequence[Path], raw: Path) -> int | None:
    """Return the offset of the first block in which a chain (leaf first), read by libvhdi, differs from a raw file.

    None: they are equal, and so are their sizes.
    """
    with raw.open("rb") as truth:
        offset = 0
        for found in contents(chain):
            if found != truth.read(len(found)):
                return offset
            offset += len(found)
        return None if not truth.read(1) else offset


def contents(chain: Sequence[Path]) -> Iterator[bytes]:
    """Yield what a guest would see, from the start, a few MiB at a time, as libvhdi reads it."""
    with ExitStack() as opened:
        files = []
        for path in chain:
            image = LibvhdiView(path)
            opened.callback(image.close)
            file = pyvhdi.file()
            file.open_file_object(image)
            opened.callback(file.close)
            image.opened = True
            files.append(file)
        for child, parent in reversed(list(pairwise(files))):
            child.set_parent(parent)
        size = files[0].get_media_size()
        for offset in range(0, size, _STEP):
            yield files[0].read_buffer_at_offset(min(_STEP, size - offset), offset)


def qemu_img_check(path: Path) -> str:
    """Return what qemu-img has to say against a VHDX file; empty: it is clean."""
    done = subprocess.run(
        ["qemu-img", "check", "-q", "-f", "vhdx", str(path)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else f"{done.returncode}: {done.stdout}{done.stderr}"
