# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""What the action plugins share: run a module on the manager, place the engine there, report an engine error."""

from __future__ import annotations

import tempfile
import typing as t
from abc import abstractmethod
from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._checks import check_options, refused_options
from ..module_utils._engine.adapters.state_folder import unusable
from ..module_utils._engine.errors import EngineError
from ..module_utils._failure import failure
from .engine_archive import build_archive
from .topology import Inventory

Result = dict[str, t.Any]


class ModuleFailed(Exception):
    """A module that this action ran has failed; ``result`` is the failure to report."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.get("msg", "the module failed"))
        self.result = result


class EngineAction(ActionBase):
    """An action whose work is ``converge``; engine errors and failed modules become the result of the task."""

    _supports_check_mode = True
    _task_vars: dict[str, t.Any]

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> Result:
        super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        try:
            return self.converge()
        except EngineError as error:
            return {"failed": True, "changed": False, **failure(error)}
        except ModuleFailed as error:
            return error.result

    @abstractmethod
    def converge(self) -> Result:
        """Do the work of the task and return its result."""

    def options(self, specification: dict[str, t.Any], **rules: t.Any) -> dict[str, t.Any]:
        """Return the options of the task, checked and with defaults. Raises RequestError.

        ``state_dir`` is a path of the manager: what it means there is settled here once, also for the modules.
        """
        given = self._task.args.get("state_dir")
        if isinstance(given, str) and given.startswith("~"):
            self._task.args["state_dir"] = given = self._remote_expand_user(given)
        try:
            options: dict[str, t.Any] = self.validate_argument_spec(argument_spec=specification, **rules)[1]
        except AnsibleActionFail as error:
            raise refused_options(error.message) from error
        if isinstance(given, str):
            options["state_dir"] = given  # and not with variables of the controller in it
        check_options(options)
        return options

    @property
    def manager(self) -> str:
        """Inventory name of the host that the task runs on."""
        return str(self._task.delegate_to or self._task_vars["inventory_hostname"])

    @property
    def inventory(self) -> Inventory:
        return Inventory(self._task_vars["hostvars"])

    def module(self, name: str, arguments: dict[str, t.Any]) -> Result:
        """Run a module of the collection on the manager. Raises ModuleFailed."""
        result: Result = self._execute_module(
            module_name=f"opendr.hyperv.{name}", module_args=dict(arguments), task_vars=self._task_vars
        )
        if result.get("failed"):
            raise ModuleFailed(result)
        return result

    def forget_temporary_files(self) -> None:
        """Remove what the last module left: without pipelining its arguments are in a file until the task ends."""
        self.cleanup(force=True)

    def place_engine(self, state_dir: str) -> str:
        """Bring the engine to the manager unless this version of it is there; return its path. Raises RequestError."""
        archive = build_archive()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / archive.name
            file.write_bytes(archive.content)
            copied = self._copy(src=str(file), dest=f"{state_dir}/engine/", mode="0644", directory_mode="0700")
        # One that was there already may be old enough for a worker that ends now to tidy it up.
        placed = copied if copied.get("failed") else self._touch(copied["dest"])
        if placed.get("failed"):
            raise unusable(f"the engine cannot be placed in {state_dir}: {_cause(placed)}")
        return str(copied["dest"])

    def _touch(self, path: str) -> Result:
        arguments = {"path": path, "state": "file", "modification_time": "now", "access_time": "preserve"}
        result: Result = self._execute_module("ansible.legacy.file", arguments, task_vars=self._task_vars)
        return result

    def _copy(self, **arguments: str) -> Result:
        task = self._task.copy()
        task.args = arguments
        action = self._shared_loader_obj.action_loader.get(
            "ansible.legacy.copy",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        try:
            result: Result = action.run(task_vars=self._task_vars)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return {"failed": True, "msg": error.message}
        finally:
            action.cleanup(force=True)
        return result


def _cause(failed: Result) -> str:
    """Return what a failed module says; one that did not expect its error says it only in the chain of that."""
    said = str(failed.get("msg", "it does not say why"))
    event = getattr(failed.get("exception"), "event", None)
    while event is not None:
        said, event = event.msg, getattr(event.chain, "event", None)
    return said.rstrip(".")
