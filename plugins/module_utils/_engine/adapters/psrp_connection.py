# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""One PowerShell session on a host: a WSMan connection and a runspace pool, for one thread at a time.

What pypsrp leaves to its caller is done here: a lost Receive is repeated with the same bytes (the server answers with
the same data), a request that the web server turned away is sent again, a pipeline is always closed (else the pool dies
after 1000), failure is read from state and streams, waiting can be cancelled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import EngineError, TransportError
from ..libraries import need
from ..ports import Clock
from .psrp_errors import NO_SHELL, foreign_errors, is_busy, is_fault, is_lost_connection, refused, translate
from .psrp_settings import HostConnectionSettings
from .psrp_values import accept_empty_bytes

try:
    import pypsrp
    from pypsrp import complex_objects as pypsrp_objects
    from pypsrp import powershell as pypsrp_powershell
    from pypsrp import wsman as pypsrp_wsman
except ImportError:
    pypsrp = pypsrp_objects = pypsrp_powershell = pypsrp_wsman = None

_RECEIVE: Final = b"windows/shell/Receive</"
_POLL_SECONDS: Final = 2  # the host holds a Receive that long; a cancelled call ends within it
_PAUSE_SECONDS_MAX: Final = 30.0
_IDLE_SECONDS: Final = 300  # after it the host ends the session of a client that died
_CHECK_AFTER_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 5

# pypsrp writes a traceback to its log for errors that it raises as well; without a handler Python prints that.
logging.getLogger("pypsrp").addHandler(logging.NullHandler())


class SessionGone(TransportError):
    """The host no longer had the session when a command arrived: the command did not run, another session may do it."""


class PsrpConnection:
    """An open session. After any error but a refusal of the function, it is no longer ``usable``.

    ``clock`` is that of the call which has the session now; its ``sleep`` cancels the call.
    """

    def __init__(self, settings: HostConnectionSettings, *, clock: Clock) -> None:
        """Open the session. Raises TransportError, RequestError for a setting, LibraryMissing."""
        need(pypsrp, "pypsrp")
        settings.check_files()
        self._settings = settings
        self.clock = clock
        self.usable = True
        try:
            self._wsman = pypsrp_wsman.WSMan(**settings.wsman_arguments())
            self._send_once: Callable[..., bytes] = self._wsman.transport.send
            self._wsman.transport.send = self._send
            self._pool = pypsrp_powershell.RunspacePool(
                self._wsman, configuration_name=settings.configuration_name, idle_timeout=_IDLE_SECONDS
            )
            accept_empty_bytes(self._pool._serializer)
            self._pool.open()
        except foreign_errors() as error:
            raise translate(error, settings) from error
        self._used_at = clock.monotonic()

    def is_alive(self) -> bool:
        """Tell whether the session can take a command; asks the host only after a pause."""
        if self.usable and self.clock.monotonic() - self._used_at > _CHECK_AFTER_SECONDS:
            try:
                self.usable = bool(self._pool.is_alive(timeout=_CHECK_SECONDS))
            except foreign_errors():
                self.usable = False
        return self.usable

    def run(self, function: str, parameters: Mapping[str, Any], *, deadline: float) -> list[object]:
        """Run one command until the clock's monotonic ``deadline`` and return the objects it emitted.

        Raises:
            HypervisorError: the function failed, or wrote to the error stream.
            SessionGone: it did not run.
            TransportError: whether it ran is unknown.
            Cancelled: the clock says that the work is to stop; the host was told to stop the function.
        """
        pipeline = pypsrp_powershell.PowerShell(self._pool)
        pipeline.add_cmdlet(function)
        pipeline.add_parameters(parameters)
        self.usable = False  # until the pipeline is closed as it should
        self._start(pipeline)
        try:
            self._wait(pipeline, function, deadline=deadline)
        finally:
            self._end(pipeline)
        return self._result(pipeline, function)

    def close(self) -> None:
        """Let the host forget the session, if it can be told."""
        try:
            if self.usable:
                self._pool.close()
        except foreign_errors():
            pass  # it forgets the session by itself after _IDLE_SECONDS
        finally:
            self.usable = False
            self._wsman.close()

    def _start(self, pipeline: Any) -> None:
        try:
            pipeline.begin_invoke()
        except foreign_errors() as error:
            if is_fault(error, NO_SHELL):
                raise SessionGone(f"{self._settings.where} ended the session", reason="session_lost") from error
            raise translate(error, self._settings) from error

    def _wait(self, pipeline: Any, function: str, *, deadline: float) -> None:
        while pipeline.state == pypsrp_objects.PSInvocationState.RUNNING:
            try:
                self._may_go_on(function, deadline)
            except EngineError:
                self._stop(pipeline)
                raise
            try:
                pipeline.poll_invoke(timeout=_POLL_SECONDS)
            except foreign_errors() as error:
                raise translate(error, self._settings) from error

    def _may_go_on(self, function: str, deadline: float) -> None:
        self.clock.sleep(0)  # raises Cancelled
        if self.clock.monotonic() > deadline:
            raise TransportError(
                f"{self._settings.where}: {function} did not end in time and was stopped", reason="timeout"
            )

    def _stop(self, pipeline: Any) -> None:
        """Tell the host to stop a pipeline, from the thread that polls it: pypsrp is not made for another one."""
        try:
            pipeline.stop()
        except foreign_errors():
            pass  # the session is given up then

    def _end(self, pipeline: Any) -> None:
        """Close a pipeline that has ended; the session is usable again."""
        if pipeline.state == pypsrp_objects.PSInvocationState.RUNNING:
            return
        try:
            pipeline.close()
        except foreign_errors():
            return
        self.usable = True
        self._used_at = self.clock.monotonic()

    def _result(self, pipeline: Any, function: str) -> list[object]:
        states = pypsrp_objects.PSInvocationState
        errors = pipeline.streams.error
        if errors:
            record = errors[-1 if pipeline.state == states.FAILED else 0]
            raise refused(function, record, host=self._settings.name)
        if pipeline.state != states.COMPLETED:
            raise TransportError(f"{self._settings.where}: {function} ended without a result", reason="stopped")
        output: list[object] = pipeline.output
        return output

    def _send(self, message: bytes, *, timeout: float | tuple[float, float] | None = None, **_retries: Any) -> bytes:
        """Stand in for the send of pypsrp's transport; repeats what may be repeated."""
        attempt = 0
        receive = _RECEIVE in message[:2048]
        if receive or timeout is None:  # for a Receive pypsrp would allow 2 seconds beside those that the host waits
            timeout = (self._settings.connection_timeout, self._settings.read_timeout)
        while True:
            try:
                return self._send_once(message, timeout=timeout)
            except foreign_errors() as error:
                lost = is_lost_connection(error)
                if lost:
                    self._forget_connection()
                repeatable = is_busy(error) or (lost and receive)
                if not repeatable or attempt >= self._settings.reconnection_retries:
                    raise
            self.clock.sleep(min(_PAUSE_SECONDS_MAX, self._settings.reconnection_backoff * 2**attempt))
            attempt += 1

    def _forget_connection(self) -> None:
        """Drop the HTTP session with its security context: the host has forgotten it too."""
        transport = self._wsman.transport
        if transport.session is not None:
            transport.session.close()
        transport.session = transport.encryption = None
