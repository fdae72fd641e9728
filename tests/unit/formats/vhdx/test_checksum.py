# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksum of headers and region tables."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.checksum import is_sealed, seal


def test_sealed_structure_is_recognized():
    assert is_sealed(seal(bytearray(b"head" + bytes(60))), b"head")


def test_checksum_of_zeros_is_that_of_rfc_3720():
    assert seal(bytearray(32))[4:8] == (0x8A9136AA).to_bytes(4, "little")


def test_checksum_covers_its_own_field_as_zeros():
    assert seal(bytearray(b"\0" * 4 + b"\xff" * 4 + b"\0" * 24)) == seal(bytearray(32))


def test_other_signature_is_not_recognized():
    assert not is_sealed(seal(bytearray(b"head" + bytes(60))), b"regi")


def test_any_flipped_bit_is_caught():
    data = seal(bytearray(b"head" + bytes(60)))
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        assert not is_sealed(bytes(broken), b"head")
