# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError, RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.jobs import JobSpec
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.stops import Stop, StopRequest
from ansible_collections.opendr.hyperv.plugins.module_utils._plan import (
    JobPlan,
    StopPlan,
    machines_of,
    plan_job,
    plan_stop,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._spec import JOB

DEFINITION: dict[str, Any] = {
    "vms": ["web1"],
    "source_host": "hv-a",
    "target_host": "hv-b",
    "target_path": "D:\\Replicas",
}
DEFAULTS = {option: rules.get("default") for option, rules in JOB.items()}
WEB = JobSpec.from_dict({"name": "web", **DEFINITION})
DISABLED = replace(WEB, enabled=False)


def options(state: str, **given: Any) -> dict[str, Any]:
    """Options as AnsibleModule hands them over: everything there, defaults filled in."""
    return {"state": state, "name": "web", **DEFAULTS, **given}


def plan(state: str, found: JobSpec | None, *, running: str | None = None, **given: Any) -> JobPlan:
    return plan_job(options(state, **given), found, running=running)


def refusal(state: str, found: JobSpec | None, *, running: str | None = None, **given: Any) -> EngineError:
    with pytest.raises(EngineError) as caught:
        plan(state, found, running=running, **given)
    return caught.value


def test_defaults_of_the_options_are_those_of_a_job() -> None:
    assert plan("present", None, **DEFINITION).after == WEB


@pytest.mark.parametrize(
    ("state", "found", "changed"),
    [
        ("present", None, True),
        ("present", WEB, False),
        ("present", replace(WEB, restore_points=3), True),
        ("present", DISABLED, True),
        ("disabled", None, True),
        ("disabled", WEB, True),
        ("disabled", DISABLED, False),
        ("absent", None, False),
        ("absent", WEB, True),
        ("absent", DISABLED, True),
        ("started", None, True),
        ("started", WEB, True),
    ],
)
def test_change_follows_from_state_and_catalog(state: str, found: JobSpec | None, changed: bool) -> None:
    assert plan(state, found, **DEFINITION).changed is changed


@pytest.mark.parametrize("state", ["present", "disabled", "absent"])
def test_what_a_plan_brought_about_needs_no_second_plan(state: str) -> None:
    for found in (None, WEB, DISABLED, replace(WEB, suffix="_dr")):
        after = plan(state, found, **DEFINITION).after
        assert not plan(state, after, **DEFINITION).changed


def test_block_sizes_written_differently_are_no_change() -> None:
    assert not plan("present", WEB, **DEFINITION, block_size="1024 KiB").changed


def test_started_attaches_to_a_running_session_without_a_change() -> None:
    found = plan("started", WEB, running="8c1f", **DEFINITION)
    assert (found.start, found.changed) == (False, False)


def test_started_by_name_takes_the_job_of_the_catalog() -> None:
    assert plan("started", WEB) == JobPlan("web", WEB, WEB, start=True)


def test_disabling_by_name_keeps_the_definition() -> None:
    assert plan("disabled", replace(WEB, suffix="_dr")).after == replace(WEB, suffix="_dr", enabled=False)


def test_diff_holds_the_definition_only() -> None:
    diff = plan("started", replace(WEB, restore_points=3), **DEFINITION).as_result()["diff"]
    assert diff["before"] == {**WEB.as_dict(), "restore_points": 3}
    assert diff["after"] == WEB.as_dict()
    assert plan("absent", WEB).as_result()["diff"]["after"] == {}


@pytest.mark.parametrize("state", ["present", "started", "disabled"])
def test_a_job_that_is_only_named_must_exist(state: str) -> None:
    assert refusal(state, None).reason == "job_unknown"


def test_disabled_job_is_not_started_even_when_it_is_declared_again() -> None:
    assert refusal("started", DISABLED).reason == "job_disabled"
    assert refusal("started", DISABLED, **DEFINITION).reason == "job_disabled"


def test_job_is_not_removed_under_a_running_session() -> None:
    error = refusal("absent", WEB, running="8c1f")
    assert error.reason == "session_running"
    assert "8c1f" in error.message


@pytest.mark.parametrize(
    ("option", "value"),
    [("restore_points", 29), ("block_size", "3MiB"), ("target_path", "Replicas"), ("suffix", "/x"), ("vms", [])],
)
def test_bad_option_is_named_with_its_value_and_the_way_out(option: str, value: Any) -> None:
    error = refusal("present", WEB, **{**DEFINITION, option: value})
    assert isinstance(error, RequestError)
    assert error.reason == f"{option}_invalid"
    assert repr(value) in error.message
    assert error.hint


RUNNING = {"session_id": "8c1f", "state": "running", "alive": True}
ASKED = StopRequest(Stop.AFTER_DISK, "bob", 1.0)


def stop(
    status: dict[str, Any] | None, *, asked: StopRequest | None = None, how: str = "now", by: str = "al"
) -> StopPlan:
    return plan_stop({"name": "web", "state_dir": "/s", "stop": how, "stopped_by": by}, status, asked=asked, now=9.0)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "has no session in /s"),
        ({**RUNNING, "state": "done"}, "has ended"),
        ({**RUNNING, "state": "cancelled", "alive": False}, "has ended"),
        ({**RUNNING, "alive": False}, "was killed"),
    ],
)
def test_without_a_session_that_runs_there_is_nothing_to_stop(status: dict[str, Any] | None, said: str) -> None:
    result = stop(status).as_result()
    assert (result["changed"], result["session"]) == (False, None)
    assert said in result["msg"]


@pytest.mark.parametrize(
    ("asked", "how", "changed"),
    [
        (None, "after_machine", True),
        (ASKED, "after_machine", False),
        (ASKED, "after_disk", False),
        (ASKED, "now", True),
    ],
)
def test_only_a_sooner_stop_is_asked_for_again(asked: StopRequest | None, how: str, changed: bool) -> None:
    result = stop(RUNNING, asked=asked, how=how).as_result()
    assert (result["changed"], result["session"]) == (changed, {"session_id": "8c1f", "attached": True})
    assert ("by al" if changed else "by bob") in result["msg"]


def test_who_asks_is_one_short_line() -> None:
    request = stop(RUNNING, by="al\n" * 500).request
    assert request is not None
    assert request.by == ("al" * 500)[:200]


@pytest.mark.parametrize(
    ("wanted", "found"), [(None, ("web1", "db")), (["DB"], ("db",)), (["db", "web1", "Db"], ("db", "web1"))]
)
def test_machines_of_a_job_are_all_or_those_that_are_named(wanted: list[str] | None, found: tuple[str, ...]) -> None:
    assert machines_of(replace(WEB, vms=("web1", "db")), wanted) == found


@pytest.mark.parametrize("wanted", [[], ["web2"], ["web1", "web2"]])
def test_machine_that_the_job_does_not_have_is_refused(wanted: list[str]) -> None:
    with pytest.raises(RequestError, match="option vms") as caught:
        machines_of(WEB, wanted)
    assert caught.value.reason == "vms_invalid"
