# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""What every module does around its own work: parse the options, turn an engine error into a failure, report."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule

from ._checks import check_options, refused_options
from ._engine.errors import EngineError
from ._failure import failure


class _Module(AnsibleModule):
    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """Give what AnsibleModule refuses by itself, such as an unknown option, the form of all failures."""
        if "failure" not in result:
            result.update(failure(refused_options(msg)))
            msg = result.pop("msg")
        super().fail_json(msg, **result)


class EngineModule:
    """A module of the collection; ``rules`` are those of AnsibleModule (``required_if`` and the like)."""

    def __init__(self, options: dict[str, t.Any], **rules: t.Any) -> None:
        self._module = _Module(argument_spec=options, supports_check_mode=True, **rules)

    def run(self, converge: Callable[[AnsibleModule], dict[str, t.Any]]) -> t.NoReturn:
        """End the module with what ``converge`` returns, or with the error it raises."""
        result = self._result(converge)
        if "failure" in result:
            self._module.fail_json(**result)
        self._module.exit_json(**result)

    def _result(self, converge: Callable[[AnsibleModule], dict[str, t.Any]]) -> dict[str, t.Any]:
        try:
            check_options(self._module.params)
            return converge(self._module)
        except EngineError as error:
            return failure(error)
