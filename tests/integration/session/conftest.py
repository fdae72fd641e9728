# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sites to replicate in, with one machine ``web`` of two disks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.session.leaks import Leaks
from ansible_collections.opendr.hyperv.tests.lab.site import FOLDER, SmallSite, disks


class WebSite(SmallSite):
    """A small site with machine ``web``: on, disks of ``sizes`` bytes, some content in each."""

    sizes: tuple[int, ...] = (24 * MiB, 16 * MiB)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.vm_id = self.source.create_machine("web", folder=f"{FOLDER}\\web", disks=disks(*self.sizes))
        self.source.call("Start-VM", vm_id=self.vm_id)
        self.fill()

    def fill(self) -> None:
        """Let the guest write what is there from the beginning."""
        self.guest_writes(1, 0, 3 * MiB, 300 * KiB)
        self.guest_writes(2, 1, 5 * MiB, 64 * KiB)

    def guest_writes(self, fill: int, location: int, offset: int, length: int = 64 * KiB) -> None:
        """Let the guest write bytes that name the writer."""
        data = bytes([fill]) * length
        self.source.write(self.vm_id, f"SCSI 0:{location}", offset=offset, data=data)


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves something running, open or unfinished; ``leaves`` names what it means to leave."""
    leaks = Leaks(tmp_path)
    yield
    meant = tuple(word for mark in request.node.iter_markers("leaves") for word in mark.args)
    left = [each for each in leaks.found() if not each.startswith(meant)] if meant else leaks.found()
    assert left == []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    with WebSite(tmp_path) as made:
        yield made
