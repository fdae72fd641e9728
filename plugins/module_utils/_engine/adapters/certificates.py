# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Until when certificates are valid, also those that are not valid any more.

An expired certificate ends the handshake before anybody could read its dates. So it is looked at once more without
regard to time; nothing is ever sent over such a connection.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

from ..model.naming import readable_time

NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module does not name


def regardless_of_time(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context accept certificates that are expired or not valid yet, to look at them."""
    context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    return context


def end_of(certificate: Mapping[str, Any]) -> float:
    """Return until when a certificate is valid, in seconds since 1970."""
    return float(ssl.cert_time_to_seconds(str(certificate["notAfter"])))


def validity(certificate: Mapping[str, Any] | None) -> str:
    """Say until when a certificate is valid, as a part of a sentence; empty when it could not be looked at."""
    if not certificate:
        return ""
    return f", valid until {readable_time(end_of(certificate))}"


def shown_at(address: tuple[str, int], context: ssl.SSLContext, *, timeout: float) -> Mapping[str, Any] | None:
    """Return the certificate that a server shows, None when nothing can be seen. The context is changed."""
    context.check_hostname = False
    try:
        with (
            socket.create_connection(address, timeout=timeout) as connected,
            regardless_of_time(context).wrap_socket(connected) as tls,
        ):
            return tls.getpeercert()
    except OSError:
        return None
