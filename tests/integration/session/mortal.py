# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managers that die: ports that end their process, so to say, before or after a chosen call."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Site


class Killed(BaseException):
    """The process is gone: no clean-up follows, every later call fails as well."""


class Death:
    """Strikes at the ``nth`` call of a function of any port, before it is made or after it had its effect.

    ``instead`` is what happens then, where it is not the manager that dies.
    """

    def __init__(
        self, function: str = "", *, nth: int = 1, after: bool = False, instead: Callable[[], None] | None = None
    ) -> None:
        self._function = function
        self._nth = nth
        self._after = after
        self._instead = instead
        self._lock = threading.Lock()
        self.trace: list[str] = []
        self.struck = False

    def site(self, site: Site) -> Site:
        """Return the site with ports that die."""
        ports: dict[str, Any] = {
            "connect_host": lambda name: Mortal(site.connect_host(name), self),
            "connect_mover": lambda name: Mortal(site.connect_mover(name), self),
            "catalog": Mortal(site.catalog, self),
            "journal": Mortal(site.journal, self),
        }
        return replace(site, **ports)

    def counts(self) -> Counter[str]:
        return Counter(self.trace)

    def call(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        with self._lock:
            if self.struck and self._instead is None:
                raise Killed(name)
            self.trace.append(name)
            strikes = name == self._function and self.trace.count(name) == self._nth
            self.struck = self.struck or strikes
        if strikes and not self._after:
            self._strike(name)
        result = real(*arguments, **named)
        if strikes and self._after:
            self._strike(name)
        return result

    def _strike(self, name: str) -> None:
        if self._instead is None:
            raise Killed(name)
        self._instead()


class Mortal:
    """A port whose calls may be the last."""

    def __init__(self, port: Any, death: Death) -> None:
        self._port = port
        self._death = death

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found) or name == "close":
            return found
        return lambda *arguments, **named: self._death.call(name, found, arguments, named)
