# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a replica's configuration takes over from its source, and what has to be set for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ..machines import Hardware, MachineConfig, Nic


@dataclass(frozen=True, slots=True)
class WantedHardware:
    """Hardware for the replica; ``unmapped`` names source switches that have no counterpart at the target."""

    hardware: Hardware
    unmapped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationPlan:
    """Calls to make."""

    update_machine: bool
    set_nics: tuple[Nic, ...]
    remove_nics: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.update_machine or self.set_nics or self.remove_nics)


def wanted_hardware(
    source: MachineConfig, *, switches: Mapping[str, str], available: Collection[str]
) -> WantedHardware:
    """Translate a machine's hardware to the target host.

    A switch is mapped by the job, else taken by name when the target has one of that name, else the adapter stays
    unconnected. Addresses become static: a dynamic one could change on another host. Adapters get unique names, since a
    replica's adapters are found by name. The boot order of generation 2 keeps the devices that a replica has.
    """
    hardware = source.hardware
    names = unique_names([nic.name for nic in hardware.nics])
    nics, unmapped = [], []
    for nic, name in zip(hardware.nics, names, strict=True):
        switch = switches.get(nic.switch_name, nic.switch_name if nic.switch_name in available else "")
        if nic.switch_name and not switch:
            unmapped.append(nic.switch_name)
        nics.append(Nic("", name, nic.mac_address.upper(), True, switch, nic.vlan_id))
    firmware = hardware.firmware
    if source.machine.generation == 2:
        there = {*(str(disk.slot) for disk in source.disks), *(f"Nic:{name}" for name in names)}
        order = [device for device in dict.fromkeys(firmware.boot_order) if device in there]
        firmware = replace(firmware, boot_order=tuple(order))
    return WantedHardware(replace(hardware, nics=tuple(nics), firmware=firmware), tuple(dict.fromkeys(unmapped)))


def unique_names(names: list[str]) -> list[str]:
    """Number the second and later adapters of one name: "Network Adapter" is what Windows calls each of them."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return result


def plan_configuration(found: MachineConfig, *, name: str, wanted: Hardware) -> ConfigurationPlan:
    """Compare a replica with what it should be; what is equal is not set again."""
    present = {nic.name: _shape(nic) for nic in found.hardware.nics}
    set_nics = tuple(nic for nic in wanted.nics if present.get(nic.name) != _shape(nic))
    remove_nics = tuple(sorted(set(present) - {nic.name for nic in wanted.nics}))
    return ConfigurationPlan(_differs(found, name=name, wanted=wanted), set_nics, remove_nics)


def _differs(found: MachineConfig, *, name: str, wanted: Hardware) -> bool:
    """Tell whether the machine itself, its adapters aside, is to be set."""
    now = found.hardware
    as_it_is = (found.machine.name, now.processor_count, now.memory, now.firmware)
    return as_it_is != (name, wanted.processor_count, wanted.memory, wanted.firmware)


def _shape(nic: Nic) -> tuple[str, bool, str, int]:
    return nic.mac_address.upper(), nic.mac_is_static, nic.switch_name, nic.vlan_id
