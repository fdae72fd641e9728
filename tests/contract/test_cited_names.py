# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every cmdlet, WMI method, class and code that contract and lab cite exists on a Hyper-V host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import FUNCTIONS
from ansible_collections.opendr.hyperv.tests.lab.hyperv import tracking
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import graded
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import FACTS, Kind

CITED = json.loads((Path(__file__).parent / "data" / "hyperv_cited.json").read_text(encoding="utf-8"))
METHODS = {name for cited in CITED["classes"].values() for name in cited["methods"]}
NOT_HYPER_V = {"Remove-Item", "GetDiskFreeSpaceEx", "GetVolumePathName"}  # of Windows itself
CMDLET = re.compile(r"\b[A-Z][a-z]+-(?:VM|VHD|Item)\w*")
CLASS = re.compile(r"\bMsvm_\w+")
METHOD = re.compile(r"\b(?:Create|Convert|Destroy|Get|Query|Apply|Export)[A-Z]\w+")
PARAMETER = re.compile(r" -(\w+)")


def unknown(text):
    """Return the names in a text that no source knows."""
    cmdlets = {name for name in CMDLET.findall(text) if name not in CITED["cmdlets"]}
    classes = {name for name in CLASS.findall(text) if name not in CITED["classes"]}
    methods = {name for name in METHOD.findall(text) if name not in METHODS}
    return (cmdlets | classes | methods) - NOT_HYPER_V


@pytest.mark.parametrize("name", FUNCTIONS)
def test_contract_function_cites_what_exists(name):
    assert unknown(FUNCTIONS[name].about) == set()


@pytest.mark.parametrize("found", graded(), ids=lambda found: found.name)
def test_modelled_behaviour_is_one_of_a_host(found):
    assert unknown(found.name) == set()
    cmdlet, *_unused = found.name.split(" ")
    for parameter in PARAMETER.findall(found.name):
        assert parameter in CITED["cmdlets"][cmdlet]["parameters"]


def test_check_finds_an_invented_name():
    assert unknown("Set-VMMagic, Msvm_Magic and CreateMagic") == {"Set-VMMagic", "Msvm_Magic", "CreateMagic"}


def test_lost_tracking_has_the_codes_that_mean_a_full_read():
    codes = {tracking.UNKNOWN_ID, tracking.NOT_INITIALIZED, tracking.CHANGED_OFFLINE, tracking.INVALID_STATE}
    assert {f"0x{code:08X}" for code in codes} <= set(CITED["full_resync_codes"])
    assert f"0x{FACTS[Kind.CHAIN_BROKEN].code:08X}" in CITED["broken_chain_codes"]
    assert f"0x{FACTS[Kind.TRACKING_LOST].code:08X}" in CITED["virtual_disk_errors"]


def test_wmi_methods_return_the_codes_that_the_lab_answers():
    returned = CITED["classes"]["Msvm_ImageManagementService"]["methods"]["GetVirtualDiskChanges"]["return_codes"]
    wmi = {fact.code for fact in FACTS.values() if fact.code < 2**31}
    assert {str(code) for code in wmi} <= set(returned)
