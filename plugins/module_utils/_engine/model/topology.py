# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The topology of a session: what a worker is told over its standard input. Shape: docs/design/session.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from ..errors import RequestError
from ..jobs import JobSpec
from ..reports import Kind
from ..verification import VerifySpec
from .free_space import FreeSpaceLimit, parse_limits

FORMAT: Final = 1
SIZE_MAX: Final = 4 * 1024 * 1024  # bytes
_OPTIONAL: Final = {"catalog_url", "limits", "task"}
_REQUIRED: Final = {"format", "session_id", "state_dir", "job", "manager", "hosts", "movers", "secrets"}


@dataclass(frozen=True, slots=True)
class ManagerFiles:
    """The manager's name and the PEM files that it shows to movers."""

    name: str
    certificate: str
    key: str
    ca: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that a session is told. ``hosts`` keeps the plain settings, its adapter checks them."""

    session_id: UUID
    state_dir: str
    catalog_url: str | None = field(repr=False)  # it may hold a password
    job: JobSpec
    manager: ManagerFiles
    hosts: Mapping[str, Mapping[str, object]]
    free_space: Mapping[str, Sequence[FreeSpaceLimit]]  # by host
    movers: Mapping[str, tuple[str, int]]
    passwords: Mapping[str, str] = field(repr=False)
    proxies: Mapping[str, str] = field(repr=False)  # URLs by host, with the user and password of the proxy
    limits: Mapping[str, float] = field(default_factory=dict)
    verify: VerifySpec | None = None  # None: replicate

    @property
    def kind(self) -> Kind:
        return Kind.REPLICATE if self.verify is None else Kind.VERIFY

    @classmethod
    def parse(cls, data: bytes) -> Topology:
        """Decode and check. Raises RequestError; no message shows a value that could be secret."""
        if len(data) > SIZE_MAX:
            raise _bad(f"is longer than {SIZE_MAX} bytes")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise _bad("is not JSON") from None
        plain = _map(value, "")
        unknown, missing = set(plain) - _REQUIRED - _OPTIONAL, _REQUIRED - set(plain)
        if unknown or missing:
            raise _bad(f"lacks {sorted(missing)}, has unknown {sorted(unknown)}")
        if plain["format"] != FORMAT:
            raise _bad(f"has another format than {FORMAT}")
        job = JobSpec.from_dict(_map(plain["job"], "job"))
        hosts, secrets = _map(plain["hosts"], "hosts"), _map(plain["secrets"], "secrets")
        url = plain.get("catalog_url")
        return cls(
            session_id=_uuid(plain["session_id"]),
            state_dir=_text(plain, "state_dir"),
            catalog_url=None if url is None else _text(plain, "catalog_url"),
            job=job,
            manager=_manager(_map(plain["manager"], "manager")),
            hosts=_hosts(hosts, job=job),
            free_space={
                name: parse_limits(_map(host, name).get("free_space", []), host=name) for name, host in hosts.items()
            },
            movers=_movers(_map(plain["movers"], "movers"), job=job),
            passwords=_words(secrets, "passwords"),
            proxies=_words(secrets, "proxies"),
            limits=_limits(_map(plain.get("limits") or {}, "limits")),
            verify=_task(plain.get("task")),
        )


def _task(value: object) -> VerifySpec | None:
    if value is None:
        return None
    plain = dict(_map(value, "task"))
    if plain.pop("kind", None) != Kind.VERIFY.value or set(plain) - {"mode", "sample_percent", "seed"}:
        raise _bad("has an unknown task")
    return VerifySpec.from_dict(plain)


def _manager(plain: Mapping[str, object]) -> ManagerFiles:
    return ManagerFiles(*(_text(plain, name) for name in ("name", "certificate", "key", "ca")))


def _hosts(plain: Mapping[str, object], *, job: JobSpec) -> dict[str, Mapping[str, object]]:
    for option, name in (("source_host", job.source_host), ("target_host", job.target_host)):
        if name not in plain:
            raise _unknown(option, name)
    return {name: connection_of(_map(settings, name)) for name, settings in plain.items()}


def connection_of(host: Mapping[str, object]) -> dict[str, object]:
    """Return what is left of the settings of a host for its connection."""
    return {word: value for word, value in host.items() if word != "free_space"}


def _movers(plain: Mapping[str, object], *, job: JobSpec) -> dict[str, tuple[str, int]]:
    for option, names in (("source_proxies", job.source_movers), ("target_proxies", job.target_movers)):
        for name in names:
            if name not in plain:
                raise _unknown(option, name)
    return {name: _address(_map(settings, name)) for name, settings in plain.items()}


def _address(plain: Mapping[str, object]) -> tuple[str, int]:
    port = plain.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
        raise _bad("has a mover without a port from 1 to 65535")
    return _text(plain, "address"), port


def _words(secrets: Mapping[str, object], name: str) -> dict[str, str]:
    return {host: str(word) for host, word in _map(secrets.get(name, {}), name).items()}


def _limits(plain: Mapping[str, object]) -> dict[str, float]:
    found = {}
    for name, value in plain.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
            raise _bad(f"has limit {name} that is no positive number")
        found[name] = value
    return found


def _unknown(option: str, name: str) -> RequestError:
    return RequestError(
        f"option {option}: {name!r} is not in the topology",
        hint="add it to the inventory, or correct the option",
        reason=f"{option}_unknown",
    )


def _map(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _bad(f"{name} is no object".strip())
    return value


def _text(plain: Mapping[str, object], name: str) -> str:
    value = plain.get(name)
    if not isinstance(value, str) or not value:
        raise _bad(f"has no text {name}")
    return value


def _uuid(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise _bad("has a session_id that is no UUID") from None


def _bad(what: str) -> RequestError:
    return RequestError(
        f"the topology {what}",
        hint="start sessions with the action plugin of the same version of the collection",
        reason="topology_invalid",
    )
