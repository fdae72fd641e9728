# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""How to reach the endpoint of one Hyper-V host.

The words are those of Ansible's psrp connection plugin, so that ``ansible_psrp_*`` host variables carry over unchanged:
docs/design/host_connection.md. There is no way to switch off the verification of certificates, and no plain HTTP.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from ..errors import RequestError

AUTHENTICATIONS: Final = ("basic", "certificate", "credssp", "kerberos", "negotiate", "ntlm")
_WITH_PASSWORD: Final = ("basic", "credssp", "negotiate", "ntlm")
_DECIDED_HERE: Final = ("protocol", "cert_validation", "message_encryption")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConnectionSettings:
    """``name`` is the inventory name, for messages; ``address`` is where the host answers. Times are in seconds.

    Raises:
        RequestError: a value is impossible; names the host variable to change.
    """

    name: str
    address: str
    user: str = ""
    password: str = field(default="", repr=False)
    port: int = 5986
    path: str = "wsman"
    auth: str = "kerberos"
    ca_cert: str = ""  # PEM file; empty: the authorities that the system trusts
    certificate_pem: str = ""
    certificate_key_pem: str = ""
    configuration_name: str = "HvReplication"
    connection_timeout: int = 10
    operation_timeout: int = 20
    read_timeout: int = 30
    reconnection_retries: int = 4
    reconnection_backoff: float = 2.0
    negotiate_delegate: bool = False
    negotiate_hostname_override: str = ""
    negotiate_send_cbt: bool = True
    negotiate_service: str = "host"
    credssp_auth_mechanism: str = "auto"
    credssp_disable_tlsv1_2: bool = False
    credssp_minimum_version: int = 5
    proxy: str = field(default="", repr=False)  # its URL may hold a password
    ignore_proxy: bool = True  # of the environment

    def __post_init__(self) -> None:
        if self.auth not in AUTHENTICATIONS:
            raise self._wrong("auth", f"is not one of {', '.join(AUTHENTICATIONS)}")
        if self.auth in _WITH_PASSWORD:
            self._require_credentials()
        if self.auth == "certificate" and not (self.certificate_pem and self.certificate_key_pem):
            raise self._wrong("certificate_pem", "and ansible_psrp_certificate_key_pem must be set")
        if not 0 < self.operation_timeout < self.read_timeout:
            raise self._wrong("operation_timeout", f"must be below ansible_psrp_read_timeout ({self.read_timeout})")

    @classmethod
    def from_topology(
        cls, name: str, values: Mapping[str, object], *, password: str = "", proxy: str = ""
    ) -> HostConnectionSettings:
        """Build from the plain values that the topology holds for a host; ``password`` and ``proxy`` are its secrets.

        Raises:
            RequestError: an unknown word, a value of the wrong type, or a way round encryption and verification.
        """
        known = {f.name: f for f in fields(cls) if f.name not in {"name", "password", "proxy"}}
        chosen: dict[str, object] = {}
        for word, value in values.items():
            if word in _DECIDED_HERE:
                problem = _weakens(word, value)
            elif word not in known:
                problem = "is not a setting of a host connection"
            else:
                problem = _mistyped(value, str(known[word].type))
                chosen[word] = value
            if problem:
                raise _wrong(name, f"{word}={value!r} {problem}", word=word)
        address = str(chosen.pop("address", name))
        return cls(name=name, address=address, password=password, proxy=proxy, **chosen)  # type: ignore[arg-type]

    def _require_credentials(self) -> None:
        credentials = {"ansible_user": self.user, "ansible_password": self.password}
        missing = [variable for variable, value in credentials.items() if not value]
        if missing:
            raise RequestError(
                f"host {self.name}: {' and '.join(missing)} must be set for authentication {self.auth}",
                hint=f"set {' and '.join(missing)} for {self.name} in the inventory; an empty value does not count",
                reason="host_settings",
            )

    @property
    def where(self) -> str:
        """The host, as messages name it."""
        return f"host {self.name} ({self.address}:{self.port})"

    def check_files(self) -> None:
        """Look into the certificate files, since the HTTP library is vague about them. Raises RequestError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_cert:
            try:
                context.load_verify_locations(self.ca_cert)
            except OSError as error:
                raise self._wrong("ca_cert", f"is no file of PEM certificates: {error}") from error
        if self.auth == "certificate":
            for word in ("certificate_pem", "certificate_key_pem"):
                if not Path(getattr(self, word)).is_file():
                    raise self._wrong(word, "is no file")
            try:
                context.load_cert_chain(
                    self.certificate_pem, self.certificate_key_pem, password=lambda: ""
                )  # never ask the terminal
            except OSError as error:
                raise self._wrong("certificate_pem", f"and its key cannot be used: {error}") from error

    def wsman_arguments(self) -> dict[str, object]:
        """Return what pypsrp's WSMan takes; its own retries are off, this package has better ones."""
        return {
            "server": self.address,
            "port": self.port,
            "username": self._credential(self.user),
            "password": self._credential(self.password),
            "ssl": True,
            "path": self.path,
            "auth": self.auth,
            "cert_validation": self.ca_cert or True,
            "connection_timeout": self.connection_timeout,
            "operation_timeout": self.operation_timeout,
            "read_timeout": self.read_timeout,
            "reconnection_retries": 0,
            "proxy": self.proxy or None,
            "no_proxy": self.ignore_proxy,
            "certificate_pem": self.certificate_pem or None,
            "certificate_key_pem": self.certificate_key_pem or None,
            "negotiate_delegate": self.negotiate_delegate,
            "negotiate_hostname_override": self.negotiate_hostname_override or None,
            "negotiate_send_cbt": self.negotiate_send_cbt,
            "negotiate_service": self.negotiate_service,
            "credssp_auth_mechanism": self.credssp_auth_mechanism,
            "credssp_disable_tlsv1_2": self.credssp_disable_tlsv1_2,
            "credssp_minimum_version": self.credssp_minimum_version,
        }

    def _credential(self, value: str) -> str | bytes | None:
        """Return bytes for Basic: requests would encode text as Latin-1, and WinRM reads UTF-8."""
        return (value.encode() if self.auth == "basic" else value) or None

    def _wrong(self, word: str, problem: str) -> RequestError:
        return _wrong(self.name, f"{word}={getattr(self, word)!r} {problem}", word=word)


def _wrong(host: str, problem: str, *, word: str) -> RequestError:
    return RequestError(
        f"host {host}: ansible_psrp_{problem}",
        hint=f"correct the variable ansible_psrp_{word} of {host} in the inventory",
        reason="host_settings",
    )


def _weakens(word: str, value: object) -> str:
    """Return why a word that is decided here cannot have a value; the strict value may be written down."""
    if word == "protocol" and value != "https":
        return "is not possible: hosts are reached over HTTPS only"
    if word == "cert_validation" and value not in {"validate", True}:
        return "is not possible: put the certificate of the host into ansible_psrp_ca_cert"
    return ""


def _mistyped(value: object, wanted: str) -> str:
    types: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
    if isinstance(value, types[wanted]) and (wanted == "bool" or not isinstance(value, bool)):
        return ""
    return f"is not of type {wanted}"
