# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Python front serves the contract, no more and no less."""

from __future__ import annotations

from uuid import UUID

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    COMMON_ERRORS,
    FUNCTIONS,
    Parameter,
    Type,
)
from ansible_collections.opendr.hyperv.tests.lab.hyperv import front, front_target
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import FACTS, Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError

GUID = "7a8c1a52-6bd4-4f26-9d54-39ee0a7a3aa1"
SAMPLES = {
    Type.STRING: ("text", 5),
    Type.STRINGS: (["text"], "text"),
    Type.GUID: (GUID, "no guid"),
    Type.INT32: (1, 2**31),
    Type.INT64: (1, 2**63),
    Type.UINT64: (1, -1),
    Type.BOOL: (True, 1),
    Type.SWITCH: (True, "true"),
    Type.BYTES: (b"x", "x"),
}


def good(parameter: Parameter) -> object:
    return parameter.choices[0] if parameter.choices else SAMPLES[parameter.type][0]


def arguments(name):
    return {key: good(parameter) for key, parameter in FUNCTIONS[name].parameters.items()}


def test_front_serves_exactly_the_contract(monkeypatch):
    assert front.table().keys() == FUNCTIONS.keys()
    monkeypatch.delattr(front_target, "remove_vm")
    with pytest.raises(RuntimeError, match="Remove-HvrVm"):
        front.table()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_are_checked_by_their_types(name):
    contract, given = FUNCTIONS[name], arguments(name)
    bound = front.checked(contract, given)
    assert bound.keys() == given.keys()
    assert all(isinstance(bound[key], UUID) for key, p in contract.parameters.items() if p.type is Type.GUID)
    for key, parameter in contract.parameters.items():
        with pytest.raises(HostError, match=key):
            front.checked(contract, given | {key: SAMPLES[parameter.type][1]})
        if parameter.mandatory:
            with pytest.raises(HostError, match=key):
                front.checked(contract, {k: v for k, v in given.items() if k != key})
    with pytest.raises(HostError, match="Magic"):
        front.checked(contract, given | {"Magic": 1})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_refusal_becomes_an_error_that_the_function_may_give(name):
    contract = FUNCTIONS[name]
    for kind in Kind:
        error = front.translated(contract, Refusal(kind, "no"))
        assert error.error_id in {*contract.errors, *COMMON_ERRORS}
        assert error.target == f"0x{FACTS[kind].code:08X}"
        assert isinstance(error.category, Category)


def test_every_kind_of_refusal_has_a_code_and_an_error_id():
    assert FACTS.keys() == front.ERROR_IDS.keys() == set(Kind)


def test_what_changes_a_host_has_an_epoch_unless_only_the_host_calls_it():
    unfenced = {
        function.name
        for function in FUNCTIONS.values()
        if function.changes and not {"Epoch", "ExpectedEpoch"} & function.parameters.keys()
    }
    assert unfenced == {"Remove-HvrExpiredCheckpoint"}
    fenced = [function for function in FUNCTIONS.values() if {"Epoch", "ExpectedEpoch"} & function.parameters.keys()]
    assert [function.name for function in fenced if not ("Hvr.Fenced" in function.errors and function.changes)] == []
