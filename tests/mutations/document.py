# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of rules in docs/design/session.md: ``python -m ...tests.mutations.document``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ansible_collections.opendr.hyperv.tests.mutations.table import MUTATIONS

PATH: Final = Path(__file__).resolve().parents[2] / "docs/design/session.md"
BEGIN, END = "<!-- begin rules -->\n", "<!-- end rules -->"


def rules() -> str:
    """Return the table: rule, where it is, and the test that breaks without it."""
    lines = ["| Rule | Code | Test that breaks without it |", "| --- | --- | --- |"]
    lines += [f"| {each.rule} | `{each.file}` | `{each.test}` |" for each in MUTATIONS]
    return "\n".join(lines) + "\n"


def with_rules(text: str) -> str:
    """Return the document with the present table."""
    before, _begin, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}{rules()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PATH.write_text(with_rules(PATH.read_text(encoding="utf-8")), encoding="utf-8")
