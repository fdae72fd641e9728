# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Merges a differencing image into its parent, and points a child at another parent.

Removing the restore point in the middle of ``base <- A <- B`` is three steps of the caller: merge A into base, relink B
to base, delete A. Each step can be repeated after a crash, and the chain reads the same at every moment:

- While A is merged, base only takes over what A decides itself, so A on top of base does not change. Base gets a new
  DataWriteGuid before its first change; A is told beforehand to accept both (``parent_linkage2``).
- B is relinked by writing a whole new locator beside the old one and then switching a single table entry, which lies
  in one sector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from ...errors import FormatError, RequestError, StateError
from ...extents import Extent, cut
from ...ports import ByteFile
from ...units import MiB
from .chain import Chain, chain_problems
from .image import Image, Segment, Source
from .locator import LINKAGE, LINKAGE2, ParentLocator, ParentPaths
from .metadata import ENTRY, HEAD, PARENT_LOCATOR, Item, MetadataTable
from .writer import announce

COPY_SIZE: Final = 4 * MiB


def merge_child(
    child: ByteFile, parent: ByteFile, *, grandparents: Sequence[ByteFile] = (), new_id: Callable[[], UUID]
) -> None:
    """Write what a child stores into its parent; durable on return. Both files, and no other, are written.

    No other child of the parent may exist. ``grandparents`` are the files below the parent, nearest first. The child
    still works on top of the parent afterwards; its own children must be relinked before it is deleted.

    Raises:
        FormatError: a file breaks the format, or they are not child and parent.
        StateError: the two differ in size (reason ``size_differs``): the parent cannot grow yet.
    """
    source = Image.open(child)
    target = Chain.open([parent, *grandparents], writable=True, new_id=new_id)
    if source.virtual_size != target.virtual_size:
        raise StateError(
            f"the child is {source.virtual_size} bytes, its parent {target.virtual_size}: resizing is not done yet",
            reason="size_differs",
        )
    data_write_guid = new_id()
    _accept_both(source, target.leaf, data_write_guid, new_id=new_id)
    target.prepare(data_write_guid)
    buffer = memoryview(bytearray(COPY_SIZE))
    for segment in source.segments(0, source.virtual_size):
        if segment.source is Source.ZERO:
            target.zero(segment.offset, segment.length)
        elif segment.source is Source.DATA:
            _copy(source.file, segment, target, buffer=buffer)
    target.flush()


def relink(file: ByteFile, parent: Image, *, locator: ParentPaths, new_id: Callable[[], UUID]) -> None:
    """Make a differencing image the child of ``parent`` as it is now; durable on return.

    The caller knows that the content fits. The image's own DataWriteGuid stays, so its children still fit.

    Raises:
        FormatError: the file breaks the format, or its metadata region is full.
        RequestError: the file is no differencing image, or is one of another disk.
    """
    image = Image.open(file)
    if not image.has_parent:
        raise RequestError("the image has no parent and cannot be given one")
    if image.metadata.disk_id != parent.metadata.disk_id:
        raise RequestError(f"the image is of disk {image.metadata.disk_id}, the parent of {parent.metadata.disk_id}")
    write_locator(image, ParentLocator.of(locator, linkage=parent.data_write_guid), new_id=new_id)


def write_locator(image: Image, locator: ParentLocator, *, new_id: Callable[[], UUID]) -> None:
    """Replace the parent locator of a differencing image; durable on return."""
    file, region = image.file, image.regions.metadata
    data = locator.pack()
    index = image.items.index_of(PARENT_LOCATOR)
    offset = image.items.free_offset(len(data), region.length)
    item = Item(PARENT_LOCATOR, offset, len(data), image.items.items[index].flags)
    announce(image, file_write_guid=new_id(), data_write_guid=image.data_write_guid)
    file.write(region.offset + offset, data)
    file.flush()
    file.write(region.offset + HEAD.size + index * ENTRY.size, item.pack())
    file.flush()
    items = image.items.items
    image.items = MetadataTable((*items[:index], item, *items[index + 1 :]))
    image.metadata = replace(image.metadata, locator=locator)


def _accept_both(child: Image, parent: Image, data_write_guid: UUID, *, new_id: Callable[[], UUID]) -> None:
    """Let the child accept its parent as it is, and with the identity that the merge will give it."""
    for problem in chain_problems((child, parent), whole=False):
        raise FormatError(problem, reason="chain_broken")
    pairs = dict(child.parent_locator.pairs) if child.parent_locator else {}
    pairs |= {LINKAGE: f"{{{parent.data_write_guid}}}", LINKAGE2: f"{{{data_write_guid}}}"}
    write_locator(child, ParentLocator.from_pairs(pairs), new_id=new_id)


def _copy(source: ByteFile, segment: Segment, target: Chain, *, buffer: memoryview) -> None:
    for part in cut([Extent(segment.offset, segment.length)], unit=len(buffer)):
        piece = buffer[: part.length]
        source.read_into(segment.place + part.offset - segment.offset, piece)
        target.write(part.offset, piece)
