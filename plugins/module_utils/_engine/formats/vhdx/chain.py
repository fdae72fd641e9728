# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""A virtual disk made of one image or of several on top of each other, leaf first.

A layer shows through where all layers above it say "absent", and only up to the smallest virtual size of the layers
above it; what lies beyond reads as zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from ...errors import FormatError, RequestError, StateError
from ...extents import Extent, normalize
from ...machines import DiskGeometry
from ...ports import ByteFile
from ...units import MiB
from .image import Image, Source
from .writer import LeafWriter

DEPTH_MAX: Final = 256
ZEROS: Final = memoryview(bytes(MiB))


class Found(NamedTuple):
    """A range of the virtual disk and the file that holds it; no file: it reads as zeros."""

    offset: int
    length: int
    file: ByteFile | None
    place: int


class Chain:
    """A DiskReader, and a DiskWriter when it was opened writable.

    Reading from several threads is safe while nobody writes; writing is for one thread at a time. Only the leaf is
    ever written. After a failed write or flush the chain refuses everything (StateError ``image_failed``) until it is
    opened again, because what is in memory may no longer be what the file says.
    """

    def __init__(self, images: Sequence[Image], *, new_id: Callable[[], UUID] | None = None) -> None:
        """Put opened images together, leaf first; writable when ``new_id`` is given. Raises FormatError."""
        for problem in chain_problems(images):
            raise FormatError(problem, reason="chain_broken")
        self._images = tuple(images)
        sizes = [image.virtual_size for image in images]
        self._visible = tuple(min(sizes[: layer + 1]) for layer in range(len(sizes)))
        self._writer = LeafWriter(images[0], new_id=new_id) if new_id else None

    @classmethod
    def open(
        cls, files: Sequence[ByteFile], *, writable: bool = False, new_id: Callable[[], UUID] | None = None
    ) -> Chain:
        """Open a chain, leaf first, base last; nothing is written before the first change.

        The chain owns the files from now on; when this raises they are still the caller's.

        Raises:
            FormatError: a file breaks the format, or the files do not belong together (reason ``chain_broken``).
            RequestError: writable without ``new_id``, or the leaf cannot be written yet (4 KiB logical sectors).
        """
        if writable and new_id is None:
            raise RequestError("a writable chain needs a source of new ids")
        if not 0 < len(files) <= DEPTH_MAX:
            raise RequestError(f"a chain has 1 to {DEPTH_MAX} files, not {len(files)}")
        return cls([Image.open(file) for file in files], new_id=new_id if writable else None)

    @property
    def leaf(self) -> Image:
        return self._images[0]

    @property
    def files(self) -> tuple[ByteFile, ...]:
        return tuple(image.file for image in self._images)

    @property
    def virtual_size(self) -> int:
        return self.leaf.virtual_size

    @property
    def geometry(self) -> DiskGeometry:
        """What a copy of this disk takes over: size, id and sectors of the leaf, block size and kind of the base."""
        leaf, base = self.leaf.geometry, self._images[-1].geometry
        return DiskGeometry(
            disk_id=leaf.disk_id,
            virtual_size=leaf.virtual_size,
            block_size=base.block_size,
            logical_sector_size=leaf.logical_sector_size,
            physical_sector_size=leaf.physical_sector_size,
            allocation=base.allocation,
        )

    def allocated(self) -> list[Extent]:
        """Return a normal list of what may differ from zero."""
        self._check_alive()
        found = (Extent(f.offset, f.length) for f in self._find(0, self.virtual_size) if f.file is not None)
        return normalize(found, size=self.virtual_size)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the buffer with what the guest would see; any offset and length within the disk."""
        self._check_range(offset, len(buffer))
        for found in self._find(offset, len(buffer)):
            start = found.offset - offset
            part = buffer[start : start + found.length]
            if found.file is None:
                _fill_zero(part)
            else:
                found.file.read_into(found.place, part)

    def prepare(self, data_write_guid: UUID | None = None) -> None:
        """Announce in the headers that the content changes; the first write does it by itself.

        ``data_write_guid`` is for a caller that must note the new identity before it exists.
        """
        self._leaf_writer().prepare(data_write_guid)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write whole logical sectors; durable when ``flush`` returns."""
        writer = self._leaf_writer()
        self._check_sectors(offset, len(data))
        writer.write(offset, memoryview(data))

    def zero(self, offset: int, length: int) -> None:
        """Make whole logical sectors read as zeros; what reads so already is left alone."""
        writer = self._leaf_writer()
        self._check_sectors(offset, length)
        block_size = self.leaf.metadata.block_size
        end = offset + length
        while offset < end:
            step = min(end, offset - offset % block_size + block_size) - offset
            if any(found.file is not None for found in self._find(offset, step)):
                writer.zero(offset, step)
            offset += step

    def flush(self) -> None:
        """Return when everything written is durable."""
        self._leaf_writer().flush()

    def close(self) -> None:
        """Close all files. What was not flushed may be lost, in any part."""
        for image in self._images:
            image.file.close()

    def _find(self, offset: int, length: int, *, layer: int = 0) -> Iterator[Found]:
        """Resolve a range of the virtual disk, seen from a layer downwards."""
        visible = 0 if layer == len(self._images) else max(0, min(length, self._visible[layer] - offset))
        if visible:
            image = self._images[layer]
            for segment in image.segments(offset, visible):
                if segment.source is Source.DATA:
                    yield Found(segment.offset, segment.length, image.file, segment.place)
                elif segment.source is Source.ZERO:
                    yield Found(segment.offset, segment.length, None, 0)
                else:
                    yield from self._find(segment.offset, segment.length, layer=layer + 1)
        if visible < length:
            yield Found(offset + visible, length - visible, None, 0)

    def _leaf_writer(self) -> LeafWriter:
        if self._writer is None:
            raise StateError("the image was opened for reading only", reason="read_only")
        self._writer.check_alive()
        return self._writer

    def _check_alive(self) -> None:
        if self._writer is not None:
            self._writer.check_alive()

    def _check_range(self, offset: int, length: int) -> None:
        self._check_alive()
        if offset < 0 or length < 0 or offset + length > self.virtual_size:
            raise RequestError(f"{length} bytes at {offset} lie outside a disk of {self.virtual_size} bytes")

    def _check_sectors(self, offset: int, length: int) -> None:
        self._check_range(offset, length)
        sector_size = self.leaf.metadata.logical_sector_size
        if offset % sector_size or length % sector_size:
            raise RequestError(f"{length} bytes at {offset} are not in whole sectors of {sector_size} bytes")


def chain_problems(images: Sequence[Image], *, whole: bool = True) -> Iterator[str]:
    """Return why images, leaf first, do not make a chain, one sentence each; ``whole`` asks for a base at its end."""
    for layer, (child, parent) in enumerate(pairwise(images)):
        locator = child.parent_locator
        if locator is None:
            yield f"file {layer} of the chain has no parent, but {len(images) - layer - 1} files follow"
        elif parent.data_write_guid not in locator.linkages:
            yield f"file {layer} of the chain was made for another content of its parent than {parent.data_write_guid}"
        if child.metadata.logical_sector_size != parent.metadata.logical_sector_size:
            yield f"file {layer} of the chain and its parent differ in their logical sector size"
        if child.metadata.disk_id != parent.metadata.disk_id:
            yield f"file {layer} of the chain and its parent have different virtual disk ids"
    if whole and images[-1].has_parent:
        yield f"file {len(images) - 1} of the chain has a parent that was not given"


def _fill_zero(buffer: memoryview) -> None:
    for start in range(0, len(buffer), len(ZEROS)):
        part = buffer[start : start + len(ZEROS)]
        part[:] = ZEROS[: len(part)]
