# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What action plugins do on the manager by themselves: find the state folder, place the engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._spec import SESSION_INFO_MODULE
from ansible_collections.opendr.hyperv.plugins.plugin_utils.action_base import EngineAction


class Scripted(EngineAction):
    """``answers`` has what the copy and the file module return."""

    def __init__(self, arguments: dict[str, Any] | None = None, **answers: dict[str, Any]) -> None:
        task = SimpleNamespace(args=arguments or {}, check_mode=False, async_val=0, action="opendr.hyperv.any")
        connection: Any = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/tmp/x"), transport="ssh")
        super().__init__(task, connection, None, None, None)  # type: ignore[arg-type]
        self._task_vars = {}
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def converge(self) -> dict[str, Any]:
        return {}

    def _remote_expand_user(self, path: str, sudoable: bool = True, pathsep: str | None = None) -> str:
        return path.replace("~", "/home/manager")

    def _copy(self, **arguments: str) -> dict[str, Any]:
        return {"dest": f"{arguments['dest']}{arguments['src'].rpartition('/')[2]}", **self.answers["copy"]}

    def _execute_module(self, module_name: str, module_args: dict[str, Any], **more: Any) -> dict[str, Any]:  # type: ignore[override]
        assert module_name == "ansible.legacy.file"
        self.asked.append(module_args)
        return self.answers["file"]


def test_home_in_the_state_folder_is_that_of_the_manager_also_for_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/controller")
    action = Scripted({"state_dir": "~/opendr"})
    assert action.options(SESSION_INFO_MODULE)["state_dir"] == "/home/manager/opendr"
    assert action._task.args["state_dir"] == "/home/manager/opendr"


def test_variables_of_the_controller_are_no_part_of_a_path_of_the_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "/srv")
    with pytest.raises(RequestError, match=r"option state_dir: '\$PLACE/opendr' is not allowed"):
        Scripted({"state_dir": "$PLACE/opendr"}).options(SESSION_INFO_MODULE)


def test_engine_that_was_placed_before_counts_as_new_again() -> None:
    action = Scripted(copy={"changed": False}, file={"changed": True})
    path = action.place_engine("/s")
    assert path.startswith("/s/engine/opendr-engine-")
    assert [(asked["path"], asked["state"], asked["modification_time"]) for asked in action.asked] == [
        (path, "file", "now")
    ]


@pytest.mark.parametrize("broken", ["copy", "file"])
def test_engine_that_cannot_be_placed_names_the_option_and_the_cause(broken: str) -> None:
    answers: dict[str, dict[str, Any]] = {"copy": {}, "file": {}, broken: {"failed": True, "msg": "no room left."}}
    with pytest.raises(RequestError, match=r"option state_dir: .* cannot be placed in /s: no room left$") as caught:
        Scripted(**answers).place_engine("/s")
    assert caught.value.reason == "state_dir_unusable"
