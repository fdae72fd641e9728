# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One JSON object a line: what the control socket speaks. Bytes travel as ``{"base64": ...}``."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

SOCKET_NAME = "control.sock"


def encode(message: object) -> bytes:
    """Return one line."""
    return json.dumps(message, default=_plain).encode("utf-8") + b"\n"


def decode(line: bytes) -> Any:
    """Return the message of one line. Raises ValueError."""
    return json.loads(line, object_hook=_rich)


def socket_address(descriptor: int) -> str:
    """Return a short address of the socket in an open folder: the paths of Unix sockets end at 108 bytes."""
    return f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, UUID | Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} does not travel")


def _rich(value: dict[str, Any]) -> object:
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value
