# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Makes new VHDX files: base images, dynamic or fixed, and children of an image.

The layout is that of Windows: log, metadata, block allocation table, then blocks. The file identifier is written last,
after all else is durable: what a crash leaves behind is no VHDX file, and never half of one.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from ...errors import RequestError, StateError
from ...machines import Allocation, DiskGeometry
from ...ports import ByteFile
from ...units import MiB, align_up
from .bat import ENTRY_SIZE, BatLayout, State, pack_entries
from .header import SLOTS, Header
from .image import FILE_SIGNATURE, Image
from .locator import ParentLocator, ParentPaths
from .metadata import Metadata, pack_metadata
from .region_table import BAT, COPIES, METADATA, Region, RegionTable

LOG: Final = (1 * MiB, 1 * MiB)  # offset, length
METADATA_PLACE: Final = (2 * MiB, 1 * MiB)
BAT_OFFSET: Final = 3 * MiB
CHILD_BLOCK_SIZE: Final = 2 * MiB  # what Windows gives a differencing file
CREATOR: Final = "OpenDR for Hyper-V".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class CreateOptions:
    """What a new file is to be; checked when made, RequestError names what cannot be."""

    geometry: DiskGeometry
    locator: ParentLocator | None = None

    def __post_init__(self) -> None:
        for problem in self.metadata.problems():
            raise RequestError(problem, reason="geometry_invalid")
        if self.geometry.logical_sector_size != 512:
            raise RequestError(
                f"images with {self.geometry.logical_sector_size}-byte logical sectors cannot be written yet",
                reason="sector_size_unsupported",
            )

    @property
    def metadata(self) -> Metadata:
        geometry = self.geometry
        return Metadata(
            block_size=geometry.block_size,
            leave_allocated=geometry.allocation is Allocation.FIXED,
            virtual_size=geometry.virtual_size,
            disk_id=geometry.disk_id,
            logical_sector_size=geometry.logical_sector_size,
            physical_sector_size=geometry.physical_sector_size,
            locator=self.locator,
        )


def create_image(file: ByteFile, geometry: DiskGeometry, *, new_id: Callable[[], UUID]) -> None:
    """Make an empty base image in an empty file; it is durable on return and reads as zeros.

    Raises:
        RequestError: the geometry is impossible (reason ``geometry_invalid``) or has 4 KiB logical sectors.
        StateError: the file is not empty, or there is no room.
    """
    _write_file(file, CreateOptions(geometry), new_id=new_id)


def create_child(
    file: ByteFile,
    parent: Image,
    *,
    locator: ParentPaths,
    block_size: int = CHILD_BLOCK_SIZE,
    virtual_size: int | None = None,
    new_id: Callable[[], UUID],
) -> None:
    """Make an empty child of an image in an empty file; the parent must not change from now on.

    ``virtual_size`` is in bytes; None takes the parent's. Raises like ``create_image``.
    """
    geometry = replace(
        parent.geometry,
        allocation=Allocation.DYNAMIC,
        block_size=block_size,
        virtual_size=parent.virtual_size if virtual_size is None else virtual_size,
    )
    link = ParentLocator.of(locator, linkage=parent.data_write_guid)
    _write_file(file, CreateOptions(geometry, link), new_id=new_id)


def _write_file(file: ByteFile, options: CreateOptions, *, new_id: Callable[[], UUID]) -> None:
    if file.size():
        raise StateError(f"the new image's file holds {file.size()} bytes already", reason="file_exists")
    metadata = options.metadata
    layout = BatLayout.of(metadata)
    bat = Region(BAT, BAT_OFFSET, align_up(layout.entry_count * ENTRY_SIZE, MiB), required=True)
    table = RegionTable((bat, Region(METADATA, *METADATA_PLACE, required=True))).pack()
    blocks = layout.block_count if metadata.leave_allocated else 0
    file.resize(bat.end + blocks * layout.block_size)
    if blocks:
        file.write(bat.offset, pack_entries(_all_present(layout, bat.end)))
    file.write(METADATA_PLACE[0], pack_metadata(metadata))
    for offset in COPIES:
        file.write(offset, table)
    header = Header(0, new_id(), new_id(), log_guid=None, log_offset=LOG[0], log_length=LOG[1])
    for sequence, offset in enumerate(SLOTS):
        file.write(offset, replace(header, sequence_number=sequence).pack())
    file.write(len(FILE_SIGNATURE), CREATOR)
    file.flush()
    file.write(0, FILE_SIGNATURE)
    file.flush()


def _all_present(layout: BatLayout, place: int) -> array[int]:
    """Return the table of a fixed image: its blocks follow one another from ``place`` on."""
    entries = array("Q", bytes(layout.entry_count * ENTRY_SIZE))
    for index in layout.payload_indexes():
        entries[index] = place | State.FULLY_PRESENT
        place += layout.block_size
    return entries
