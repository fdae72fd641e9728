# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Movers of a small site that die at a chosen place of their own and come back."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.lab.forked import ForkedMover
from ansible_collections.opendr.hyperv.tests.lab.places import KILLED, Place, serve_until
from ansible_collections.opendr.hyperv.tests.lab.site import mover_config

# How often these come depends on how fast the others are: they are walked once.
ENDLESS: Final = ("Status", "HELLO", "READY", "REQUEST", "REPLY")


class MoverWalk:
    """Gives a site movers that die; one dies at a place and is started again at once."""

    def __init__(self, site: WebSite) -> None:
        self._site = site
        self.movers: dict[str, ForkedMover] = {}
        for name, mover in site.movers.items():
            mover.stop()
            config = mover_config(site, site.files[name], name=name, serves=[name])
            # Durable after each unit, so that every unit is followed by a flush, the journal and a frame that says so.
            config = dataclasses.replace(config, timing=dataclasses.replace(config.timing, flush=0.0))
            forked = ForkedMover(config, log=site.folder / f"{name}.log", serve=serve_until)
            self.movers[name] = site.movers[name] = forked.start(trace=str(self._trace(name)), place=None)

    def _trace(self, name: str) -> Path:
        return self._site.folder / f"{name}.trace"

    def restart(self, name: str, place: Place | None = None) -> None:
        """Kill a mover and start it; it will die at ``place``."""
        self.movers[name].kill()
        self.movers[name].start(trace=str(self._trace(name)), place=place)

    def dying(self, name: str, run: Callable[[], Any], *, place: Place) -> tuple[Any, bool]:
        """Run something while a mover dies at a place and comes back; tell the result, and whether it died."""
        self.restart(name, place)
        struck = threading.Event()
        over = threading.Event()

        def watch() -> None:
            while not over.is_set():
                if self.movers[name].wait(0.02) == KILLED:
                    struck.set()
                    self.restart(name)
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            return run(), struck.is_set()
        finally:
            over.set()
            watcher.join()

    def trace(self, name: str) -> list[str]:
        return self._trace(name).read_text().splitlines()


def places(trace: Iterable[str], *, every: bool) -> list[Place]:
    """Return where a mover can die; without ``every``: the first and the last place of each kind."""
    seen = Counter(trace)
    found = []
    for name, count in seen.items():
        once = name.rpartition(" ")[2] in ENDLESS
        numbers = {1} if once else set(range(1, count + 1)) if every else {1, count}
        found += [Place(name, nth) for nth in sorted(numbers)]
    return found
