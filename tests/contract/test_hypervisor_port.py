# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every Hypervisor port keeps to: over PSRP and TLS, and straight over the model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.hypervisor import PsrpHypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.psrp import (
    HostConnectionSettings,
    PsrpHost,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import (
    EngineError,
    HypervisorError,
    StateError,
    TrackingLost,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import (
    Activity,
    Allocation,
    CheckpointType,
    Consistency,
    DiskGeometry,
    DiskKind,
    Fence,
    Nic,
    PowerState,
    Slot,
    SourceFence,
    StoredRecord,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.integration.psrp.small_host import StoppableClock
from ansible_collections.opendr.hyperv.tests.lab.direct_host import DirectHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.admin import Admin, NewDisk
from ansible_collections.opendr.hyperv.tests.lab.hyperv.front import Front
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import ModelHost
from ansible_collections.opendr.hyperv.tests.lab.pki import Credentials, LabAuthority
from ansible_collections.opendr.hyperv.tests.lab.wsman.server import WsmanServer

SIZE = 16 * MiB
SLOT = Slot("SCSI", 0, 0)
SOURCE = SourceFence(UUID("5e1f0000-0000-4000-8000-000000000001"), 3)
FOLDER = r"C:\Replica\web"
POINT = "2026-11-25T12:00:00Z"
GEOMETRY = DiskGeometry(
    disk_id=UUID("2f3a5c7e-0000-4000-8000-123456789abc"),
    virtual_size=SIZE,
    block_size=2 * MiB,
    logical_sector_size=512,
    physical_sector_size=4096,
    allocation=Allocation.DYNAMIC,
)


@dataclass
class Site:
    """A host with one running machine, and the port to it."""

    port: Hypervisor
    model: ModelHost
    admin: Admin
    vm_id: UUID

    def write(self, offset: int) -> None:
        self.model.guest.write(str(self.vm_id), str(SLOT), offset=offset, data=b"guest!!!" * 512)

    def put(self, epoch: int, revision: int, *, over: int, **more: object) -> str:
        """Write a record of this epoch and revision over the revision before, which has epoch ``over``."""
        text = json.dumps({"epoch": epoch, "revision": revision, **more})
        self.port.write_record(FOLDER, text, expected_epoch=over, expected_revision=revision - 1)
        return text

    def replica(self, *, epoch: int = 1) -> tuple[Fence, UUID]:
        """Make a replica without disks under a record."""
        self.put(epoch, epoch, over=epoch - 1)
        fence = Fence(FOLDER, epoch)
        machine = self.port.create_machine(fence, name="web_replica", marker="opendr:1", generation=2, version="9.0")
        return fence, machine.vm_id

    def replica_disk(self, fence: Fence, vm_id: UUID) -> str:
        """Attach a disk that a mover would have made, and return its path."""
        with self.model.lab.lock:
            self.model.lab.images.create(rf"{FOLDER}\disk.vhdx", GEOMETRY)
        self.port.attach_disk(fence, vm_id, slot=SLOT, path=rf"{FOLDER}\disk.vhdx")
        return rf"{FOLDER}\disk.vhdx"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return LabAuthority(tmp_path_factory.mktemp("pki")).issue("hv-a", role="hyperv")


def over_psrp(front: Front, stack: ExitStack, files: Credentials) -> Hypervisor:
    server = stack.enter_context(WsmanServer(front, files=files, users={"repl": "S3cret!pw"}))
    settings = HostConnectionSettings(
        name="hv-a", address="localhost", port=server.port, user="repl", password="S3cret!pw", auth="basic",
        ca_cert=str(files.ca),
    )  # fmt: skip
    return PsrpHypervisor(PsrpHost(settings, clock=StoppableClock()))


def straight(front: Front, _stack: ExitStack, _files: Credentials) -> Hypervisor:
    return PsrpHypervisor(DirectHost("hv-a", front))


@pytest.fixture(params=[over_psrp, straight], ids=["psrp", "direct"])
def site(request: pytest.FixtureRequest, tmp_path: Path, files: Credentials) -> Iterator[Site]:
    model = ModelHost(tmp_path / "hv-a", name="HV-A")
    admin = Admin(model)
    machine = admin.create_machine("web", folder=r"C:\VMs\web", disks=[NewDisk(SIZE)])
    model.power.start_vm(machine.vm_id)
    with ExitStack() as stack:
        stack.callback(model.stop)
        build: Callable[[Front, ExitStack, Credentials], Hypervisor] = request.param
        port = build(Front(model), stack, files)
        stack.callback(port.close)
        yield Site(port, model, admin, UUID(machine.vm_id))


def reason_of(error: type[EngineError], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert caught.value.hint
    return caught.value.reason


def test_host_says_who_it_is(site: Site) -> None:
    info = site.port.host()
    assert site.port.name == "hv-a"
    assert info.name == "HV-A"
    assert info.default_version in info.supported_versions


def test_switches_have_ids(site: Site) -> None:
    assert "Default Switch" in [switch.name for switch in site.port.switches()]


def test_machines_are_found_by_name_and_id(site: Site) -> None:
    site.admin.create_machine("web", folder=r"C:\VMs\web2")
    found = site.port.find_machines("web")
    assert len(found) == 2
    assert site.vm_id in [machine.vm_id for machine in found]
    assert site.port.find_machines("nobody") == []
    machine = site.port.machine(site.vm_id)
    assert (machine.name, machine.state, machine.generation) == ("web", PowerState.RUNNING, 2)
    assert machine.checkpoint_type in set(CheckpointType)


def test_unknown_machine_is_not_found(site: Site) -> None:
    for call in (site.port.machine, site.port.configuration, site.port.checkpoints, site.port.restore_points):
        assert reason_of(HypervisorError, lambda call=call: call(uuid4())) == "vm_not_found"  # type: ignore[misc]


def test_configuration_has_hardware_and_disks(site: Site) -> None:
    config = site.port.configuration(site.vm_id)
    assert config.machine == site.port.machine(site.vm_id)
    assert config.hardware.processor_count >= 1
    assert config.hardware.memory.startup > 0
    assert len(config.hardware.nics) == 1
    (disk,) = config.disks
    assert (disk.slot, disk.kind) == (SLOT, DiskKind.VHDX)
    assert disk.geometry is not None
    assert (disk.geometry.virtual_size, disk.geometry.logical_sector_size) == (SIZE, 512)


def test_checkpoint_of_a_name_is_made_once(site: Site) -> None:
    before = time.time()
    made = site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 1", consistency=Consistency.CRASH)
    assert site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 1", consistency=Consistency.CRASH) == made
    assert site.port.checkpoints(site.vm_id) == [made]
    assert made.created_at == pytest.approx(before, abs=60)
    (disk,) = site.port.checkpoint_disks(site.vm_id, made.checkpoint_id)
    assert disk.slot == SLOT
    assert site.port.chain(disk.chain[0]) == disk.chain
    site.port.remove_checkpoint(SOURCE, site.vm_id, checkpoint_id=made.checkpoint_id)
    site.port.remove_checkpoint(SOURCE, site.vm_id, checkpoint_id=made.checkpoint_id)
    assert site.port.checkpoints(site.vm_id) == []


def test_disks_of_a_missing_checkpoint_are_refused(site: Site) -> None:
    reason = reason_of(HypervisorError, lambda: site.port.checkpoint_disks(site.vm_id, "Microsoft:nothing"))
    assert reason == "checkpoint_not_found"


def test_reference_point_leads_to_the_changes(site: Site) -> None:
    first = site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 1", consistency=Consistency.CRASH)
    point = site.port.convert_checkpoint(SOURCE, site.vm_id, checkpoint_id=first.checkpoint_id)
    assert site.port.convert_checkpoint(SOURCE, site.vm_id, checkpoint_id=first.checkpoint_id) == point
    assert site.port.reference_points(site.vm_id) == [point]
    assert site.admin.settle()
    site.write(3 * MiB)
    second = site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 2", consistency=Consistency.CRASH)
    (disk,) = site.port.checkpoint_disks(site.vm_id, second.checkpoint_id)
    rct_id = point.rct_ids[disk.disk_id]
    changes = site.port.changed_extents(disk.chain[0], rct_id=rct_id, size=SIZE)
    assert any(e.offset <= 3 * MiB and e.end >= 3 * MiB + 4 * KiB for e in changes)
    assert changes == sorted(changes)
    assert all(e.end <= SIZE for e in changes)
    site.port.remove_reference_point(SOURCE, site.vm_id, reference_point_id=point.reference_point_id)
    site.port.remove_reference_point(SOURCE, site.vm_id, reference_point_id=point.reference_point_id)
    assert site.port.reference_points(site.vm_id) == []


def test_unknown_tracking_id_means_tracking_lost(site: Site) -> None:
    made = site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 1", consistency=Consistency.CRASH)
    (disk,) = site.port.checkpoint_disks(site.vm_id, made.checkpoint_id)
    with pytest.raises(TrackingLost):
        site.port.changed_extents(disk.chain[0], rct_id="rct:unknown", size=SIZE)


def test_record_is_replaced_by_its_epoch_and_revision_only(site: Site) -> None:
    assert site.port.find_records(r"C:\Replica") == []
    site.put(1, 1, over=0)
    site.put(1, 1, over=0)
    site.put(1, 2, over=1)
    for revision in (1, 2):  # one that comes late, and one of somebody who knew the same as the other
        late = partial(site.put, 1, revision, over=revision - 1, x=1)
        assert reason_of(StateError, late) == "fenced"
    text = site.put(2, 3, over=1)
    (found,) = site.port.find_records(r"C:\Replica")
    assert found == StoredRecord(FOLDER, 2, 3, found.age_seconds, text)
    assert 0 <= found.age_seconds < 60
    site.port.remove_record(Fence(FOLDER, 2))
    assert site.port.find_records(r"C:\Replica") == []


def test_older_epoch_changes_nothing(site: Site) -> None:
    fence, vm_id = site.replica()
    site.put(2, 2, over=1)
    for call in (
        lambda: site.port.create_restore_point(fence, vm_id, name=POINT),
        lambda: site.port.attach_disk(fence, vm_id, slot=SLOT, path=rf"{FOLDER}\x.vhdx"),
        lambda: site.port.remove_record(fence),
    ):
        assert reason_of(StateError, call) == "fenced"
    assert site.port.machine(vm_id).name == "web_replica"


def test_older_epoch_changes_nothing_on_the_source(site: Site) -> None:
    made = site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 1", consistency=Consistency.CRASH)
    site.port.hold_source(replace(SOURCE, epoch=4), site.vm_id, seconds=60)
    for call in (
        lambda: site.port.create_checkpoint(SOURCE, site.vm_id, name="opendr 1", consistency=Consistency.CRASH),
        lambda: site.port.hold_source(SOURCE, site.vm_id, seconds=60),
        lambda: site.port.convert_checkpoint(SOURCE, site.vm_id, checkpoint_id=made.checkpoint_id),
        lambda: site.port.remove_checkpoint(SOURCE, site.vm_id, checkpoint_id=made.checkpoint_id),
        lambda: site.port.remove_reference_point(SOURCE, site.vm_id, reference_point_id="Microsoft:1"),
    ):
        assert reason_of(StateError, call) == "fenced"
    assert site.port.checkpoints(site.vm_id) == [made]
    site.port.remove_checkpoint(replace(SOURCE, epoch=4), site.vm_id, checkpoint_id=made.checkpoint_id)


def test_checkpoint_has_a_lease_that_its_replica_extends(site: Site) -> None:
    name = str(CheckpointName(SOURCE.replica_id, uuid4()))
    made = site.port.create_checkpoint(SOURCE, site.vm_id, name=name, consistency=Consistency.CRASH)
    assert made.lease_seconds == pytest.approx(24 * 3600, abs=60)
    site.port.hold_source(SOURCE, site.vm_id, seconds=100)
    (held,) = site.port.checkpoints(site.vm_id)
    assert 40 < held.lease_seconds <= 100


def test_replica_machine_is_made_once_by_its_marker(site: Site) -> None:
    fence, vm_id = site.replica()
    again = site.port.create_machine(fence, name="web_replica", marker="opendr:1", generation=2, version="9.0")
    assert again.vm_id == vm_id
    assert "opendr:1" in again.notes
    assert (again.state, again.version) == (PowerState.OFF, "9.0")


def test_hardware_is_taken_over(site: Site) -> None:
    fence, vm_id = site.replica()
    source = site.port.configuration(site.vm_id).hardware
    wanted = replace(source, processor_count=2, firmware=replace(source.firmware, boot_order=()), nics=())
    site.port.update_machine(fence, vm_id, name="web_renamed", hardware=wanted)
    found = site.port.configuration(vm_id)
    assert found.machine.name == "web_renamed"
    assert (found.hardware.processor_count, found.hardware.memory) == (2, wanted.memory)
    assert found.hardware.firmware.secure_boot == wanted.firmware.secure_boot


def test_adapter_is_made_changed_and_removed(site: Site) -> None:
    fence, vm_id = site.replica()
    nic = Nic("", "LAN", mac_address="00155D010203", mac_is_static=True, switch_name="Default Switch", vlan_id=7)
    for wanted in (nic, replace(nic, switch_name="", vlan_id=0)):
        site.port.set_nic(fence, vm_id, nic=wanted)
        (found,) = site.port.configuration(vm_id).hardware.nics
        assert replace(found, nic_id="") == wanted
    assert reason_of(
        HypervisorError, lambda: site.port.set_nic(fence, vm_id, nic=replace(nic, switch_name="no such switch"))
    ) == ("switch_not_found")
    site.port.remove_nic(fence, vm_id, name="LAN")
    site.port.remove_nic(fence, vm_id, name="LAN")
    assert site.port.configuration(vm_id).hardware.nics == ()


def test_restore_points_grow_apply_and_go(site: Site) -> None:
    fence, vm_id = site.replica()
    base = site.replica_disk(fence, vm_id)
    assert [leaf.path for leaf in site.port.leaves(vm_id)] == [base]
    first = site.port.create_restore_point(fence, vm_id, name=POINT)
    assert site.port.create_restore_point(fence, vm_id, name=POINT) == first
    second = site.port.create_restore_point(fence, vm_id, name="2026-11-25T13:00:00Z")
    assert {point.restore_point_id: point.parent_id for point in site.port.restore_points(vm_id)} == {
        first.restore_point_id: None,
        second.restore_point_id: first.restore_point_id,
    }
    (leaf,) = site.port.leaves(vm_id)
    assert len(site.port.chain(leaf.path)) == 3
    site.port.apply_restore_point(fence, vm_id, restore_point_id=second.restore_point_id)
    (fresh,) = site.port.leaves(vm_id)
    assert (fresh.slot, fresh.disk_id) == (leaf.slot, leaf.disk_id)
    site.port.remove_restore_point(fence, vm_id, restore_point_id=first.restore_point_id)
    site.port.remove_restore_point(fence, vm_id, restore_point_id=first.restore_point_id)
    assert site.admin.settle()
    assert site.port.activity(vm_id) == Activity(is_idle=True)
    assert [point.restore_point_id for point in site.port.restore_points(vm_id)] == [second.restore_point_id]
    gone = partial(site.port.apply_restore_point, fence, vm_id, restore_point_id=first.restore_point_id)
    assert reason_of(HypervisorError, gone) == "restore_point_not_found"


def test_detached_disk_is_a_file_to_be_removed(site: Site) -> None:
    fence, vm_id = site.replica()
    base = site.replica_disk(fence, vm_id)
    site.port.attach_disk(fence, vm_id, slot=SLOT, path=base)
    site.port.detach_disk(fence, vm_id, slot=SLOT)
    site.port.detach_disk(fence, vm_id, slot=SLOT)
    assert site.port.leaves(vm_id) == []
    assert site.port.chain(base) == (base,)
    site.port.remove_file(fence, base)
    site.port.remove_file(fence, base)
    assert reason_of(HypervisorError, lambda: site.port.chain(base)) == "file_not_found"
    assert reason_of(HypervisorError, lambda: site.port.remove_file(fence, r"C:\Windows\x")) == "path_not_allowed"


def test_volume_tells_its_space(site: Site) -> None:
    space = site.port.volume(r"C:\VMs")
    assert space.root == "C:\\"
    assert 0 < space.free <= space.size
