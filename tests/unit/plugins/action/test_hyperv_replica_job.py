# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin over scripted modules: what it asks of them, in which order, and what it makes of the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.opendr.hyperv.plugins.action.hyperv_replica_job import ActionModule
from ansible_collections.opendr.hyperv.plugins.plugin_utils.action_base import ModuleFailed
from ansible_collections.opendr.hyperv.plugins.plugin_utils.session_action import SessionAction

JOB = "hyperv_replica_job"
INFO = "hyperv_replica_info"
STATUS = "hyperv_replica_session_info"
STORED = {"source_host": "hv-a", "target_host": "hv-b", "source_proxies": ["proxy-a"], "target_proxies": []}
DECLARED = {"vms": ["web1"], "source_host": "hv-a", "target_host": "hv-b", "target_path": "D:\\Replicas"}
MANAGER = {f"opendr_manager_{name}": f"/etc/opendr/{name}.pem" for name in ("certificate", "key", "ca")}
HOST = {"ansible_user": "svc", "ansible_password": "S3cret!", "ansible_psrp_auth": "basic"}
HOSTVARS = {"mgr": MANAGER, "other": MANAGER, "hv-a": HOST, "hv-b": HOST, "proxy-a": {"opendr_mover_port": 7777}}
STARTED = {"changed": True, "job": {}, "diff": {}, "session": {"session_id": "8c1f", "attached": False}}
END = {"sequence": 1, "kind": "end", "text": "done"}
REPORT: dict[str, Any] = {"state": "done", "machines": [], "error": None, "bytes_sent": 7}
ENDED = {"state": "done", "alive": False, "percent": 100, "events": [END], "error": None, "result": REPORT}
Answer = dict[str, Any] | Exception


