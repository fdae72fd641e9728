# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A source disk, a replica disk and two movers between them; the truth about the source is a raw file beside it."""

from __future__ import annotations

import random
import secrets
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest
import pyvhdi

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.chain import Chain
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.create import (
    create_child,
    create_image,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.image import Image
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.formats.vhdx.locator import ParentPaths
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import Allocation, DiskGeometry, HostPath
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import (
    LeafState,
    Scope,
    Side,
    SourceOrder,
    TargetOrder,
    Ticket,
    TransferState,
    TransferStatus,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.lab.mover import Access, LabMover, Runtime
from ansible_collections.opendr.hyperv.tests.lab.pki import LabAuthority

SOURCE_HOST, SOURCE_PREFIX = "hv-a", r"C:\ClusterStorage\Volume1\VMs"
TARGET_HOST, TARGET_PREFIX = "hv-b", r"D:\Replicas"
QUICK: Final = {
    "reconnect_interval": 0.2,
    "reconnect_limit": 20.0,
    "heartbeat": 0.5,
    "silence": 5.0,
    "connect": 5.0,
    "flush": 0.2,
}
SIZE: Final = 24 * MiB
WAIT_SECONDS: Final = 60.0
ENDED: Final = (TransferState.DONE, TransferState.FAILED, TransferState.CANCELLED)


def wait_for(condition: Callable[[], object], *, seconds: float = WAIT_SECONDS) -> None:
    """Wait until a condition holds; fail with its name when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} seconds: {condition}")
        time.sleep(0.02)


def add_child(path: Path, *, parent: Path) -> None:
    """Make an empty differencing image beside its parent."""
    locator = ParentPaths(f".\\{parent.name}", f"C:\\{parent.name}")
    with files.create_file(str(path)) as file, files.open_for_reading(str(parent)) as below:
        create_child(file, Image.open(below), locator=locator, new_id=uuid.uuid4)


def reason_of(call: Callable[[], object], error_class: type[EngineError]) -> str:
    """Make a call that must fail with an error of a class; return the reason."""
    with pytest.raises(error_class) as caught:
        call()
    return caught.value.reason


class SourceDisk:
    """A VHDX file and the raw truth about it; each write goes to both, the raw one by plain Python."""

    def __init__(self, folder: Path, *, size: int = SIZE, seed: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.raw = folder / "disk.vhdx", folder / "disk.raw"
        self.geometry = DiskGeometry(uuid.uuid4(), size, 1 * MiB, 512, 4096, Allocation.DYNAMIC)
        self.chain: tuple[Path, ...] = (self.path,)
        self._random = random.Random(seed)
        self.forget()

    def reseed(self, seed: int) -> None:
        """Write other content from now on."""
        self._random = random.Random(seed)

    def forget(self) -> None:
        """Make the disk anew, empty."""
        with self.raw.open("wb") as raw:
            raw.truncate(self.geometry.virtual_size)
        self.path.unlink(missing_ok=True)
        with files.create_file(str(self.path)) as file:
            create_image(file, self.geometry, new_id=uuid.uuid4)

    def freeze(self) -> None:
        """Put a new leaf on top, as a checkpoint does; what is below stays as it is."""
        child = self.path.with_name("disk_1.avhdx")
        add_child(child, parent=self.path)
        self.chain = (child, *self.chain)

    def open_writable(self) -> Chain:
        leaf, *parents = map(str, self.chain)
        opened = [files.open_leaf(leaf), *(files.open_for_reading(parent) for parent in parents)]
        return Chain.open(opened, writable=True, new_id=uuid.uuid4)

    def write(self, *extents: Extent, text: bool = False) -> tuple[Extent, ...]:
        """Write new content, random or like text, to each extent."""
        chain = self.open_writable()
        try:
            with self.raw.open("r+b") as raw:
                for offset, length in extents:
                    data = self._text(length) if text else self._random.randbytes(length)
                    chain.write(offset, data)
                    raw.seek(offset)
                    raw.write(data)
            chain.flush()
        finally:
            chain.close()
        return extents

    def zero(self, extent: Extent) -> tuple[Extent, ...]:
        """Overwrite an extent with zeros that are stored."""
        chain = self.open_writable()
        chain.write(extent.offset, bytes(extent.length))
        chain.flush()
        chain.close()
        with self.raw.open("r+b") as raw:
            raw.seek(extent.offset)
            raw.write(bytes(extent.length))
        return (extent,)

    def fill(self) -> None:
        """Write something of everything: random, text, zeros, odd places, and holes between them."""
        self.write(Extent(0, 3 * MiB), Extent(5 * MiB + 512, 100 * KiB), Extent(20 * MiB, 4 * MiB))
        self.write(Extent(9 * MiB, 2 * MiB), text=True)
        self.zero(Extent(12 * MiB, 1 * MiB))

    def _text(self, length: int) -> bytes:
        words = [b"replica", b"leaf", b"extent", b"unit", b"ticket", b"epoch", b"\n"]
        line = b" ".join(self._random.choice(words) for _word in range(1000))
        return (line * (length // len(line) + 1))[:length]


@dataclass
class Site:
    """Movers and disks of one test."""

    folder: Path
    source: LabMover
    target: LabMover
    disk: SourceDisk
    authority: LabAuthority
    replica_id: uuid.UUID = field(default_factory=uuid.uuid4)
    replica: str = "replica"

    @property
    def leaf(self) -> Path:
        return self.folder / "target" / self.replica / "disk.vhdx"

    @property
    def leaf_path(self) -> HostPath:
        return HostPath(TARGET_HOST, f"{TARGET_PREFIX}\\{self.replica}\\disk.vhdx")

    @property
    def source_path(self) -> HostPath:
        return self.source_chain[-1]

    @property
    def source_chain(self) -> tuple[HostPath, ...]:
        root = self.folder / "source"
        return tuple(
            HostPath(SOURCE_HOST, "\\".join([SOURCE_PREFIX, *path.relative_to(root).parts])) for path in self.disk.chain
        )

    def with_one_mover(self) -> Site:
        """Return the same disks with a mover, not started, that serves both sides."""
        mover = LabMover(
            "proxy-ab",
            self.folder / "proxy-ab",
            authority=self.authority,
            access=[*source_access(self.folder), *target_access(self.folder)],
            timing=QUICK,
        )
        return replace(self, source=mover, target=mover)

    def another(self, number: int) -> Site:
        """Return another disk and replica between the same movers."""
        disk = SourceDisk(self.folder / "source" / f"disk-{number}", seed=number + 2)
        disk.fill()
        return replace(self, disk=disk, replica_id=uuid.uuid4(), replica=f"replica-{number}")

    def add_leaf(self) -> Path:
        """Make a checkpoint of the replica: a new leaf on top."""
        child = self.leaf.with_name("disk_1.avhdx")
        add_child(child, parent=self.leaf)
        return child

    def copy_to(self, leaf: Path, ticket: Ticket, scope: Scope, extents: Sequence[Extent]) -> None:
        """Do a whole transfer into a leaf on top of the replica's base."""
        chain = (self.leaf_path.folder.join(leaf.name), self.leaf_path)
        with self.target.client() as client:
            client.open_target(TargetOrder(ticket, chain, None))
        self.send(ticket, scope, extents)
        assert {status.state for status in self.wait(ticket)} == {TransferState.DONE}
        self.close(ticket)

    def ticket(self, cycle_id: str = "cycle-1", **changes: object) -> Ticket:
        values: dict[str, object] = {
            "secret": secrets.token_bytes(32),
            "source_mover": self.source.name,
            "target_mover": self.target.name,
            "replica_id": self.replica_id,
            "disk_id": self.disk.geometry.disk_id,
            "cycle_id": cycle_id,
            "epoch": 1,
            "lifetime_seconds": 300.0,
        }
        return Ticket(**{**values, **changes})  # type: ignore[arg-type]

    def create(self, *, epoch: int = 1) -> None:
        self.leaf.parent.mkdir(parents=True, exist_ok=True)
        with self.target.client() as client:
            client.create_disk(self.leaf_path, self.disk.geometry, replica_id=self.replica_id, epoch=epoch)

    def open(self, ticket: Ticket, *, data_write_guid: uuid.UUID | None = None) -> TransferStatus:
        with self.target.client() as client:
            return client.open_target(TargetOrder(ticket, (self.leaf_path,), data_write_guid))

    def send(
        self, ticket: Ticket, scope: Scope = Scope.ALLOCATED, extents: Sequence[Extent] = (), **changes: object
    ) -> None:
        values: dict[str, object] = {
            "ticket": ticket,
            "chain": (self.source_path,),
            "scope": scope,
            "extents": tuple(extents),
            "unit": 256 * KiB,
            "compression": 1,
            "target_address": ("127.0.0.1", self.target.port),
        }
        with self.source.client() as client:
            client.start_source(SourceOrder(**{**values, **changes}))  # type: ignore[arg-type]

    def both(self, ticket: Ticket) -> tuple[TransferStatus, TransferStatus]:
        """Return the status of both sides."""
        with self.source.client() as source, self.target.client() as target:
            return source.status(ticket, side=Side.SOURCE), target.status(ticket, side=Side.TARGET)

    def wait(self, ticket: Ticket) -> tuple[TransferStatus, TransferStatus]:
        """Wait until both sides have ended."""
        found: list[tuple[TransferStatus, TransferStatus]] = []

        def both_ended() -> bool:
            found[:] = [self.both(ticket)]
            return all(status.state in ENDED for status in found[0])

        wait_for(both_ended)
        return found[0]

    def target_status(self, ticket: Ticket) -> TransferStatus:
        with self.target.client() as client:
            return client.status(ticket, side=Side.TARGET)

    def source_cancel(self, ticket: Ticket) -> None:
        with self.source.client() as client:
            client.close_transfer(ticket)

    def source_state(self, ticket: Ticket) -> TransferState:
        with self.source.client() as client:
            return client.status(ticket, side=Side.SOURCE).state

    def leaf_state(self) -> LeafState:
        with self.target.client() as client:
            return client.inspect((self.leaf_path,))

    def touch_leaf(self) -> None:
        """Write to the leaf as a started replica would."""
        chain = Chain.open([files.open_leaf(str(self.leaf))], writable=True, new_id=uuid.uuid4)
        chain.write(0, b"touched!" * 64)
        chain.flush()
        chain.close()

    def close(self, ticket: Ticket) -> None:
        for mover in (self.source, self.target):
            with mover.client() as client:
                client.close_transfer(ticket)

    def copy(
        self, ticket: Ticket, scope: Scope = Scope.ALLOCATED, extents: Sequence[Extent] = (), **changes: object
    ) -> tuple[TransferStatus, TransferStatus]:
        """Do a whole transfer; both sides must have done it."""
        self.open(ticket)
        self.send(ticket, scope, extents, **changes)
        source, target = self.wait(ticket)
        assert (source.state, target.state) == (TransferState.DONE, TransferState.DONE), (source.error, target.error)
        self.close(ticket)
        return source, target

    def assert_equal(self) -> None:
        """Compare the replica with the raw truth, by programs and libraries of others."""
        self.check_image()
        assert content_of(self.leaf) == self.disk.raw.read_bytes()

    def check_image(self) -> None:
        command = ["qemu-img", "check", "-f", "vhdx", str(self.leaf)]
        check = subprocess.run(command, check=False, capture_output=True, text=True)
        assert check.returncode == 0, check.stdout + check.stderr

    def assert_replica_has(self, extents: Sequence[Extent]) -> None:
        """Compare extents of a sound replica with the raw truth."""
        self.check_image()
        replica, truth = content_of(self.leaf), self.disk.raw.read_bytes()
        for offset, length in extents:
            assert replica[offset : offset + length] == truth[offset : offset + length]


def content_of(*chain: Path) -> bytes:
    """Read a disk through libvhdi; a chain is leaf first."""
    images: list[pyvhdi.file] = []
    for path in reversed(chain):
        image = pyvhdi.file()
        image.open(str(path))
        if images:
            image.set_parent(images[-1])
        images.append(image)
    content = bytes(images[-1].read_buffer_at_offset(images[-1].get_media_size(), 0))
    for image in reversed(images):
        image.close()
    return content


def source_access(folder: Path) -> list[Access]:
    return [Access(SOURCE_HOST, SOURCE_PREFIX, folder / "source", "read")]


def target_access(folder: Path) -> list[Access]:
    return [Access(TARGET_HOST, TARGET_PREFIX, folder / "target")]


def make_site(
    folder: Path,
    *,
    timing: dict[str, float] | None = None,
    source_runtime: Runtime | None = None,
    target_runtime: Runtime | None = None,
) -> Site:
    """Make the movers (not started) and a filled source disk."""
    authority = LabAuthority(folder / "pki")
    quick = {**QUICK, **(timing or {})}
    for name in ("source", "target"):
        (folder / name).mkdir()
    disk = SourceDisk(folder / "source")
    disk.fill()
    source = LabMover(
        "proxy-a",
        folder / "proxy-a",
        authority=authority,
        access=source_access(folder),
        timing=quick,
        runtime=source_runtime,
    )
    target = LabMover(
        "proxy-b",
        folder / "proxy-b",
        authority=authority,
        access=target_access(folder),
        timing=quick,
        runtime=target_runtime,
    )
    return Site(folder, source, target, disk, authority)
