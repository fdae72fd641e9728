# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the generated parts of docs/design/host_contract.md: ``python -m ...tests.contract.document``."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.contract import (
    COMMON_ERRORS,
    FUNCTIONS,
    Function,
    Parameter,
)
from ansible_collections.opendr.hyperv.tests.lab.hyperv.host import graded
from ansible_collections.opendr.hyperv.tests.lab.hyperv.switches import Switches

PATH: Final = Path(__file__).resolve().parents[2] / "docs" / "design" / "host_contract.md"


def functions() -> str:
    """Return one section for each function of the contract."""
    return "\n\n".join(_function(function) for function in FUNCTIONS.values())


def switches() -> str:
    """Return a table of the lab's switches with the probe each belongs to; the first answer is the default."""
    lines = ["| Switch | Probe | Answers |", "| --- | --- | --- |"]
    for each in fields(Switches):
        answers = ", ".join(f"`{value}`" for value in each.metadata["values"])
        lines.append(f"| `{each.name}` | {each.metadata['probe']} | {answers} |")
    return "\n".join(lines)


def behaviours() -> str:
    """Return a table of what the lab models, with grade and source."""
    lines = ["| Behaviour | Grade | Source |", "| --- | --- | --- |"]
    lines += [
        f"| {each.name} | {each.grade.value} | {each.source} |" for each in sorted(graded(), key=lambda b: b.name)
    ]
    return "\n".join(lines)


def with_parts(text: str) -> str:
    """Return the document with its generated parts replaced."""
    for name, part in {"functions": functions(), "switches": switches(), "behaviours": behaviours()}.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{PATH.name} has no place for {name}")
        new = f"{begin}\n{part}\n{end}"
        text = pattern.sub(lambda _unused, new=new: new, text)  # type: ignore[misc]
    return text


def _function(function: Function) -> str:
    lines = [f"### {function.name}", "", f"{function.about}." + (" Changes the host." if function.changes else "")]
    if function.parameters:
        lines += ["", "| Parameter | Type |", "| --- | --- |"]
        lines += [f"| `{name}` | {_type(each)} |" for name, each in function.parameters.items()]
    for kind, members in function.output.items():
        told = ", ".join(f"`{name}` {member.value}" for name, member in members.items())
        lines += ["", f"Emits `{kind}`: {told}."]
    own = [error for error in function.errors if error not in COMMON_ERRORS]
    if own:
        lines += ["", "Errors: " + ", ".join(f"`{error}`" for error in own) + "."]
    return "\n".join(lines)


def _type(parameter: Parameter) -> str:
    notes = [parameter.type.value.replace("[]", " list") if parameter.type.value != "byte[]" else "bytes"]
    notes += [] if parameter.mandatory else ["optional"]
    notes += ["one of " + ", ".join(parameter.choices)] if parameter.choices else []
    notes += ["may be empty"] if parameter.may_be_empty else []
    return ", ".join(notes)


if __name__ == "__main__":
    PATH.write_text(with_parts(PATH.read_text(encoding="utf-8")), encoding="utf-8")
