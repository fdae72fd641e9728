# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Configuration of a mover: one JSON file. Source: docs/design/mover_protocol.md, "Configuration"."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Final

from ..adapters import files
from ..adapters.tls import Patience, TlsFiles
from ..errors import RequestError
from ..units import MiB
from ..wire.plain import from_plain
from .access import AccessMap, AccessRule

FILE_MAX: Final = 1 * MiB


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in seconds; tests make them short."""

    reconnect_interval: float = 15.0
    reconnect_limit: float = 30 * 60.0  # without a connection for so long the source gives up
    heartbeat: float = 10.0
    silence: float = 60.0
    connect: float = 10.0
    flush: float = 5.0  # the target makes its work durable at least so often

    @property
    def patience(self) -> Patience:
        return Patience(connect=self.connect, silence=self.silence, heartbeat=self.heartbeat)


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One rule as it stands in the file; ``access`` is ``read`` or ``write``."""

    host: str
    prefix: str
    root: str
    access: str


@dataclass(frozen=True, slots=True)
class MoverConfig:
    """What a mover is started with."""

    name: str
    listen: tuple[str, int]  # port 0: any free one
    tls: TlsFiles
    access: tuple[AccessEntry, ...]
    state_folder: str
    timing: Timing

    @classmethod
    def load(cls, path: str) -> MoverConfig:
        """Read and check the file. Raises RequestError that names what is wrong."""
        try:
            plain = json.loads(files.read_small(path, limit=FILE_MAX))
            timing = {field.name: field.default for field in fields(Timing)}
            plain["timing"] = {**timing, **plain.get("timing", {})}
            config = from_plain(cls, plain)
        except (ValueError, TypeError, AttributeError) as error:
            raise RequestError(f"{path}: {error}", reason="config_invalid") from error
        for entry in config.access:
            if entry.access not in ("read", "write"):
                raise RequestError(f"{path}: access {entry.access!r}, want read or write", reason="config_invalid")
        return config

    def access_map(self) -> AccessMap:
        rules = (AccessRule(e.host, e.prefix, e.root, writable=e.access == "write") for e in self.access)
        return AccessMap(tuple(rules))
