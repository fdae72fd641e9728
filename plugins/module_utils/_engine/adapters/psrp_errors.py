# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Errors of pypsrp and of what lies below it, as errors of the engine with the way out.

They have no common base: requests and urllib3, ssl, spnego and its mechanisms, pypsrp's own, and PSRP records.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import ParseError

from ..errors import EngineError, HypervisorError, PeerError, TransportError
from ..libraries import missing
from .certificates import shown_at, validity
from .psrp_settings import HostConnectionSettings

try:
    import requests
    import spnego.exceptions
    from pypsrp import exceptions as pypsrp_exceptions
    from urllib3 import exceptions as urllib3_exceptions
except ImportError:
    requests = spnego = pypsrp_exceptions = None
    urllib3_exceptions = None  # type: ignore[assignment]

# Fault codes of WS-Management. Source: wsmerror.h of the Windows SDK.
NO_SHELL: Final = 2150858843
QUOTAS: Final = {2150859173: "shells", 2150859174: "operations", 2150859074: "commands"}
_NO_ENDPOINT: Final = 2150858752
_ACCESS_DENIED: Final = 5

_OLD_MODULE: Final = "install the module of this version on the host with role opendr.hyperv.hyperv_host"
_BINDER_IDS: Final = (
    "AmbiguousParameter",
    "MissingMandatoryParameter",
    "NamedParameterNotFound",
    "ParameterArgumentTransformationError",
    "ParameterArgumentValidationError",
    "PositionalParameterNotFound",
)


def is_fault(error: BaseException, *codes: int) -> bool:
    """Tell whether an error is a WS-Management fault with one of these codes."""
    return isinstance(error, pypsrp_exceptions.WSManFaultError) and error.code in codes


def is_busy(error: BaseException) -> bool:
    """Tell whether the web server turned the request away unread: it may be sent again, whatever it is."""
    return isinstance(error, pypsrp_exceptions.WinRMTransportError) and error.code in {429, 503}


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the answer may yet come when the same bytes are sent again."""
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return False
    return isinstance(error, requests.ConnectionError | requests.Timeout)


def foreign_errors() -> tuple[type[BaseException], ...]:
    """Return the classes that ``translate`` knows; a ValueError is pypsrp's way to complain of what it read."""
    return (
        requests.RequestException,
        pypsrp_exceptions.WinRMError,
        spnego.exceptions.SpnegoError,
        ImportError,
        OSError,
        ParseError,
        ValueError,
        KeyError,
        TypeError,
    )


def translate(error: BaseException, settings: HostConnectionSettings) -> EngineError:
    """Return the engine's error for a foreign one; the caller raises it ``from`` the original."""
    if isinstance(error, ImportError):
        return missing(f"pypsrp[{settings.auth}]")
    if isinstance(error, pypsrp_exceptions.AuthenticationError | spnego.exceptions.SpnegoError):
        return _access_denied(settings, str(error))
    if isinstance(error, pypsrp_exceptions.WSManFaultError):
        return _fault(error, settings)
    if isinstance(error, pypsrp_exceptions.WinRMTransportError):
        return _http(error, settings)
    if isinstance(error, OSError):  # requests' errors are OSErrors too
        return _network(error, settings)
    # Text that is not known to be harmless is not told: that of a UnicodeError, for one, may quote the password.
    detail = f": {error}" if isinstance(error, ParseError | pypsrp_exceptions.WinRMError) else ""
    return PeerError(f"{settings.where} does not keep to PSRP: {type(error).__name__}{detail}", reason="psrp")


def refused(function: str, record: Any, *, host: str) -> HypervisorError:
    """Return the error for a PowerShell error record. Its text may be in the host's language, its id is stable."""
    error_id = str(record.fq_error or "").partition(",")[0]
    reason, hint = "", ""
    if error_id == "CommandNotFoundException":
        reason, hint = "function_missing", f"{_OLD_MODULE}, or give the account the role for it"
    elif error_id.startswith(_BINDER_IDS):
        reason, hint = "contract_mismatch", _OLD_MODULE
    return HypervisorError(
        f"host {host}: {function}: {_text(record)} ({error_id})",
        function=function,
        error_id=error_id,
        reason=reason,
        hint=hint,
    )


def _text(record: Any) -> str:
    text = str(record).strip()
    return text if text and text != "None" else "it failed without a message"


