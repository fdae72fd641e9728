# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden images: what was written once is read for ever, and is still written in the same way."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.check import check_chain

from .disks import content
from .golden import make


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["base.vhdx"], [make.LOWER]),
        (["child.avhdx", "base.vhdx"], [make.LOWER, make.UPPER]),
        (["qemu.vhdx"], [make.LOWER]),
    ],
    ids=["base", "chain", "qemu"],
)
def test_golden_image_reads_as_it_was_made(names, layers):
    files = [make.golden(name) for name in names]
    assert check_chain(files) == []
    assert content(files) == make.content(*layers)


def test_images_are_written_as_they_were():
    base, child = make.own_chain()
    for name, file in (("base.vhdx", base), ("child.avhdx", child)):
        found = make.golden(name)
        assert (file.size(), file.read(0, file.size())) == (found.size(), found.read(0, found.size()))
