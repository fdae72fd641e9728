# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bit rot: one stored bit of an image file flips, past every program that could notice."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.files import open_for_reading
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image, Source


def rot(path: Path, offset: int) -> None:
    """Flip a bit of the byte at ``offset`` of the virtual disk, in the very file that is named; it has to store it."""
    with open_for_reading(str(path)) as opened:
        (segment,) = Image.open(opened).segments(offset, 1)
    if segment.source is not Source.DATA:
        raise ValueError(f"{path} does not store the byte at {offset}")
    with path.open("r+b") as file:
        file.seek(segment.place)
        byte = file.read(1)[0]
        file.seek(segment.place)
        file.write(bytes([byte ^ 1]))
