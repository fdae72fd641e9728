# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host within the test's process, with a clock that stands still until it is told to go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.extents import Extent, normalize, unpack_pairs
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import FUNCTIONS
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import Admin, NewDisk
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.oracles import first_difference
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError

SLOT = "SCSI 0:0"
SIZE = 8 * MiB
REPLICA_ID = "5e1f0000-0000-4000-8000-000000000001"
REPLICA = "C:\\Replica\\web"


class Scene:
    """One host; ``call`` is a contract function, ``restart`` what a kill of the process does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = 1_700_000_000.0
        self._open()

    def _open(self) -> None:
        self.host = ModelHost(self.folder, name="hv-a", now=lambda: self.time)
        self.front = Front(self.host)
        self.admin = Admin(self.host)

    def restart(self) -> None:
        """Forget everything in memory and take up what is in the folder."""
        self.close()
        self._open()

    def close(self) -> None:
        self.host.stop()

    def call(self, function: str, **parameters: object) -> list[dict[str, Any]]:
        """Call a contract function; nothing that it says may name a file of this machine.

        Functions of a source get the fence of one replica unless another one is given.
        """
        if "ReplicaId" in FUNCTIONS[function].parameters:
            parameters = {"ReplicaId": REPLICA_ID, "Epoch": 1, **parameters}
        said: object = None
        try:
            said = rows = [dict(row) for row in self.front.dispatch(function, parameters, user="tester")]
        except HostError as error:
            said = error.message
            raise
        finally:
            assert str(self.folder) not in repr(said)
        return rows

    def machine(self, name: str = "web", *, start: bool = True, **given: Any) -> str:
        """Create a machine with one disk and return its id."""
        disks = given.pop("disks", [NewDisk(SIZE)])
        made = self.admin.create_machine(name, folder=f"C:\\VMs\\{name}", disks=disks, **given)
        if start:
            self.host.power.start_vm(made.vm_id)
        return made.vm_id

    def write(self, vm_id: str, *, offset: int = 0, data: bytes = b"guest!!!" * 512) -> None:
        self.host.guest.write(vm_id, SLOT, offset=offset, data=data)

    def checkpoint(self, vm_id: str, name: str = "opendr", consistency: str = "Crash") -> str:
        [made] = self.call("New-HvrCheckpoint", VmId=vm_id, Name=name, Consistency=consistency)
        return str(made["CheckpointId"])

    def convert(self, vm_id: str, checkpoint_id: str) -> dict[str, str]:
        """Convert a checkpoint and return change-tracking ids by disk id."""
        [point] = self.call("Convert-HvrCheckpoint", VmId=vm_id, CheckpointId=checkpoint_id)
        return dict(zip(point["VirtualDiskIds"], point["RctIds"], strict=True))

    def tracking_point(self, vm_id: str, name: str) -> dict[str, str]:
        """Checkpoint, convert and merge: the end of a cycle."""
        rct_ids = self.convert(vm_id, self.checkpoint(vm_id, name))
        assert self.admin.settle()
        return rct_ids

    def changes(self, vm_id: str, checkpoint_id: str, rct_ids: dict[str, str]) -> list[Extent]:
        """Return the changed extents of the first disk, asking until the end of the disk."""
        disk = self.disks(vm_id, checkpoint_id)[0]
        found: list[Extent] = []
        offset, size = 0, disk["VirtualSize"]
        while offset < size:
            rows = self.call(
                "Get-HvrChangedRange",
                Path=disk["ChainPaths"][0],
                RctId=rct_ids[str(disk["VirtualDiskId"])],
                Offset=offset,
                Length=size - offset,
            )
            found += [extent for row in rows for extent in unpack_pairs(row["Extents"])]
            assert offset < rows[-1]["NextOffset"] <= size
            offset = rows[-1]["NextOffset"]
        return normalize(found, size=size)

    def disks(self, vm_id: str, checkpoint_id: str) -> list[dict[str, Any]]:
        return self.call("Get-HvrCheckpointDisk", VmId=vm_id, CheckpointId=checkpoint_id)

    def chain(self, path: str) -> list[Path]:
        """Return the local files of a Windows path's chain, leaf first."""
        return [self.host.lab.volumes.local(each) for each in self.host.lab.images.walk(path)]

    def leaf(self, vm_id: str) -> str:
        return str(self.host.disks.get_vm_hard_disk_drive(vm_id)[0].path)

    def live_difference(self, vm_id: str) -> int | None:
        """Compare the first disk of a machine with what its guest wrote."""
        drive = self.host.disks.get_vm_hard_disk_drive(vm_id)[0]
        return first_difference(self.chain(drive.path), self.host.lab.shadows.live(vm_id, drive.disk_id))

    def take_replica(self, epoch: int = 1, folder: str = REPLICA) -> dict[str, Any]:
        """Write a record, so that functions of the replica's folder are allowed; return their fence."""
        record = json.dumps({"epoch": epoch, "revision": epoch})
        expected = {"ExpectedEpoch": epoch - 1, "ExpectedRevision": epoch - 1}
        self.call("Set-HvrReplicaRecord", Folder=folder, **expected, Record=record)
        return {"Folder": folder, "Epoch": epoch}

    def replica(self, fence: dict[str, Any]) -> str:
        """Create a replica with one empty disk and return its id."""
        [vm] = self.call("New-HvrVm", **fence, Name="web_replica", Marker="opendr:1", Generation=2, Version="9.0")
        self.admin.add_disk(str(vm["VmId"]), NewDisk(SIZE, path=f"{fence['Folder']}\\disk.vhdx"))
        return str(vm["VmId"])
