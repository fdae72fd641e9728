# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who calls: Basic, Negotiate (NTLM) and client certificates, as WinRM takes them over TLS.

WinRM authenticates a Negotiate *connection*, Basic and certificates with every request. Source: [MS-WSMV] 2.2.1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import spnego
import spnego.channel_bindings
import spnego.exceptions
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

CERTIFICATE_HEADER: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
CHALLENGES: Final = ("Negotiate", 'Basic realm="WSMAN"')
_PRINCIPAL_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_environment_lock = threading.Lock()  # pyspnego finds the accounts by an environment variable of the process


class AccessRefused(Exception):
    """The caller is not who he says he is; the answer is 401."""


@dataclass
class Connection:
    """What is known about one TCP connection."""

    user: str = ""  # set by Negotiate for the rest of the connection
    handshake: Any = None


class Authenticator:
    """Knows the accounts of one host. ``certificate`` is the server's own, for channel binding."""

    def __init__(self, users: Mapping[str, str], *, certificate: Path) -> None:
        self._users = {name.lower(): password for name, password in users.items()}
        der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
        self._binding = b"tls-server-end-point:" + hashlib.sha256(der).digest()

    def check(self, connection: Connection, header: str, *, certificate: bytes | None) -> tuple[str, str]:
        """Return the user, and the token to answer with; one of them may be empty.

        Raises:
            AccessRefused: wrong credentials.
        """
        if header == CERTIFICATE_HEADER:
            return self._by_certificate(certificate), ""
        scheme, _space, token = header.partition(" ")
        try:
            data = base64.b64decode(token, validate=True)
        except binascii.Error as error:
            raise AccessRefused("the token is not base64") from error
        if scheme.lower() == "basic":
            return self._by_password(data), ""
        if scheme.lower() == "negotiate":
            answer = self._negotiate(connection, data)
            return connection.user, f"Negotiate {base64.b64encode(answer).decode()}"
        raise AccessRefused(f"scheme {scheme} is not offered")

    def _by_password(self, data: bytes) -> str:
        user, _colon, password = data.decode("utf-8", "replace").partition(":")
        expected = self._users.get(user.lower())
        if expected is None or not hmac.compare_digest(expected.encode(), password.encode()):
            raise AccessRefused("wrong user name or password")
        return user

    def _by_certificate(self, certificate: bytes | None) -> str:
        """Map a certificate (TLS has verified it) by its principal name, ``user@localhost``, to a local account."""
        if certificate is None:
            raise AccessRefused("no client certificate")
        user = _principal_name(x509.load_der_x509_certificate(certificate)).partition("@")[0]
        if user.lower() not in self._users:
            raise AccessRefused("the client certificate is not mapped to an account")
        return user

    def _negotiate(self, connection: Connection, token: bytes) -> bytes:
        """Take one step of a handshake. The accounts lie in a file for that long only: a killed lab leaves none."""
        with _environment_lock, tempfile.NamedTemporaryFile("w", prefix="opendr-lab-", encoding="utf-8") as accounts:
            accounts.writelines(f":{user}:{password}\n" for user, password in self._users.items())
            accounts.flush()
            before = os.environ.get("NTLM_USER_FILE")
            os.environ["NTLM_USER_FILE"] = accounts.name
            try:
                return self._step(connection, token)
            except spnego.exceptions.SpnegoError as error:
                connection.handshake = None
                raise AccessRefused(str(error)) from error
            finally:
                if before is None:
                    del os.environ["NTLM_USER_FILE"]
                else:
                    os.environ["NTLM_USER_FILE"] = before

    def _step(self, connection: Connection, token: bytes) -> bytes:
        if connection.handshake is None:
            connection.user = ""
            connection.handshake = spnego.server(
                service="host",
                protocol="negotiate",
                channel_bindings=spnego.channel_bindings.GssChannelBindings(application_data=self._binding),
                options=spnego.NegotiateOptions.use_negotiate,
            )
        answer: bytes = connection.handshake.step(token) or b""
        if connection.handshake.complete:
            connection.user = str(connection.handshake.client_principal).rpartition("\\")[2]
            connection.handshake = None
        return answer


def _principal_name(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    for name in names.get_values_for_type(x509.OtherName):
        if name.type_id == _PRINCIPAL_NAME:
            return name.value[2:].decode()  # a DER UTF8String of less than 128 bytes: tag, length, text
    return ""
