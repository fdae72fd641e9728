# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The two headers of a VHDX file: which one counts, and how a new one takes over.

A header is written over the slot that does not count, and counts once it is durable. Doing that twice leaves the same
identifiers in both slots, so that a header damaged later costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from struct import Struct
from typing import Final
from uuid import UUID

from ...errors import FormatError
from ...ports import ByteFile
from ...units import KiB, MiB
from .checksum import is_sealed, seal

FIELDS: Final = Struct("<4sIQ16s16s16sHHIQ")  # 80 bytes; 4016 reserved bytes follow
SIZE: Final = 4096  # bytes
SLOTS: Final = (64 * KiB, 128 * KiB)  # offsets in the file
SIGNATURE: Final = b"head"
SEQUENCE_MAX: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Header:
    """One VHDX header, verified. Source: [MS-VHDX] 2.2.2."""

    sequence_number: int
    file_write_guid: UUID  # new before the first write of any kind after opening
    data_write_guid: UUID  # new before the first write that a guest could see
    log_guid: UUID | None  # None: there is no log to replay
    log_offset: int  # bytes from the start of the file
    log_length: int  # bytes

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """Decode ``SIZE`` bytes read at one of ``SLOTS``. Raises FormatError."""
        if len(data) != SIZE:
            raise FormatError(f"header is {len(data)} bytes, want {SIZE}")
        if not is_sealed(data, SIGNATURE):
            raise FormatError("header signature or checksum does not match")
        sequence, *ids, log_version, version, length, offset = FIELDS.unpack_from(data)[2:]
        file_write, data_write, log = (UUID(bytes_le=guid) for guid in ids)
        if (version, log_version) != (1, 0):
            raise FormatError(f"header version {version}, log version {log_version}", reason="version")
        if offset % MiB or length % MiB or offset < MiB or length < MiB:
            raise FormatError(f"log of {length} bytes at {offset} is not in whole MiB behind the first")
        return cls(
            sequence_number=sequence,
            file_write_guid=file_write,
            data_write_guid=data_write,
            log_guid=log if log.int else None,
            log_offset=offset,
            log_length=length,
        )

    def pack(self) -> bytes:
        """Encode to ``SIZE`` bytes."""
        data = bytearray(SIZE)
        log = self.log_guid.bytes_le if self.log_guid else bytes(16)
        ids = self.file_write_guid.bytes_le, self.data_write_guid.bytes_le, log
        FIELDS.pack_into(data, 0, SIGNATURE, 0, self.sequence_number, *ids, 0, 1, self.log_length, self.log_offset)
        return seal(data)


@dataclass(frozen=True, slots=True)
class CurrentHeader:
    """The header that counts, and the index in ``SLOTS`` where it stands."""

    header: Header
    slot: int

    @classmethod
    def read(cls, file: ByteFile) -> CurrentHeader:
        """Choose the valid header with the larger number; equal numbers must be equal headers. Raises FormatError.

        A header whose checksum is right but whose fields are not is an error, never a reason to take the older one.
        """
        slots = [file.read(offset, SIZE) for offset in SLOTS]
        valid = [slot for slot, data in enumerate(slots) if is_sealed(data, SIGNATURE)]
        if not valid:
            raise FormatError("neither header has a valid signature and checksum", reason="no_header")
        headers = {slot: Header.parse(slots[slot]) for slot in valid}
        best = max(valid, key=lambda slot: (headers[slot].sequence_number, -slot))
        if len(valid) == 2 and headers[0].sequence_number == headers[1].sequence_number and slots[0] != slots[1]:
            raise FormatError("two different headers with the same sequence number", reason="no_header")
        return cls(headers[best], best)

    def renew(self, file: ByteFile, *, file_write_guid: UUID, data_write_guid: UUID) -> CurrentHeader:
        """Write and flush both slots with new identifiers, the one that does not count first."""
        current = self
        for _turn in SLOTS:
            sequence = current.header.sequence_number + 1
            if sequence > SEQUENCE_MAX:
                raise FormatError("the sequence number of the header is exhausted")
            header = replace(
                current.header,
                sequence_number=sequence,
                file_write_guid=file_write_guid,
                data_write_guid=data_write_guid,
            )
            current = CurrentHeader(header, 1 - current.slot)
            file.write(SLOTS[current.slot], header.pack())
            file.flush()
        return current
