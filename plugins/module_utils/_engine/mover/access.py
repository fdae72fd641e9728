# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Which files a mover may touch: host path prefixes mapped to folders of its own. Everything else is refused.

A rule says that files of a host below a Windows path (``D:\\VMs`` or ``\\\\server\\share\\VMs``) are found below a
local folder. The longest prefix that matches counts. The result is the real path, links followed, and lies below the
rule's real folder.
"""

from __future__ import annotations

import ntpath
import os
import re
from dataclasses import dataclass
from typing import Final

from ..adapters import files
from ..errors import RequestError
from ..machines import HostPath

# What no file name on Windows has: a colon would name an alternate stream, a trailing dot or space is dropped silently.
FORBIDDEN: Final = re.compile(r'[<>:"/|?*\x00-\x1f]|[. ]$')
DEVICE: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Files of ``host`` below ``prefix`` are below ``root`` here; ``writable`` allows targets there."""

    host: str
    prefix: str
    root: str
    writable: bool

    def covers(self, path: HostPath) -> bool:
        return path.host == self.host and path.is_under(self.prefix)

    def local(self, path: HostPath) -> str:
        """Map a path that the rule covers. Raises RequestError for names that are no names of files."""
        depth = len(_parts(self.prefix))
        names = _parts(path.path)[depth:]
        for name in names:
            if FORBIDDEN.search(name) or DEVICE.fullmatch(name):
                raise RequestError(f"{path}: {name!r} is no name of a file", reason="path_invalid")
        return os.path.join(self.root, *names)


class AccessMap:
    """All rules of a mover."""

    def __init__(self, rules: tuple[AccessRule, ...]) -> None:
        self._rules = sorted(rules, key=lambda rule: len(rule.prefix), reverse=True)

    @property
    def roots(self) -> tuple[str, ...]:
        """Return what it serves, ``host:prefix``."""
        return tuple(sorted(f"{rule.host}:{rule.prefix}" for rule in self._rules))

    def resolve(self, path: HostPath, *, write: bool) -> str:
        """Return the real local path.

        Raises RequestError, reason ``path_not_served``, ``path_read_only``, ``path_invalid`` or ``path_outside``.
        """
        rule = next((rule for rule in self._rules if rule.covers(path)), None)
        if rule is None:
            raise RequestError(
                f"this mover does not serve {path}",
                hint=f"it serves {', '.join(self.roots) or 'nothing'}; add an access rule or choose another proxy",
                reason="path_not_served",
            )
        if write and not rule.writable:
            raise RequestError(
                f"this mover may only read {path}", hint=f"allow writing below {rule.prefix}", reason="path_read_only"
            )
        return files.resolve_inside(rule.root, rule.local(path))


def _parts(path: str) -> list[str]:
    return [part for part in ntpath.normpath(path).split("\\") if part]