class Scripted(ActionModule):
    """Answers instead of running modules; the last answer of a module repeats."""

    def __init__(self, arguments: dict[str, Any], *, check: bool = False, delegate_to: str | None = None) -> None:
        task = SimpleNamespace(
            args={"name": "web", "state": "started", **arguments},
            check_mode=check,
            delegate_to=delegate_to,
            async_val=0,
            action="opendr.hyperv.hyperv_replica_job",
        )
        shell = SimpleNamespace(tmpdir="/tmp/x", path_has_trailing_slash=None)
        connection: Any = SimpleNamespace(_shell=shell, transport="ssh")
        super().__init__(task, connection, None, None, None)  # type: ignore[arg-type]
        self.answers: dict[str, list[Answer]] = {
            JOB: [STARTED],
            INFO: [{"jobs": [STORED]}],
            STATUS: [{"sessions": [ENDED]}],
        }
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.placed: list[str] = []

    def go(self) -> dict[str, Any]:
        return self.run(task_vars={"inventory_hostname": "mgr", "hostvars": HOSTVARS})

    def module(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((name, dict(arguments)))
        script = self.answers[name]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    def place_engine(self, state_dir: str) -> str:
        self.placed.append(state_dir)
        return f"{state_dir}/engine/opendr-engine.pyz"

    def forget_temporary_files(self) -> None:
        self.asked.append(("forget", {}))


class FakeClock:
    """Stands for the module ``time``: it only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{SessionAction.__module__}.time", FakeClock())


def names(action: Scripted) -> list[str]:
    return [name for name, _arguments in action.asked]


def test_declared_job_is_started_and_followed_to_its_end() -> None:
    action = Scripted(DECLARED)
    result = action.go()
    assert names(action) == [JOB, "forget", STATUS]
    assert action.asked[2][1] == {"sessions": ["8c1f"], "events_after": 0, "state_dir": "/var/lib/opendr"}
    assert result["session"] == {"session_id": "8c1f", "attached": False, **REPORT}
    assert "failed" not in result


def test_job_that_is_only_named_comes_from_the_catalog_with_its_proxies() -> None:
    action = Scripted({"catalog_url": "postgresql://db/opendr"})
    action.go()
    assert names(action)[:2] == [INFO, JOB]
    assert action.asked[0][1]["catalog_url"] == "postgresql://db/opendr"
    topology = action.asked[1][1]["topology"]
    assert list(topology["hosts"]) == ["hv-a", "hv-b"]
    assert topology["movers"] == {
        "proxy-a": {"address": "proxy-a", "port": 7777},
        "hv-b": {"address": "hv-b", "port": 7310},
    }
    assert topology["engine"] == "/var/lib/opendr/engine/opendr-engine.pyz"


def test_passwords_are_in_the_option_that_is_not_logged_and_nowhere_else() -> None:
    action = Scripted(DECLARED)
    action.go()
    arguments = dict(action.asked[0][1])
    assert arguments.pop("secrets") == {"passwords": {"hv-a": "S3cret!", "hv-b": "S3cret!"}, "proxies": {}}
    assert "S3cret!" not in json.dumps([arguments, action.asked[1:]])


def test_files_with_arguments_are_removed_also_when_the_start_fails() -> None:
    action = Scripted(DECLARED)
    action.answers[JOB] = [ModuleFailed({"failed": True, "msg": "refused"})]
    assert action.go() == {"failed": True, "msg": "refused"}
    assert names(action) == [JOB, "forget"]


def test_check_mode_places_nothing_and_follows_nothing() -> None:
    action = Scripted(DECLARED, check=True)
    action.answers[JOB] = [{**STARTED, "session": None}]
    assert action.go()["changed"] is True
    assert (action.placed, STATUS in names(action)) == ([], False)


def test_without_wait_the_task_ends_with_the_start() -> None:
    action = Scripted({**DECLARED, "wait": False})
    assert action.go()["session"] == STARTED["session"]
    assert STATUS not in names(action)


def test_delegated_task_takes_the_certificate_of_the_delegate() -> None:
    action = Scripted(DECLARED, delegate_to="other")
    action.go()
    assert action.asked[0][1]["topology"]["manager"]["name"] == "other"


def test_unknown_host_fails_before_anything_is_asked() -> None:
    action = Scripted({**DECLARED, "target_host": "hv-z", "state": "present"})
    result = action.go()
    assert (result["failed"], result["failure"]["reason"], action.asked) == (True, "host_unknown", [])


def test_lost_connection_is_polled_again_from_a_fresh_folder() -> None:
    action = Scripted(DECLARED)
    action.answers[STATUS] = [AnsibleConnectionFailure("timed out"), {"sessions": [ENDED]}]
    assert action.go()["session"]["state"] == "done"
    assert names(action).count(STATUS) == 2
    assert action._connection._shell.tmpdir is None


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ({"sessions": []}, "worker_gone"),
        ({"sessions": [{**ENDED, "state": "running"}]}, "worker_gone"),
        ({"sessions": [{**ENDED, "state": "running", "alive": True}]}, "still_running"),
    ],
)
def test_task_that_cannot_see_the_end_keeps_the_session_in_its_result(last: dict[str, Any], reason: str) -> None:
    action = Scripted({**DECLARED, "timeout": 0 if reason == "worker_gone" else 1, "poll_interval": 1})
    action.answers[STATUS] = [last]
    result = action.go()
    assert (result["failed"], result["failure"]["reason"]) == (True, reason)
    assert result["session"] == STARTED["session"]


STOPPING = {"changed": True, "msg": "asked to stop", "session": {"session_id": "8c1f", "attached": True}}


def stopping(answer: dict[str, Any], **arguments: Any) -> tuple[Scripted, dict[str, Any]]:
    """Stop a session whose status is ``answer``; return the action and its result."""
    action = Scripted({"state": "stopped", **arguments})
    action.answers = {JOB: [STOPPING], STATUS: [{"sessions": [answer] if answer else []}]}
    return action, action.go()


@pytest.mark.parametrize("state", ["done", "cancelled", "failed"])
def test_stopped_session_is_followed_and_any_end_of_it_is_what_was_wanted(state: str) -> None:
    action, result = stopping({**ENDED, "state": state, "result": {**REPORT, "state": state}}, stopped_by="al")
    assert names(action) == [JOB, STATUS]
    assert action.asked[0][1]["stopped_by"] == "al"
    assert "failed" not in result
    assert (result["changed"], result["session"]["state"]) == (True, state)


def test_worker_that_dies_while_it_is_stopped_is_warned_of() -> None:
    _action, result = stopping({**ENDED, "state": "running"})
    assert "failed" not in result
    assert "ended without a result" in result["warnings"][0]
    assert result["msg"] == STOPPING["msg"]


def test_session_that_does_not_stop_in_time_fails_the_task() -> None:
    _action, result = stopping({**ENDED, "state": "running", "alive": True}, timeout=1)
    assert (result["failed"], result["failure"]["reason"]) == (True, "still_running")


def test_stopping_waits_for_nothing_when_there_is_no_session_or_no_wish_to() -> None:
    action = Scripted({"state": "stopped"})
    action.answers[JOB] = [{"changed": False, "msg": "nothing to stop", "session": None}]
    assert action.go()["changed"] is False
    assert names(action) == [JOB]
    action, _result = stopping(ENDED, wait=False)
    assert names(action) == [JOB]


def test_who_runs_the_play_is_told_unless_the_task_says_who_asks() -> None:
    action, _result = stopping(ENDED)
    assert " on " in action.asked[0][1]["stopped_by"]


def test_poll_that_fails_keeps_the_session_in_its_result() -> None:
    action = Scripted(DECLARED)
    action.answers[STATUS] = [ModuleFailed({"failed": True, "msg": "no such file"})]
    assert action.go() == {**STARTED, "failed": True, "msg": "no such file"}


@pytest.mark.parametrize(("progress", "shown"), [("lines", 2), ("none", 0)])
def test_progress_is_shown_unless_it_is_not_wanted(progress: str, shown: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    show: Callable[..., None] = lambda line, color=None: lines.append(line)  # noqa: E731
    monkeypatch.setattr("ansible.utils.display.Display.display", lambda self, line, **more: show(line))
    Scripted({**DECLARED, "progress": progress}).go()
    assert len(lines) == shown
    assert all(line.startswith("web: ") for line in lines)


def test_job_called_like_its_machine_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    show: Callable[..., None] = lambda line, color=None: lines.append(line)  # noqa: E731
    monkeypatch.setattr("ansible.utils.display.Display.display", lambda self, line, **more: show(line))
    action = Scripted(DECLARED)
    event = {**END, "text": "web: copying"}
    action.answers[STATUS] = [{"sessions": [{**ENDED, "events": [event]}]}]
    action.go()
    assert lines[-1] == "web: copying"
