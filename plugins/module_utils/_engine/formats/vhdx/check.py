# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Looks for everything in an image or a chain that its format, or our own writing rules, do not allow.

``Image.open`` already refuses what cannot be read safely; this reads more, and names also what merely should not be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ...errors import FormatError
from ...ports import ByteFile
from ...units import MiB
from .bat import ENTRY_SIZE, STATE_MASK, State, unpack_entries
from .chain import chain_problems
from .checksum import is_sealed
from .header import SIGNATURE, SIZE, SLOTS
from .image import Image

ZEROS: Final = bytes(MiB)


def check_image(file: ByteFile, *, after_crash: bool = False) -> list[str]:
    """Return what is wrong with an image, one sentence each; an empty list is a sound file. Writes nothing.

    ``after_crash`` leaves out what a crash of our writer may leave behind and the next write repairs: a damaged header
    that does not count, a copy of the region table that differs, bytes behind the last used place.
    """
    try:
        return list(_problems(Image.open(file), after_crash=after_crash))
    except FormatError as error:
        return [error.message]


def check_chain(files: Sequence[ByteFile], *, after_crash: bool = False) -> list[str]:
    """Return what is wrong with the files of a chain, leaf first, or with the way they are linked.

    ``after_crash`` is meant for the leaf, the only file of a chain that is written.
    """
    findings: list[str] = []
    for layer, file in enumerate(files):
        found = check_image(file, after_crash=after_crash and layer == 0)
        findings += [f"file {layer} of the chain: {finding}" for finding in found]
    try:
        return findings + list(chain_problems([Image.open(file) for file in files]))
    except FormatError:
        return findings  # already among them


def _problems(image: Image, *, after_crash: bool) -> Iterator[str]:
    if not after_crash:
        yield from _damaged_copies(image)
        yield from _tail(image)
    yield from _odd_states(image)
    yield from _bits_behind_end(image)


def _damaged_copies(image: Image) -> Iterator[str]:
    for offset in SLOTS:
        if not is_sealed(image.file.read(offset, SIZE), SIGNATURE):
            yield f"the header at {offset} is damaged"
    if image.tables.differing is not None:
        yield f"the region table at {image.tables.differing} is not the one that counts"


def _tail(image: Image) -> Iterator[str]:
    size, end = image.file.size(), max(span.end for span in image.used())
    if size % MiB:
        yield f"the file is {size} bytes, not whole MiB"
    for offset in range(end, size, len(ZEROS)):
        rest = image.file.read(offset, min(len(ZEROS), size - offset))
        if rest != ZEROS[: len(rest)]:
            yield f"there are bytes behind the last used place, {end}"
            return


def _odd_states(image: Image) -> Iterator[str]:
    """Return states that readers take for others: legal to read, not to write."""
    layout, region = image.bat.layout, image.regions.bat
    entries = unpack_entries(image.file.read(region.offset, layout.entry_count * ENTRY_SIZE))
    if layout.has_parent:
        indexes = map(layout.bitmap_index, range(layout.chunk_count))
        odd = (index for index in indexes if entries[index] & STATE_MASK not in (0, State.FULLY_PRESENT))
        yield from (f"the sector bitmap of entry {index} has a state of a payload block" for index in odd)
    else:
        partial = (i for i in layout.payload_indexes() if entries[i] & STATE_MASK == State.PARTIALLY_PRESENT)
        yield from (f"entry {index} is partially present in an image without a parent" for index in partial)


def _bits_behind_end(image: Image) -> Iterator[str]:
    layout = image.bat.layout
    block = layout.block_count - 1
    if image.bat.payload(block) & STATE_MASK != State.PARTIALLY_PRESENT:
        return
    first = layout.virtual_size // layout.sector_size
    count = (block + 1) * layout.block_size // layout.sector_size - first
    if any(run.stored for run in image.bitmaps.runs(first, count)):
        yield "the sector bitmap has bits behind the end of the disk"
