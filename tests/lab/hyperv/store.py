# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state on disk: one JSON file, replaced as a whole at each change, so that a kill at any moment loses nothing."""

from __future__ import annotations

import json
import os
import types
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import State


class Store:
    """Reads and writes ``state.json`` of a lab folder.

    A write is not flushed to the device: the lab survives the death of its process, not of its machine.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"

    def load(self) -> State | None:
        """Return what was saved last, or None in a new folder."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        loaded: State = build(State, data)
        return loaded

    def save(self, state: State) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
        os.replace(temporary, self._path)


def build(wanted: Any, value: Any) -> Any:
    """Rebuild a value of type ``wanted`` from what JSON made of it."""
    if is_dataclass(wanted):
        hints = get_type_hints(wanted)
        known = {each.name for each in fields(wanted)}
        return wanted(**{name: build(hints[name], each) for name, each in value.items() if name in known})  # type: ignore[operator]
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is list:
        return [build(arguments[0], each) for each in value]
    if origin is dict:
        return {key: build(arguments[1], each) for key, each in value.items()}
    if origin in {Union, types.UnionType}:
        return None if value is None else build(next(a for a in arguments if a is not type(None)), value)
    return value
