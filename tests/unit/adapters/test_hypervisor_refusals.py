# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.hypervisor_refusals import (
    REFUSALS,
    explained,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import HypervisorError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import COMMON_ERRORS, FUNCTIONS


def test_each_error_id_of_the_contract_has_a_meaning_and_no_other() -> None:
    promised = {error_id for function in FUNCTIONS.values() for error_id in function.errors}
    assert set(REFUSALS) == promised | set(COMMON_ERRORS)


def test_each_refusal_has_its_own_reason_and_a_way_out() -> None:
    assert len({refusal.reason for refusal in REFUSALS.values()}) == len(REFUSALS)
    assert all(refusal.hint for refusal in REFUSALS.values())


def test_known_refusal_keeps_function_and_id() -> None:
    error = explained(HypervisorError("m", function="Add-HvrDisk", error_id="Hvr.SlotInUse"))
    assert error.as_dict() == {
        "code": "hypervisor_refused",
        "reason": "slot_in_use",
        "message": "m",
        "hint": REFUSALS["Hvr.SlotInUse"].hint,
        "retryable": False,
        "function": "Add-HvrDisk",
        "error_id": "Hvr.SlotInUse",
    }


def test_unknown_refusal_stays_as_it_is() -> None:
    refusal = HypervisorError("m", error_id="CommandNotFoundException", reason="function_missing", hint="h")
    assert explained(refusal) is refusal
