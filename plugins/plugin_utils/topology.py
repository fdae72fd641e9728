# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""From inventory names to the topology of a session: where hosts and movers answer, and as whom to log in.

The inventory is the only registry. Variables have the names that Ansible users know from the psrp connection plugin;
what this collection adds begins with ``opendr_``. What holds passwords is kept apart, since only that needs hiding.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils._engine.adapters.psrp_settings import HostConnectionSettings
from ..module_utils._engine.errors import RequestError
from ..module_utils._engine.jobs import shown
from ..module_utils._engine.model.free_space import VARIABLE as FREE_SPACE
from ..module_utils._engine.model.free_space import parse_limits

MOVER_PORT = 7310
Variables = Mapping[str, t.Any]


@dataclass(frozen=True)
class Setting:
    """One setting of a connection and the variables it is taken from, the first that is set wins."""

    name: str
    variables: tuple[str, ...]
    convert: Callable[[t.Any], t.Any] = str


def _psrp(name: str, *others: str, convert: Callable[[t.Any], t.Any] = str) -> Setting:
    return Setting(name, (f"ansible_psrp_{name}", *others), convert)


def _flag(value: t.Any) -> bool:
    return bool(boolean(value))


def _as_it_is(value: t.Any) -> t.Any:
    return value


def _port(value: t.Any) -> int:
    port = int(value)
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port")
    return port


# What is not set is left out: the PSRP adapter has the defaults.
HOST_SETTINGS = (
    _psrp("user", "ansible_user"),
    _psrp("port", "ansible_port", convert=_port),
    _psrp("protocol"),
    _psrp("path"),
    _psrp("auth"),
    _psrp("cert_validation", convert=_as_it_is),
    _psrp("ca_cert", "ansible_psrp_cert_trust_path"),
    _psrp("configuration_name"),
    _psrp("message_encryption"),
    _psrp("certificate_pem"),
    _psrp("certificate_key_pem"),
    _psrp("connection_timeout", convert=int),
    _psrp("operation_timeout", convert=int),
    _psrp("read_timeout", convert=int),
    _psrp("reconnection_retries", convert=int),
    _psrp("reconnection_backoff", "ansible_psrp_connection_backoff", convert=float),
    _psrp("negotiate_delegate", convert=_flag),
    _psrp("negotiate_hostname_override"),
    _psrp("negotiate_send_cbt", convert=_flag),
    _psrp("negotiate_service"),
    _psrp("credssp_auth_mechanism"),
    _psrp("credssp_disable_tlsv1_2", convert=_flag),
    _psrp("credssp_minimum_version", convert=int),
    _psrp("ignore_proxy", convert=_flag),
)
ADDRESS = Setting("address", ("ansible_psrp_host", "ansible_host"))
PASSWORD = Setting(
    "password", ("ansible_psrp_password", "ansible_password", "ansible_winrm_password", "ansible_winrm_pass")
)
PROXY = _psrp("proxy")  # a secret: its URL may hold a password
MOVER_ADDRESS = Setting("address", ("opendr_mover_address", "ansible_host"))
MOVER_PORT_SETTING = Setting("port", ("opendr_mover_port",), _port)
SECRETS = {"passwords": PASSWORD, "proxies": PROXY}
MANAGER_FILES = (
    Setting("certificate", ("opendr_manager_certificate",)),
    Setting("key", ("opendr_manager_key",)),
    Setting("ca", ("opendr_manager_ca",)),
)


@dataclass(frozen=True)
class Topology:
    """``settings`` may be shown to anybody, ``secrets`` to nobody; both are plain values, ready for a module."""

    settings: dict[str, t.Any]
    secrets: dict[str, t.Any] = field(repr=False)


@dataclass(frozen=True)
class Inventory:
    """What a play knows of its hosts; ``hostvars`` templates a variable when it is asked for."""

    hostvars: Mapping[str, Variables]

    def topology(self, *, manager: str, hosts: Iterable[str], movers: Iterable[str]) -> Topology:
        """Describe everything that a session of these hosts and movers needs.

        Raises:
            RequestError: a name is not in the inventory (``host_unknown``), it lacks a variable (``variable_missing``),
                or a variable has a value that cannot be (``variable_invalid``, ``host_settings``).
        """
        names = list(dict.fromkeys(hosts))
        return Topology(
            settings={
                "manager": {"name": manager, **self._all_of(manager, MANAGER_FILES)},
                "hosts": {name: self._host(name) for name in names},
                "movers": {name: self._mover(name) for name in dict.fromkeys(movers)},
            },
            secrets={
                kind: {name: found for name in names if (found := self._secret(name, setting))}
                for kind, setting in SECRETS.items()
            },
        )

    def variables(self, name: str) -> Variables:
        """Return the variables of a host of the inventory."""
        self.require(name, option="")
        return self.hostvars[name]

    def require(self, name: str, *, option: str) -> None:
        """Refuse a host that is not in the inventory; ``option`` is the one that names it, empty when none does."""
        if name not in self.hostvars:
            raise RequestError(
                f"{f'option {option}:' if option else 'host'} {shown(name)} is not in the inventory",
                hint=f"add it to the inventory, or correct {option or 'the option that names it'}",
                reason="host_unknown",
            )

    def _host(self, name: str) -> dict[str, t.Any]:
        variables = self.variables(name)
        settings = {"address": _value(variables, ADDRESS, host=name) or name}
        for setting in HOST_SETTINGS:
            if (value := _value(variables, setting, host=name)) is not None:
                settings[setting.name] = value
        HostConnectionSettings.from_topology(name, settings, password=self._secret(name, PASSWORD))
        limits = parse_limits(variables.get(FREE_SPACE) or [], host=name)
        return {**settings, "free_space": [limit.as_dict() for limit in limits]} if limits else settings

    def _secret(self, name: str, setting: Setting) -> str:
        return _value(self.variables(name), setting, host=name) or ""

    def _mover(self, name: str) -> dict[str, t.Any]:
        variables = self.variables(name)
        port = _value(variables, MOVER_PORT_SETTING, host=name)
        address = _value(variables, MOVER_ADDRESS, host=name)
        return {"address": address or name, "port": MOVER_PORT if port is None else port}

    def _all_of(self, name: str, settings: Iterable[Setting]) -> dict[str, t.Any]:
        variables = self.variables(name)
        found = {}
        for setting in settings:
            found[setting.name] = _value(variables, setting, host=name)
            if found[setting.name] is None:
                raise _missing(name, setting.variables[0], "a file on the manager: role manager makes it")
        return found


def _value(variables: Variables, setting: Setting, *, host: str) -> t.Any:
    """Return a setting in its own type, None when no variable of it is set."""
    for variable in setting.variables:
        value = variables.get(variable)
        if value is None or value == "":
            continue
        try:
            return setting.convert(value)
        except (TypeError, ValueError) as error:
            raise RequestError(
                f"host {host}: {variable} is {value!r}, want {_KINDS.get(setting.convert, 'another value')}",
                hint=f"correct {variable} of {host} in the inventory",
                reason="variable_invalid",
            ) from error
    return None


_KINDS = {int: "a whole number", float: "a number", _flag: "yes or no", _port: "a port from 1 to 65535"}


def _missing(host: str, variable: str, meaning: str) -> RequestError:
    return RequestError(
        f"host {host} has no variable {variable}",
        hint=f"set {variable} for {host} in the inventory ({meaning})",
        reason="variable_missing",
    )
