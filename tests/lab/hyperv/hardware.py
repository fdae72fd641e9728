# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processors, memory, firmware, network adapters and switches of the modelled host."""

from __future__ import annotations

import re
from uuid import uuid4

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB, TiB
from ansible_collections.opendr.hyperv.tests.lab.hyperv.grades import behaviour
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Machine, Nic, VirtualSwitch

PROCESSORS_MAX = {1: 64, 2: 240}  # [WSD] limits of Windows Server 2019, by generation
MEMORY_MIN = 32 * MiB
MEMORY_MAX = 12 * TiB
BIOS_DEVICES = {"CD", "IDE", "LegacyNetworkAdapter", "Floppy"}
SECURE_BOOT_TEMPLATES = ("MicrosoftWindows", "MicrosoftUEFICertificateAuthority", "OpenSourceShieldedVM")
MAC_ADDRESS = re.compile(r"[0-9A-F]{12}")
ADAPTERS_MAX = 8
VLAN_MAX = 4094


class HardwareSettings:
    """What Set-VMProcessor and its relatives do; most of it only while the machine is off."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    @behaviour("Set-VMProcessor", "D", source="PS Set-VMProcessor; the machine must be off")
    def set_vm_processor(self, vm_id: str, *, count: int) -> None:
        machine = self.lab.machine(vm_id)
        if count == machine.settings.processor_count:
            return
        self.lab.require_off(machine, "The number of processors")
        if not 1 <= count <= PROCESSORS_MAX[machine.generation]:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{count} processors are not possible")
        machine.settings.processor_count = count
        self.lab.commit()

    @behaviour("Set-VMMemory", "D", source="PS Set-VMMemory; static memory of a running machine from 2016 on")
    def set_vm_memory(self, vm_id: str, *, dynamic: bool, startup: int, minimum: int, maximum: int) -> None:
        """Set memory in bytes; minimum and maximum are kept but not checked while memory is static."""
        machine = self.lab.machine(vm_id)
        now = machine.settings
        wanted = (dynamic, startup, minimum, maximum)
        if wanted == (now.memory_dynamic, now.memory_startup, now.memory_minimum, now.memory_maximum):
            return
        if dynamic or now.memory_dynamic or machine.version_number < (6, 2):
            self.lab.require_off(machine, "Dynamic memory")
        ordered = minimum <= startup <= maximum if dynamic else True
        if not ordered or not MEMORY_MIN <= startup <= MEMORY_MAX or startup % (2 * MiB):
            raise Refusal(Kind.INVALID_ARGUMENT, f"memory of {minimum}, {startup}, {maximum} bytes is not possible")
        now.memory_dynamic, now.memory_startup, now.memory_minimum, now.memory_maximum = wanted
        self.lab.commit()

    @behaviour("Set-VMFirmware", "D", source="PS Set-VMFirmware; generation 2 only, the machine must be off")
    def set_vm_firmware(self, vm_id: str, *, secure_boot: bool, template: str, boot_order: list[str]) -> None:
        """Set secure boot and the order of devices, which must exist ("SCSI 0:0", "Nic:<name>")."""
        machine = self.lab.machine(vm_id)
        now = machine.settings
        if (secure_boot, template, boot_order) == (now.secure_boot, now.secure_boot_template, now.boot_order):
            return
        if machine.generation != 2:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} is of generation 1 and has no firmware settings")
        self.lab.require_off(machine, "Firmware")
        if template not in SECURE_BOOT_TEMPLATES:
            raise Refusal(Kind.INVALID_ARGUMENT, f"secure boot template {template!r} is unknown")
        unknown = set(boot_order) - set(boot_devices(machine))
        if unknown or len(set(boot_order)) != len(boot_order):
            raise Refusal(Kind.INVALID_ARGUMENT, f"boot order {boot_order} names devices that are missing or twice")
        now.secure_boot, now.secure_boot_template, now.boot_order = secure_boot, template, list(boot_order)
        self.lab.commit()

    @behaviour("Set-VMBios", "D", source="PS Set-VMBios; generation 1 only, the machine must be off")
    def set_vm_bios(self, vm_id: str, *, startup_order: list[str]) -> None:
        machine = self.lab.machine(vm_id)
        if machine.settings.boot_order == startup_order:
            return
        if machine.generation != 1:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} is of generation 2 and has no BIOS")
        self.lab.require_off(machine, "The startup order")
        if set(startup_order) != BIOS_DEVICES or len(startup_order) != len(BIOS_DEVICES):
            raise Refusal(Kind.INVALID_ARGUMENT, f"the startup order holds each of {sorted(BIOS_DEVICES)} once")
        machine.settings.boot_order = list(startup_order)
        self.lab.commit()

    @behaviour("Get-VMSwitch", "D", source="PS Get-VMSwitch")
    def get_vm_switch(self) -> list[VirtualSwitch]:
        return list(self.lab.state.networks)

    @behaviour("New-VMSwitch", "D", source="PS New-VMSwitch; names may repeat")
    def new_vm_switch(self, *, name: str, switch_type: str = "External") -> VirtualSwitch:
        network = VirtualSwitch(str(uuid4()), name, switch_type)
        self.lab.state.networks.append(network)
        self.lab.commit()
        return network

    @behaviour("Add-VMNetworkAdapter", "D", source="PS Add-VMNetworkAdapter; generation 1: only while off")
    def add_vm_network_adapter(self, vm_id: str, *, name: str) -> Nic:
        """Add an adapter that is not connected, with a dynamic address."""
        machine = self.lab.machine(vm_id)
        if machine.generation == 1:
            self.lab.require_off(machine, "The adapters")
        if len(machine.settings.nics) >= ADAPTERS_MAX:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} has {ADAPTERS_MAX} network adapters already")
        nic = Nic(f"Microsoft:{machine.vm_id.upper()}\\{str(uuid4()).upper()}", name, new_mac_address(self.lab))
        machine.settings.nics.append(nic)
        if machine.generation == 2:
            machine.settings.boot_order.append(f"Nic:{name}")
        self.lab.commit()
        return nic

    @behaviour("Set-VMNetworkAdapter -StaticMacAddress", "D", source="PS Set-VMNetworkAdapter; only while off")
    def set_static_mac_address(self, vm_id: str, *, nic_id: str, mac_address: str) -> None:
        machine = self.lab.machine(vm_id)
        nic = self._nic(machine, nic_id)
        wanted = mac_address.upper().replace("-", "").replace(":", "")
        if (nic.mac_address, nic.mac_is_static) == (wanted, True):
            return
        self.lab.require_off(machine, "The address of an adapter")
        if not MAC_ADDRESS.fullmatch(wanted) or int(wanted[:2], 16) & 1:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{mac_address} is no address of an adapter")
        nic.mac_address, nic.mac_is_static = wanted, True
        self.lab.commit()

    @behaviour("Connect-VMNetworkAdapter", "D", source="PS Connect-VMNetworkAdapter, Disconnect-VMNetworkAdapter")
    def connect_vm_network_adapter(self, vm_id: str, *, nic_id: str, switch_name: str) -> None:
        """Connect to the switch of that name; an empty name disconnects."""
        nic = self._nic(self.lab.machine(vm_id), nic_id)
        matching = [network for network in self.lab.state.networks if network.name.casefold() == switch_name.casefold()]
        if switch_name and not matching:
            raise Refusal(Kind.SWITCH_NOT_FOUND, f"There is no virtual switch {switch_name}")
        nic.switch_name = matching[0].name if matching else ""
        self.lab.commit()

    @behaviour("Set-VMNetworkAdapterVlan", "D", source="PS Set-VMNetworkAdapterVlan -Access, -Untagged")
    def set_vm_network_adapter_vlan(self, vm_id: str, *, nic_id: str, vlan_id: int) -> None:
        """Set the access VLAN; 0: untagged."""
        if not 0 <= vlan_id <= VLAN_MAX:
            raise Refusal(Kind.INVALID_ARGUMENT, f"VLAN {vlan_id} is not from 0 to {VLAN_MAX}")
        self._nic(self.lab.machine(vm_id), nic_id).vlan_id = vlan_id
        self.lab.commit()

    @behaviour(
        "Remove-VMNetworkAdapter", "F", source="windsor: removes every adapter of that name; missing is an error"
    )
    def remove_vm_network_adapter(self, vm_id: str, *, name: str) -> None:
        machine = self.lab.machine(vm_id)
        kept = [nic for nic in machine.settings.nics if nic.name.casefold() != name.casefold()]
        if len(kept) == len(machine.settings.nics):
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} has no network adapter {name}")
        if machine.generation == 1:
            self.lab.require_off(machine, "The adapters")
        machine.settings.nics = kept
        forget_missing_boot_devices(machine)
        self.lab.commit()

    def _nic(self, machine: Machine, nic_id: str) -> Nic:
        found = next((nic for nic in machine.settings.nics if nic.nic_id == nic_id), None)
        if found is None:
            raise Refusal(Kind.INVALID_ARGUMENT, f"{machine.name} has no network adapter {nic_id}")
        return found


def new_mac_address(lab: Lab) -> str:
    """Return an address from the host's pool that no machine has. Source: WSD, dynamic MAC address range."""
    used = {nic.mac_address for machine in lab.state.machines.values() for nic in machine.settings.nics}
    return next(address for n in range(1, 1 << 24) if (address := f"00155D{n:06X}") not in used)


def boot_devices(machine: Machine) -> list[str]:
    """Return what the boot order of a generation 2 machine may name."""
    nics = [f"Nic:{nic.name}" for nic in machine.settings.nics]
    return [*(drive.slot for drive in machine.settings.drives), *dict.fromkeys(nics)]


def forget_missing_boot_devices(machine: Machine) -> None:
    """Take removed devices out of the boot order."""
    if machine.generation == 2:
        there = boot_devices(machine)
        machine.settings.boot_order = [device for device in machine.settings.boot_order if device in there]
