# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of a small site that die: before or after a call, and before each write of their own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.hypervisor import PsrpHypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import TransportError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.ports import Hypervisor
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.services.replicate.site import Site
from ansible_collections.opendr.hyperv.tests.integration.session.conftest import WebSite
from ansible_collections.opendr.hyperv.tests.lab.direct_host import CurrentFront, DirectHost
from ansible_collections.opendr.hyperv.tests.lab.hyperv.disk_files import DiskFile
from ansible_collections.opendr.hyperv.tests.lab.hyperv.fences import Fences
from ansible_collections.opendr.hyperv.tests.lab.hyperv.lab import Lab
from ansible_collections.opendr.hyperv.tests.lab.hyperv.shadows import Shadows
from ansible_collections.opendr.hyperv.tests.lab.hyperv.volumes import Volumes
from ansible_collections.opendr.hyperv.tests.lab.places import Place
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import HostError, Notice, Row

WRITES: tuple[tuple[type, str], ...] = (
    (Lab, "commit"),
    (DiskFile, "write"),
    (DiskFile, "resize"),
    (Volumes, "write_text"),
    (Volumes, "remove_file"),
    (Shadows, "freeze"),
    (Fences, "_save"),
)


class MortalHost:
    """Lets one host die at a place and begin again from its folder; whoever had called it has lost the answer."""

    def __init__(self, site: WebSite, name: str, place: Place | None = None) -> None:
        self._site = site
        self._name = name
        self._place = place
        self._fallen = False
        self.trace: list[str] = []

    @property
    def struck(self) -> bool:
        return self._place is not None and self.trace.count(self._place.name) >= self._place.nth

    def between(self, ports: Site) -> Site:
        """Return the ports of a manager with the way to this host."""

        def connect(name: str) -> Hypervisor:
            if name != self._name:
                return ports.connect_host(name)
            return PsrpHypervisor(DirectHost(name, MortalFront(self, CurrentFront(self._site.fronts, name))))

        return replace(ports, connect_host=connect)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Count the host's own writes until the block ends."""
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in WRITES:
                patch.setattr(owner, name, self._counted(owner, name))
            patch.setattr(threading, "excepthook", silence_death(threading.excepthook))
            yield
            self._site.source.wait_until(self._is_settled, "the last merges")

    def _is_settled(self) -> bool:
        self.rise()
        try:
            return all(control.call("lab.settle") for control in (self._site.source, self._site.target))
        except SystemExit:
            return False

    def _counted(self, owner: type, name: str) -> Callable[..., Any]:
        real = getattr(owner, name)

        def write(which: Any, *given: Any, **named: Any) -> Any:
            if folder_of(which).is_relative_to(self._site.folder / self._name):
                self.reach(f"{owner.__name__}.{name}")
            return real(which, *given, **named)

        return write

    def reach(self, name: str) -> None:
        """Note that the host does something. Raises SystemExit, which ends a thread, when it was the last thing."""
        if self._fallen:
            raise SystemExit
        self.trace.append(name)
        place = self._place
        if place is not None and place.name == name and self.trace.count(name) == place.nth:
            self._fallen = True
            raise SystemExit

    def rise(self) -> bool:
        """Begin again after a death; tell whether there was one."""
        if not self._fallen:
            return False
        self._site.stop_host(self._name)
        self._fallen = False
        self._site.start_host(self._name)
        return True


def silence_death(hook: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Let the threads of a host that dies end without a word."""

    def told(given: Any) -> None:
        if given.exc_type is not SystemExit:
            hook(given)

    return told


def folder_of(which: Any) -> Path:
    """Return a place in the folder of the host that something belongs to."""
    if isinstance(which, Fences):
        return which._path
    if isinstance(which, DiskFile):
        which = which._volumes
    return Path(which.folder if isinstance(which, Lab) else which._folder)


class MortalFront:
    """A ContractServer whose host may die."""

    def __init__(self, host: MortalHost, front: CurrentFront) -> None:
        self._host = host
        self._front = front

    def dispatch(
        self, function: str, parameters: Mapping[str, object], *, user: str
    ) -> Iterator[Row | HostError | Notice]:
        host = self._host
        try:
            host.reach(f"before {function}")
            rows = list(self._front.dispatch(function, parameters, user=user))
            host.reach(f"after {function}")
        except SystemExit:
            host.rise()
            raise TransportError(f"connection lost in {function}") from None
        return iter(rows)


def places(trace: list[str], *, every: bool) -> list[Place]:
    """Return where a host can die. Without ``every``: of what only looks, and of writes in a row, one."""
    seen: Counter[str] = Counter()
    found = []
    for name in trace:
        seen[name] += 1
        looks = " Get-" in name or " Find-" in name
        if seen[name] == 1 or (not looks and (every or not name.startswith("DiskFile"))):
            found.append(Place(name, seen[name]))
    return found
