# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replica takes over from its source, and what has to be set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.machines import AttachedDisk, DiskKind, Slot
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.configuration import (
    plan_configuration,
    wanted_hardware,
)
from ansible_collections.opendr.hyperv.tests.unit.model.samples import config, geometry, hardware, nic


def test_switch_is_mapped_by_the_job_then_by_name_then_left_open():
    source = config(nic("a", switch="LAN"), nic("b", switch="same"), nic("c", switch="lost"), nic("d", switch=""))
    wanted = wanted_hardware(source, switches={"LAN": "DR-LAN"}, available=["DR-LAN", "same"])
    assert [item.switch_name for item in wanted.hardware.nics] == ["DR-LAN", "same", "", ""]
    assert wanted.unmapped == ("lost",)


def test_addresses_become_static_and_names_unique():
    source = config(nic("Network Adapter", mac="00155d00000a", static=False), nic("Network Adapter"))
    nics = wanted_hardware(source, switches={}, available=[]).hardware.nics
    assert [item.name for item in nics] == ["Network Adapter", "Network Adapter (2)"]
    assert (nics[0].mac_address, nics[0].mac_is_static) == ("00155D00000A", True)


def test_boot_order_keeps_the_devices_that_the_replica_has():
    source = config(nic("LAN"))
    firmware = replace(source.hardware.firmware, boot_order=("DVD", "SCSI 0:0", "Nic:LAN", "Nic:LAN"))
    disk = AttachedDisk(Slot("SCSI", 0, 0), "C:\\x.vhdx", DiskKind.VHDX, geometry(), file_size=0)
    source = replace(source, hardware=replace(source.hardware, firmware=firmware), disks=(disk,))
    wanted = wanted_hardware(source, switches={}, available=[]).hardware
    assert wanted.firmware.boot_order == ("SCSI 0:0", "Nic:LAN")
    old = replace(source, machine=replace(source.machine, generation=1))
    assert wanted_hardware(old, switches={}, available=[]).hardware.firmware == firmware


def test_equal_configuration_needs_no_call():
    plan = plan_configuration(config(nic()), name="web", wanted=hardware(nic()))
    assert (plan.update_machine, plan.set_nics, plan.remove_nics) == (False, (), ())


FIRMWARE = hardware().firmware
OTHER = [
    {"processor_count": 8},
    {"memory": replace(hardware().memory, startup=5)},
    {"firmware": replace(FIRMWARE, secure_boot=not FIRMWARE.secure_boot)},
    {"firmware": replace(FIRMWARE, secure_boot_template="Other")},
    {"firmware": replace(FIRMWARE, boot_order=("Nic:x",))},
]


@pytest.mark.parametrize("other", OTHER)
def test_each_part_of_the_machine_is_compared(other):
    plan = plan_configuration(config(), name="web", wanted=replace(hardware(), **other))
    assert (plan.update_machine, plan.set_nics, plan.remove_nics) == (True, (), ())


def test_name_is_compared():
    assert plan_configuration(config(), name="web2", wanted=hardware()).update_machine


def test_adapters_are_compared_one_by_one():
    wanted = hardware(nic(vlan=7), nic("new"))
    plan = plan_configuration(config(nic(), nic("gone")), name="web", wanted=wanted)
    assert not plan.update_machine
    assert [item.name for item in plan.set_nics] == ["LAN", "new"]
    assert plan.remove_nics == ("gone",)
