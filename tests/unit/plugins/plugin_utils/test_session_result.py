# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError, StateError
from ansible_collections.opendr.hyperv.plugins.plugin_utils.session_result import ending, report

FULL = StateError("volume D: is full", hint="free space", reason="volume_full").as_dict()
UNKNOWN = RequestError("there is no machine web2", reason="vm_not_found").as_dict()


def status(state: str, *machines: tuple[str, dict[str, object] | None], error: Any = None) -> dict[str, Any]:
    reports = [{"name": name, "error": problem} for name, problem in machines]
    result = {"state": state, "machines": reports, "error": error}
    return {"state": state, "error": error, "result": result}


def test_good_end_adds_nothing() -> None:
    assert ending(status("done", ("web1", None))) == {}


def test_failure_is_the_first_error_and_names_its_machine() -> None:
    result = ending(status("failed", ("web1", None), ("web2", FULL), ("web3", UNKNOWN)))
    assert result["failed"] is True
    assert result["failure"] == {**FULL, "machine": "web2"}
    assert result["msg"] == "web2: volume D: is full. Free space; web3: there is no machine web2"


def test_error_of_the_whole_session_comes_first() -> None:
    result = ending(status("failed", ("web1", FULL), error=UNKNOWN))
    assert result["failure"] == UNKNOWN


def test_session_that_never_began_is_reported_by_its_status() -> None:
    bare = {"state": "failed", "error": UNKNOWN, "result": None}
    assert report(bare) == {"state": "failed", "machines": [], "error": UNKNOWN}
    assert ending(bare)["failure"] == UNKNOWN


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_bad_end_without_an_error_still_fails(state: str) -> None:
    assert ending(status(state, ("web1", None))) == {"failed": True, "msg": f"the session was {state}"}