def _access_denied(settings: HostConnectionSettings, detail: str) -> TransportError:
    if settings.auth == "certificate":
        return TransportError(
            f"{settings.where} refuses the client certificate {settings.certificate_pem}: {detail}",
            hint="map the certificate to an account on the host, or correct ansible_psrp_certificate_pem",
            reason="access_denied",
            retryable=False,
        )
    return TransportError(
        f"{settings.where} refuses user {settings.user!r} with {settings.auth} authentication: {detail}",
        hint="check ansible_user, ansible_password and ansible_psrp_auth, and what the host's WinRM service allows",
        reason="access_denied",
        retryable=False,
    )


def _fault(error: Any, settings: HostConnectionSettings) -> TransportError:
    if error.code == _ACCESS_DENIED:
        return TransportError(
            f"{settings.where} denies user {settings.user!r} the endpoint {settings.configuration_name}",
            hint="add the account to the groups of the endpoint (role opendr.hyperv.hyperv_host)",
            reason="access_denied",
            retryable=False,
        )
    if error.code == _NO_ENDPOINT:
        return TransportError(
            f"{settings.where} has no endpoint {settings.configuration_name}",
            hint="run role opendr.hyperv.hyperv_host, or correct ansible_psrp_configuration_name",
            reason="endpoint_missing",
            retryable=False,
        )
    if error.code in QUOTAS:
        return TransportError(
            f"{settings.where} allows user {settings.user!r} no more {QUOTAS[error.code]} at once",
            hint="end other PowerShell sessions of this account, or raise the WinRM quota on the host",
            reason="quota_reached",
        )
    if error.code == NO_SHELL:
        return TransportError(f"{settings.where} lost the PowerShell session", reason="session_lost")
    return TransportError(
        f"{settings.where} answers with WS-Management fault {error.code}: {error.reason}", reason="wsman_fault"
    )


def _http(error: Any, settings: HostConnectionSettings) -> TransportError:
    if is_busy(error):
        return TransportError(f"{settings.where} is busy (HTTP {error.code})", reason="busy")
    return TransportError(
        f"{settings.where} answers with HTTP {error.code} on /{settings.path}",
        hint="check ansible_psrp_port and ansible_psrp_path: is that the WinRM service?",
        reason="http_error",
        retryable=False,
    )


def _network(error: OSError, settings: HostConnectionSettings) -> TransportError:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError) and "expired" in cause.verify_message:
            return _expired(cause, settings)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TransportError(
                f"{settings.where}: its certificate is not accepted: {cause.verify_message}",
                hint="name the file with the certificate of its authority in ansible_psrp_ca_cert; the name in the "
                "certificate must be that of ansible_host",
                reason="certificate_rejected",
                retryable=False,
            )
        if isinstance(cause, urllib3_exceptions.NewConnectionError | urllib3_exceptions.ConnectTimeoutError):
            return TransportError(
                f"{settings.where} cannot be reached: {_reason(cause)}",
                hint="check ansible_host and ansible_psrp_port, the firewall, and that WinRM listens on HTTPS",
                reason="unreachable",
            )
    if isinstance(error, requests.Timeout):
        return TransportError(
            f"{settings.where} did not answer within {settings.read_timeout} seconds", reason="timeout"
        )
    hint = ""
    if settings.auth == "certificate":  # TLS 1.3 refuses one after the handshake: the client may see a lost connection
        hint = "the host may not trust the authority of ansible_psrp_certificate_pem"
    if isinstance(error, requests.exceptions.SSLError):
        return TransportError(
            f"{settings.where}: no TLS connection: {_last_cause(error)}",
            hint=hint or "check that WinRM listens on this port with HTTPS",
            reason="tls_failed",
        )
    return TransportError(
        f"{settings.where}: connection lost: {_last_cause(error)}", hint=hint, reason="connection_lost"
    )


def _expired(error: ssl.SSLCertVerificationError, settings: HostConnectionSettings) -> TransportError:
    context = ssl.create_default_context(cafile=settings.ca_cert or None)
    seen = shown_at((settings.address, settings.port), context, timeout=settings.connection_timeout)
    return TransportError(
        f"{settings.where}: its certificate is not accepted: {error.verify_message}{validity(seen)}",
        hint="renew the certificate of the WinRM listener on that host, and bind the new one to it; then run the job "
        "again. If it is still valid, compare the clocks of the host and the manager",
        reason="certificate_expired",
        retryable=False,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps, in the ways of requests and urllib3."""
    seen: list[object] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in seen:
            seen.append(cause)
            yield cause
            waiting += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _last_cause(error: BaseException) -> str:
    *_outer, last = _causes(error)
    return str(last)


def _reason(error: BaseException) -> str:
    return str(error).rpartition(": ")[2]
