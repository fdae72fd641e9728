# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SOAP envelopes of WS-Management, as far as PSRP clients need them. Source: [MS-WSMV], [MS-PSRP]."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

NS: Final = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
    "rsp": "http://schemas.microsoft.com/wbem/wsman/1/windows/shell",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "cfg": "http://schemas.microsoft.com/wbem/wsman/1/config",
    "pwsh": "http://schemas.microsoft.com/powershell",
    "wsmid": "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd",
}
POWERSHELL_URI: Final = "http://schemas.microsoft.com/powershell/"
CONFIG_URI: Final = "http://schemas.microsoft.com/wbem/wsman/1/config"
SHELL_URI: Final = NS["rsp"]
_FAULT_ACTION: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_DETAIL: Final = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"
_DURATION: Final = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$")
_ENVELOPE: Final = "<s:Envelope {}>".format(" ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items()))


class MalformedRequest(Exception):
    """The body is no SOAP envelope that this server understands."""


@dataclass(frozen=True)
class Request:
    """The parts of a request that the operations read."""

    action: str
    message_id: str
    resource_uri: str
    timeout_seconds: float
    max_envelope: int  # bytes
    shell_id: str
    to: str
    body: ET.Element

    @property
    def operation(self) -> str:
        """``Create``, ``Command``, ``Receive`` ..."""
        return self.action.rsplit("/", 1)[-1]

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Read an envelope. Raises MalformedRequest."""
        if b"<!DOCTYPE" in data[:1024]:
            raise MalformedRequest("a document type is not allowed")
        try:
            root = ET.fromstring(data)
        except ET.ParseError as error:
            raise MalformedRequest(str(error)) from error
        head, body = root.find("s:Header", NS), root.find("s:Body", NS)
        if head is None or body is None:
            raise MalformedRequest("no SOAP header or body")
        selectors = {e.get("Name"): e.text or "" for e in head.findall("w:SelectorSet/w:Selector", NS)}
        return cls(
            action=_text(head, "a:Action"),
            message_id=_text(head, "a:MessageID"),
            resource_uri=_text(head, "w:ResourceURI"),
            timeout_seconds=parse_duration(_text(head, "w:OperationTimeout"), default=60.0),
            max_envelope=int(_text(head, "w:MaxEnvelopeSize") or 512000),
            shell_id=selectors.get("ShellId", "").upper(),
            to=_text(head, "a:To"),
            body=body,
        )


def _text(head: ET.Element, path: str) -> str:
    return (head.findtext(path, "", NS) or "").strip()


def parse_duration(text: str, *, default: float) -> float:
    """Return the seconds of an ISO 8601 duration."""
    match = _DURATION.match(text)
    if not match:
        return default
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def envelope(action: str, relates_to: str, *, body: str) -> bytes:
    """Wrap an answer."""
    return (
        f"{_ENVELOPE}<s:Header><a:Action>{action}</a:Action>"
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:To>{NS['a']}/role/anonymous</a:To><a:RelatesTo>{escape(relates_to)}</a:RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


@dataclass
class Fault(Exception):
    """A WS-Management fault; ``code`` is the number that clients test for."""

    code: int
    subcode: str
    text: str
    side: str = "Sender"
    detail: str = ""

    def render(self, relates_to: str) -> bytes:
        detail = f"<w:FaultDetail>{_DETAIL}{self.detail}</w:FaultDetail>" if self.detail else ""
        text = escape(self.text)
        return envelope(
            _FAULT_ACTION,
            relates_to,
            body=f"<s:Fault><s:Code><s:Value>s:{self.side}</s:Value><s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode>"
            f'</s:Code><s:Reason><s:Text xml:lang="en-US">{text}</s:Text></s:Reason><s:Detail>{detail}'
            f'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{self.code}" '
            f'Machine="LABHOST"><f:Message>{text}</f:Message></f:WSManFault></s:Detail></s:Fault>',
        )


def access_denied() -> Fault:
    return Fault(5, "w:AccessDenied", "Access is denied.")


def invalid_request(text: str) -> Fault:
    return Fault(2150858967, "w:SchemaValidationError", f"The SOAP request is invalid: {text}")


def timed_out() -> Fault:
    return Fault(
        2150858793,
        "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
        side="Receiver",
    )


def no_shell() -> Fault:
    return Fault(
        2150858843,
        "w:InvalidSelectors",
        "The WS-Management service cannot process the request because the request contained invalid selectors for the "
        "resource.",
        detail="UnexpectedSelectors",
    )


def no_resource(uri: str) -> Fault:
    return Fault(
        2150858752,
        "a:DestinationUnreachable",
        "The WS-Management service cannot process the request. The service cannot find the resource identified by the "
        f"resource URI and selectors. ({uri})",
        detail="InvalidResourceURI",
    )


def not_supported(action: str) -> Fault:
    return Fault(2150858778, "a:ActionNotSupported", f"The action {action} is not supported.")


def quota_exceeded(code: int, what: str, *, limit: int) -> Fault:
    """``code``: 2150859173 for shells, 2150859174 for operations of one user, 2150859074 (a stand-in) for commands."""
    return Fault(
        code,
        "w:QuotaLimit",
        f"The WS-Management service cannot process the request. The maximum number of {what} ({limit}) is reached.",
    )
