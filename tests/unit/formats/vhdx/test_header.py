# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One header, and which of the two counts."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.checksum import seal
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.header import (
    FIELDS,
    SEQUENCE_MAX,
    SIZE,
    SLOTS,
    CurrentHeader,
    Header,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB

from ..byte_files import MemoryFile

HEADER = Header(5, uuid4(), uuid4(), log_guid=None, log_offset=MiB, log_length=MiB)


def file_with(*headers: bytes) -> MemoryFile:
    file = MemoryFile()
    file.resize(192 * KiB)
    for offset, data in zip(SLOTS, headers, strict=True):
        file.write(offset, data)
    return file


def packed(sequence: int) -> bytes:
    return replace(HEADER, sequence_number=sequence).pack()


def test_sizes_are_those_of_the_specification():
    assert (FIELDS.size, SIZE, SLOTS) == (80, 4096, (65536, 131072))


@given(
    st.builds(
        Header,
        sequence_number=st.integers(0, SEQUENCE_MAX),
        file_write_guid=st.uuids(),
        data_write_guid=st.uuids(),
        log_guid=st.none() | st.uuids().filter(lambda guid: guid.int),
        log_offset=st.integers(1, 2**40).map(lambda n: n * MiB),
        log_length=st.integers(1, 4095).map(lambda n: n * MiB),
    )
)
def test_header_survives_packing(header):
    assert Header.parse(header.pack()) == header


def test_header_with_flipped_bit_is_rejected():
    data = HEADER.pack()
    for bit in random.Random(1).sample(range(8 * SIZE), 300):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError):
            Header.parse(bytes(broken))


@given(st.binary(min_size=SIZE - 8, max_size=SIZE - 8))
def test_any_sealed_bytes_give_a_header_or_format_error(body):
    try:
        header = Header.parse(seal(bytearray(b"head" + bytes(4) + body)))
    except FormatError:
        return
    assert header.log_length >= MiB


@pytest.mark.parametrize(("field", "value"), [(64, 1), (66, 0), (66, 2), (68, 4096), (68, 0), (72, 0), (72, 4096)])
def test_header_with_bad_field_is_rejected(field, value):
    data = bytearray(HEADER.pack())
    data[field : field + 2] = value.to_bytes(2, "little")
    if field == 68:
        data[field : field + 4] = value.to_bytes(4, "little")
    if field == 72:
        data[field : field + 8] = value.to_bytes(8, "little")
    with pytest.raises(FormatError, match=r"version|log of"):
        Header.parse(seal(data))


def test_header_of_wrong_length_is_rejected():
    with pytest.raises(FormatError, match="4095 bytes"):
        Header.parse(HEADER.pack()[:-1])


def test_larger_sequence_number_counts():
    assert CurrentHeader.read(file_with(packed(7), packed(6))).slot == 0
    assert CurrentHeader.read(file_with(packed(7), packed(8))).slot == 1


def test_damaged_header_leaves_the_other_one():
    current = CurrentHeader.read(file_with(packed(7), bytes(SIZE)))
    assert (current.slot, current.header.sequence_number) == (0, 7)


def test_two_damaged_headers_are_an_error():
    with pytest.raises(FormatError, match="neither header") as caught:
        CurrentHeader.read(file_with(bytes(SIZE), bytes(SIZE)))
    assert caught.value.reason == "no_header"


def test_equal_numbers_need_equal_headers():
    assert CurrentHeader.read(file_with(packed(7), packed(7))).slot == 0
    other = replace(HEADER, sequence_number=7, data_write_guid=UUID(int=1)).pack()
    with pytest.raises(FormatError, match="same sequence number"):
        CurrentHeader.read(file_with(packed(7), other))


def test_newer_header_of_unknown_version_is_no_reason_to_take_the_older():
    newer = bytearray(packed(9))
    newer[66] = 2
    with pytest.raises(FormatError, match="version 2"):
        CurrentHeader.read(file_with(packed(8), seal(newer)))


def test_renewing_leaves_both_slots_fresh():
    file = file_with(packed(7), packed(6))
    first, second = uuid4(), uuid4()
    current = CurrentHeader.read(file).renew(file, file_write_guid=first, data_write_guid=second)
    assert CurrentHeader.read(file) == current
    found = [Header.parse(file.read(offset, SIZE)) for offset in SLOTS]
    assert [header.sequence_number for header in found] == [9, 8]
    assert {(header.file_write_guid, header.data_write_guid) for header in found} == {(first, second)}


def test_exhausted_sequence_number_is_an_error():
    file = file_with(packed(SEQUENCE_MAX), packed(1))
    with pytest.raises(FormatError, match="exhausted"):
        CurrentHeader.read(file).renew(file, file_write_guid=uuid4(), data_write_guid=uuid4())
