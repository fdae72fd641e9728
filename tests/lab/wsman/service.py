# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operations of WS-Management that a PSRP client uses, without the HTTP around them. Source: [MS-WSMV] 3.1.4."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from xml.sax.saxutils import escape

from . import soap
from .contract_server import ContractServer
from .faults import Quotas
from .shell import Outbox, Shell
from .soap import NS, Request

_ENVELOPE_ROOM: Final = 2048  # bytes for headers beside the payload
_SWEEP_SECONDS: Final = 1.0


class Service:
    """The WSMan service of one lab host. Its coroutines run on one event loop; pipelines run in threads."""

    def __init__(self, server: ContractServer, *, configuration_name: str, quotas: Quotas) -> None:
        self.shells: dict[str, Shell] = {}
        self._server = server
        self._resource_uri = soap.POWERSHELL_URI + configuration_name
        self._quotas = quotas
        self._pipelines = ThreadPoolExecutor(64, thread_name_prefix="lab-pipeline")
        self._parsers = ThreadPoolExecutor(8, thread_name_prefix="lab-psrp")
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._operations = {
            "Create": self._create,
            "Command": self._command,
            "Receive": self._receive,
            "Send": self._send,
            "Signal": self._signal,
            "Delete": self._delete,
            "Disconnect": self._disconnect,
            "Reconnect": self._reconnect,
            "Get": self._get,
        }

    async def handle(self, request: Request, user: str) -> bytes:
        """Answer one request. Raises Fault."""
        operation = self._operations.get(request.operation)
        if operation is None:
            raise soap.not_supported(request.action)
        if sum(shell.waiting for shell in self._shells_of(user)) >= self._quotas.operations_per_user:
            raise soap.quota_exceeded(
                2150859174, "concurrent operations of this user", limit=self._quotas.operations_per_user
            )
        shell = self.shells.get(request.shell_id)
        if shell is None:
            return await operation(request, user)
        shell.waiting += 1
        try:
            return await operation(request, user)
        finally:
            shell.waiting -= 1
            shell.used_at = time.monotonic()

    def lose_shells(self) -> None:
        """End all shells without telling anybody, as a restart of WinRM does."""
        for shell in list(self.shells.values()):
            self._drop(shell)

    async def sweep(self) -> None:
        """End shells that nobody used for their idle time-out, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for shell in list(self.shells.values()):
                if not shell.waiting and time.monotonic() - shell.used_at > shell.idle_timeout_seconds:
                    self._drop(shell)

    def close(self) -> None:
        self.lose_shells()
        self._pipelines.shutdown(wait=False, cancel_futures=True)
        self._parsers.shutdown(wait=False, cancel_futures=True)

    def _drop(self, shell: Shell) -> None:
        self.shells.pop(shell.shell_id, None)
        shell.close()
        self._wake()

    def _notify(self) -> None:
        """Wake every waiting Receive, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _shells_of(self, user: str) -> list[Shell]:
        return [shell for shell in self.shells.values() if shell.user.lower() == user.lower()]

    def _shell(self, request: Request, user: str) -> Shell:
        shell = self.shells.get(request.shell_id)
        if shell is None:
            raise soap.no_shell()
        if shell.user.lower() != user.lower():
            raise soap.access_denied()
        return shell

    async def _create(self, request: Request, user: str) -> bytes:
        if request.resource_uri.lower() != self._resource_uri.lower():
            raise soap.no_resource(request.resource_uri)
        if len(self._shells_of(user)) >= self._quotas.shells_per_user:
            raise soap.quota_exceeded(2150859173, "concurrent shells of this user", limit=self._quotas.shells_per_user)
        element = request.body.find("rsp:Shell", NS)
        if element is None:
            raise soap.invalid_request("no Shell")
        shell_id = (element.get("ShellId") or str(uuid.uuid4())).upper()
        shell = Shell(shell_id, self._server, user=user, executor=self._pipelines, notify=self._notify)
        shell.idle_timeout_seconds = soap.parse_duration(
            element.findtext("rsp:IdleTimeOut", "", NS), default=self._quotas.idle_timeout_seconds
        )
        shell.fragment_size = _payload_size(self._quotas.envelope_size) - 64
        await self._in_thread(shell.feed, _decoded(element.findtext("pwsh:creationXml", "", NS)))
        self.shells[shell_id] = shell
        return soap.envelope(
            NS["x"] + "/CreateResponse",
            request.message_id,
            body=f"<x:ResourceCreated><a:Address>{escape(request.to)}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{escape(request.resource_uri)}</w:ResourceURI>"
            f'<w:SelectorSet><w:Selector Name="ShellId">{shell_id}</w:Selector></w:SelectorSet>'
            f"</a:ReferenceParameters></x:ResourceCreated>{self._describe(shell)}",
        )

    async def _command(self, request: Request, user: str) -> bytes:
        shell = self._shell(request, user)
        if shell.pipeline_count >= self._quotas.commands_per_shell:
            raise soap.quota_exceeded(
                2150859074, "concurrent commands per shell", limit=self._quotas.commands_per_shell
            )
        line = request.body.find("rsp:CommandLine", NS)
        if line is None:
            raise soap.invalid_request("no CommandLine")
        pipeline_id = _pipeline_id(line.get("CommandId") or str(uuid.uuid4()))
        await self._in_thread(shell.command, pipeline_id, _decoded(line.findtext("rsp:Arguments", "", NS)))
        return _response(request, "Command", content=f"<rsp:CommandId>{str(pipeline_id).upper()}</rsp:CommandId>")

    async def _receive(self, request: Request, user: str) -> bytes:
        shell = self._shell(request, user)
        stream = request.body.find("rsp:Receive/rsp:DesiredStream", NS)
        command_id = stream.get("CommandId", "") if stream is not None else ""
        outbox = shell.outboxes.get(_pipeline_id(command_id) if command_id else None)
        if outbox is None:
            raise soap.no_shell()
        if outbox.answered[0] != request.message_id:  # else: a client repeats what it got no answer for
            await self._wait_for(outbox, shell, timeout_seconds=request.timeout_seconds)
            outbox.answered = (request.message_id, self._take(outbox, command_id, max_envelope=request.max_envelope))
        return _response(request, "Receive", content=outbox.answered[1])

    async def _wait_for(self, outbox: Outbox, shell: Shell, *, timeout_seconds: float) -> None:
        deadline = self._loop.time() + timeout_seconds
        while not outbox.ready:
            if shell.shell_id not in self.shells:
                raise soap.no_shell()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError:
                raise soap.timed_out() from None

    def _take(self, outbox: Outbox, command_id: str, *, max_envelope: int) -> str:
        attribute = f' CommandId="{command_id}"' if command_id else ""
        fragments = outbox.take(_payload_size(min(max_envelope, self._quotas.envelope_size)))
        parts = [
            f'<rsp:Stream Name="stdout"{attribute}>{base64.b64encode(data).decode()}</rsp:Stream>' for data in fragments
        ]
        if outbox.done and not outbox.fragments and command_id:
            parts.append(
                f'<rsp:CommandState CommandId="{command_id}" State="{NS["rsp"]}/CommandState/Done">'
                "<rsp:ExitCode>0</rsp:ExitCode></rsp:CommandState>"
            )
        return "".join(parts)

    async def _send(self, request: Request, user: str) -> bytes:
        shell = self._shell(request, user)
        for stream in request.body.findall("rsp:Send/rsp:Stream", NS):
            await self._in_thread(shell.feed, _decoded(stream.text or ""))
        return _response(request, "Send", content="")

    async def _signal(self, request: Request, user: str) -> bytes:
        shell = self._shell(request, user)
        signal = request.body.find("rsp:Signal", NS)
        if signal is None:
            raise soap.invalid_request("no Signal")
        pipeline_id = _pipeline_id(signal.get("CommandId", ""))
        terminate = signal.findtext("rsp:Code", "", NS).lower().endswith("terminate")
        await self._in_thread(shell.forget if terminate else shell.stop, pipeline_id)
        return _response(request, "Signal", content="")

    async def _delete(self, request: Request, user: str) -> bytes:
        shell = self._shell(request, user)
        self.shells.pop(shell.shell_id, None)
        self._wake()
        await self._in_thread(shell.close)
        return soap.envelope(NS["x"] + "/DeleteResponse", request.message_id, body="")

    async def _disconnect(self, request: Request, user: str) -> bytes:
        self._shell(request, user).connected = False
        return _response(request, "Disconnect", content="")

    async def _reconnect(self, request: Request, user: str) -> bytes:
        self._shell(request, user).connected = True
        return _response(request, "Reconnect", content="")

    async def _get(self, request: Request, user: str) -> bytes:
        if request.resource_uri == soap.CONFIG_URI:
            body = (
                f"<cfg:Config><cfg:MaxEnvelopeSizekb>{self._quotas.envelope_size // 1024}</cfg:MaxEnvelopeSizekb>"
                "<cfg:MaxTimeoutms>60000</cfg:MaxTimeoutms></cfg:Config>"
            )
        elif request.resource_uri == soap.SHELL_URI:
            body = self._describe(self._shell(request, user))
        else:
            raise soap.no_resource(request.resource_uri)
        return soap.envelope(NS["x"] + "/GetResponse", request.message_id, body=body)

    def _describe(self, shell: Shell) -> str:
        return (
            f"<rsp:Shell><rsp:ShellId>{shell.shell_id}</rsp:ShellId>"
            f"<rsp:ResourceUri>{escape(self._resource_uri)}</rsp:ResourceUri><rsp:Owner>{escape(shell.user)}</rsp:Owner>"
            f"<rsp:IdleTimeOut>PT{shell.idle_timeout_seconds:.3f}S</rsp:IdleTimeOut>"
            "<rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>"
            f"<rsp:State>{'Connected' if shell.connected else 'Disconnected'}</rsp:State></rsp:Shell>"
        )

    async def _in_thread(self, call: Callable[..., None], *arguments: object) -> None:
        """Run what parses XML or takes the shell's lock outside the loop; the client's junk becomes a fault."""
        try:
            await self._loop.run_in_executor(self._parsers, call, *arguments)
        except (ValueError, KeyError, TypeError) as error:
            raise soap.invalid_request(f"{type(error).__name__}: {error}") from error


def _payload_size(envelope: int) -> int:
    """Return the bytes that fit, base64-encoded, into an envelope."""
    return (envelope - _ENVELOPE_ROOM) * 3 // 4


def _response(request: Request, operation: str, *, content: str) -> bytes:
    name = f"rsp:{operation}Response"
    return soap.envelope(f"{NS['rsp']}/{operation}Response", request.message_id, body=f"<{name}>{content}</{name}>")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise soap.invalid_request("fragments are not base64") from error


def _pipeline_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise soap.invalid_request(f"CommandId {text!r} is no GUID") from error
