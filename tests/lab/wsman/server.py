# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTPS front of a lab Hyper-V host: WSMan on /wsman, one JEA-like endpoint, no other way in.

A simulator for tests and demonstrations; it runs contract functions and nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from ..pki import Credentials
from . import soap
from .authentication import CHALLENGES, AccessRefused, Authenticator, Connection
from .contract_server import ContractServer
from .faults import FaultKind, Faults, Quotas, Rule
from .service import Service
from .soap import Fault, MalformedRequest, Request

_CONTENT_TYPE: Final = "application/soap+xml;charset=UTF-8"
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_IDENTIFY: Final = (
    f'<s:Envelope xmlns:s="{soap.NS["s"]}"><s:Header/><s:Body>'
    f'<wsmid:IdentifyResponse xmlns:wsmid="{soap.NS["wsmid"]}">'
    "<wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</wsmid:ProtocolVersion>"
    "<wsmid:ProductVendor>OpenDR lab, not Microsoft</wsmid:ProductVendor>"
    "<wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>"
    "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
)


class WsmanServer:
    """Serves a ContractServer over WSMan from a thread of its own.

    ``users`` maps account names to passwords; a client certificate that ``files.ca`` signed is mapped to an account by
    its principal name (``user@localhost``). Port 0 chooses one; ``port`` tells it after ``start``.
    """

    def __init__(
        self,
        server: ContractServer,
        *,
        files: Credentials,
        users: Mapping[str, str],
        host: str = "127.0.0.1",
        port: int = 0,
        configuration_name: str = "HvReplication",
        quotas: Quotas | None = None,
    ) -> None:
        self.faults = Faults()
        self.quotas = quotas or Quotas()
        self.port = port
        self._server = server
        self._host = host
        self._configuration_name = configuration_name
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca))
        self._tls.load_cert_chain(files.certificate, files.key)
        self._tls.verify_mode = ssl.CERT_OPTIONAL
        self._authenticator = Authenticator(users, certificate=files.certificate)
        self._connections: dict[web.RequestHandler, Connection] = {}
        self._transports: dict[web.RequestHandler, asyncio.Transport] = {}
        self._thread = threading.Thread(target=self._run, name="lab-wsman", daemon=True)
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._service: Service | None = None

    def start(self) -> WsmanServer:
        """Listen; returns when clients can connect. Raises OSError when the port is taken."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise TimeoutError("the lab WSMan server did not start")
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Close all connections and end the thread; a second call does nothing."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(2 * _STOP_SECONDS)

    def __enter__(self) -> WsmanServer:
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def use_certificate(self, files: Credentials) -> None:
        """Show another certificate from the next connection on."""
        self._tls.load_cert_chain(files.certificate, files.key)

    def lose_shells(self) -> None:
        """Forget all shells, as a restart of WinRM does."""
        if self._loop is not None and self._service is not None:
            self._loop.call_soon_threadsafe(self._service.lose_shells)

    @property
    def shell_count(self) -> int:
        """Return how many shells are open."""
        return len(self._service.shells) if self._service is not None else 0

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - reported by start(), in the caller's thread
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._service = Service(self._server, configuration_name=self._configuration_name, quotas=self.quotas)
        runner = web.AppRunner(self._application(), access_log=None, keepalive_timeout=120, shutdown_timeout=0.1)
        await runner.setup()
        self._watch_connections(runner)
        sweeper = asyncio.create_task(self._service.sweep())
        try:
            site = web.TCPSite(runner, self._host, self.port, ssl_context=self._tls)
            await site.start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stopping.wait()
        finally:
            sweeper.cancel()
            self._service.close()
            await self._disconnect_all()
            await runner.cleanup()

    async def _disconnect_all(self) -> None:
        """Cut every connection: a polite close would wait for clients that are not there any more."""
        for transport in list(self._transports.values()):
            transport.abort()
        async with asyncio.timeout(_STOP_SECONDS):
            while self._transports:
                await asyncio.sleep(0)

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=8 * self.quotas.envelope_size)
        application.router.add_post("/wsman", self._handle)
        application.router.add_post("/wsman-anon/identify", self._identify)
        return application

    def _watch_connections(self, runner: web.AppRunner) -> None:
        """Know each connection from its begin to its end: who it is must not pass on to the next one."""
        server = runner.server
        if server is None:
            raise RuntimeError("the runner is not set up")
        made, lost = server.connection_made, server.connection_lost

        def remember(handler: web.RequestHandler, transport: asyncio.Transport) -> None:
            self._transports[handler] = transport
            self._connections[handler] = Connection()
            made(handler, transport)

        def forget(handler: web.RequestHandler, error: BaseException | None = None) -> None:
            self._transports.pop(handler, None)
            self._connections.pop(handler, None)
            lost(handler, error)

        server.connection_made, server.connection_lost = remember, forget

    async def _identify(self, _request: web.Request) -> web.Response:
        return web.Response(text=_IDENTIFY, headers={"Content-Type": _CONTENT_TYPE})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        connection = self._connections.get(request.protocol, Connection())
        headers: dict[str, str] = {}
        user = connection.user
        if authorization := request.headers.get("Authorization"):
            try:
                user, token = self._authenticator.check(
                    connection, authorization, certificate=_client_certificate(request)
                )
            except AccessRefused:
                user, token = "", ""
            if token:
                headers["WWW-Authenticate"] = token
        if not user:
            return _unauthorized(headers)
        if not body:
            return web.Response(headers=headers)
        return await self._answer(request, body, user=user, headers=headers)

    async def _answer(
        self, http: web.Request, body: bytes, *, user: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        try:
            request = Request.parse(body)
        except MalformedRequest as error:
            return _soap(soap.invalid_request(str(error)).render(""), headers, status=500)
        fault = self.faults.take(request.operation)
        if fault is not None and (early := await self._inject(http, fault)) is not None:
            return early
        if self._service is None:
            raise RuntimeError("the service is not running")
        try:
            response = _soap(await self._service.handle(request, user), headers)
        except Fault as refusal:
            response = _soap(refusal.render(request.message_id), headers, status=500)
        return _reset(http) if fault is not None and fault.kind is FaultKind.DROP_AFTER else response

    async def _inject(self, http: web.Request, fault: Rule) -> web.StreamResponse | None:
        match fault.kind:
            case FaultKind.DROP_BEFORE:
                return _reset(http)
            case FaultKind.UNAVAILABLE:
                return web.Response(status=503)
            case FaultKind.SLOW:
                await asyncio.sleep(fault.delay_seconds)
            case FaultKind.LOSE_SHELLS if self._service is not None:
                self._service.lose_shells()
        return None


def _reset(http: web.Request) -> web.StreamResponse:
    """Cut the connection; what is returned here reaches nobody."""
    if http.transport is not None:
        http.transport.abort()
    return web.Response(status=500)


def _client_certificate(request: web.Request) -> bytes | None:
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    certificate: bytes | None = tls.getpeercert(binary_form=True) if tls else None
    return certificate


def _unauthorized(headers: Mapping[str, str]) -> web.Response:
    response = web.Response(status=401, headers=headers)
    if not headers:
        for challenge in CHALLENGES:
            response.headers.add("WWW-Authenticate", challenge)
    return response


def _soap(body: bytes, headers: Mapping[str, str], *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, headers={**headers, "Content-Type": _CONTENT_TYPE})
