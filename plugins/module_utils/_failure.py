# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""How an engine error looks as the result of a task. Nothing else, so that the lightest module may import it."""

from __future__ import annotations

import typing as t

from ._engine import errors


def failure(error: errors.EngineError) -> dict[str, t.Any]:
    """Return the result of a failed task: a sentence for people, and ``failure`` for ``rescue``."""
    shown = error.as_dict()
    return {"msg": sentence(shown), "failure": shown}


def sentence(error: t.Mapping[str, t.Any]) -> str:
    """Say what is wrong and what to do about it; ``error`` has the form of ``EngineError.as_dict()``."""
    return errors.sentence(str(error["message"]), str(error["hint"]))
