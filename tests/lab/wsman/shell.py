# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One runspace pool: PSRP messages in, pipelines run, PSRP fragments out for Receive to fetch. Source: [MS-PSRP].

Every method may be called from any thread; the loop of the service only looks at ``outboxes``.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from typing import Any, Final

import psrpcore
import psrpcore.types as ps

from .binder import BindingFailed, BoundCommand, bind
from .contract_server import Category, ContractServer, HostError, Notice, Row
from .objects import ErrorRecord, RowMismatch, custom_object

_VERSIONS: Final = {
    "PSVersion": ps.PSVersion("5.1.20348.1"),
    "PSEdition": "Desktop",
    "PSRemotingProtocolVersion": ps.PSVersion("2.3"),
    "SerializationVersion": ps.PSVersion("1.1.0.1"),
    "WSManStackVersion": ps.PSVersion("3.0"),
}
_RECORDS: Final = {
    "verbose": (ps.VerboseRecord, ps.PSRPMessageType.VerboseRecord),
    "debug": (ps.DebugRecord, ps.PSRPMessageType.DebugRecord),
    "warning": (ps.WarningRecord, ps.PSRPMessageType.WarningRecord),
}


class PipelineFailed(Exception):
    """Ends a pipeline in state Failed."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message)
        self.record = record


class Outbox:
    """Fragments that wait for a Receive, of the pool or of one pipeline."""

    def __init__(self) -> None:
        self.fragments: deque[bytes] = deque()
        self.done = False
        self.answered: tuple[str, str] = (
            "",
            "",
        )  # MessageID and answer of the last Receive

    @property
    def ready(self) -> bool:
        return self.done or bool(self.fragments)

    def take(self, limit: int) -> list[bytes]:
        """Remove whole fragments up to ``limit`` bytes, at least one if there is any."""
        taken: list[bytes] = []
        size = 0
        while self.fragments and (not taken or size + len(self.fragments[0]) <= limit):
            taken.append(self.fragments.popleft())
            size += len(taken[-1])
        return taken


class Shell:
    """A runspace pool of one user. ``notify`` is called after there may be something to receive."""

    def __init__(
        self, shell_id: str, server: ContractServer, *, user: str, executor: Executor, notify: Callable[[], None]
    ) -> None:
        self.shell_id = shell_id
        self.user = user
        self.used_at = time.monotonic()
        self.waiting = 0  # requests that are being served
        self.idle_timeout_seconds = 7200.0
        self.fragment_size = 32 * 1024  # bytes
        self.connected = True
        self.outboxes: dict[uuid.UUID | None, Outbox] = {None: Outbox()}
        self._server = server
        self._executor = executor
        self._notify = notify
        self._lock = threading.RLock()
        self._pool = psrpcore.ServerRunspacePool(application_private_data={"PSVersionTable": dict(_VERSIONS)})
        self._running: set[uuid.UUID] = set()
        self._queue: deque[Any] = deque()

    @property
    def pipeline_count(self) -> int:
        return len(self.outboxes) - 1

    def command(self, pipeline_id: uuid.UUID, data: bytes) -> None:
        """Start a pipeline with its first fragment."""
        with self._lock:
            psrpcore.ServerPipeline(self._pool, pipeline_id)
            self.outboxes[pipeline_id] = Outbox()
        self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take fragments from the client; each names its pipeline itself."""
        with self._lock:
            self._pool.receive_data(psrpcore.PSRPPayload(data, psrpcore.StreamType.default, None))
            while event := self._pool.next_event():
                self._handle(event)
            self._flush()

    def stop(self, pipeline_id: uuid.UUID) -> None:
        """Announce the pipeline as stopped. What its function is doing now goes on to the next row."""
        with self._lock:
            pipeline = self._pool.pipeline_table.get(pipeline_id)
            if pipeline is None:
                return
            if pipeline in self._queue:
                self._queue.remove(pipeline)
                self._start(pipeline)
            self._finish(pipeline, ps.PSInvocationState.Stopped)

    def forget(self, pipeline_id: uuid.UUID) -> None:
        """Drop a pipeline that the client has closed."""
        self.stop(pipeline_id)
        with self._lock:
            self.outboxes.pop(pipeline_id, None)
            self._pool.pipeline_table.pop(pipeline_id, None)

    def close(self) -> None:
        """Stop everything."""
        for pipeline_id in [key for key in self.outboxes if key]:
            self.forget(pipeline_id)

    def _handle(self, event: Any) -> None:
        match event:
            case psrpcore.CreatePipelineEvent():
                self._start_or_queue(self._pool.pipeline_table[event.pipeline_id])
            case psrpcore.SetMaxRunspacesEvent() | psrpcore.SetMinRunspacesEvent():
                self._pool.runspace_availability_response(event.ci, event.count > 0)
            case psrpcore.GetAvailableRunspacesEvent():
                self._pool.runspace_availability_response(event.ci, self._pool.max_runspaces - len(self._running))
            case psrpcore.ResetRunspaceStateEvent():
                self._pool.runspace_availability_response(event.ci, True)

    def _start_or_queue(self, pipeline: Any) -> None:
        if len(self._running) >= max(1, self._pool.max_runspaces):
            self._queue.append(pipeline)  # as in PowerShell: more pipelines than runspaces wait
            return
        self._start(pipeline)
        self._executor.submit(self._run, pipeline)

    def _start(self, pipeline: Any) -> None:
        self._running.add(pipeline.pipeline_id)
        pipeline._change_state(ps.PSInvocationState.Running, emit=False)  # the real server does not announce it

    def _finish(self, pipeline: Any, state: ps.PSInvocationState, *, record: ErrorRecord | None = None) -> None:
        with self._lock:
            if pipeline.state != ps.PSInvocationState.Running:
                return
            if state == ps.PSInvocationState.Stopped:
                pipeline.stop()
            else:
                pipeline._change_state(state, error=record.build() if record else None)
            self._flush()
            if outbox := self.outboxes.get(pipeline.pipeline_id):
                outbox.done = True
            self._running.discard(pipeline.pipeline_id)
            if self._queue:
                self._start_or_queue(self._queue.popleft())
        self._notify()

    def _run(self, pipeline: Any) -> None:
        """Run the commands of a pipeline, in a thread of the executor."""
        name = ""
        try:
            commands = [bind(command) for command in pipeline.metadata.commands]
            if len(commands) != 1:
                raise _unsupported("one command in a pipeline, and no other request, is what this endpoint takes")
            name = commands[0].function.name
            self._emit_all(pipeline, commands[0])
            self._finish(pipeline, ps.PSInvocationState.Completed)
        except (BindingFailed, PipelineFailed) as error:
            self._finish(pipeline, ps.PSInvocationState.Failed, record=error.record)
        except HostError as error:
            self._finish(pipeline, ps.PSInvocationState.Failed, record=_record(error, name, activity=name))
        except Exception as error:  # a fault of the lab must end the pipeline, or the client waits for ever
            failure = HostError("Lab.Failed", f"{type(error).__name__}: {error}")
            self._finish(pipeline, ps.PSInvocationState.Failed, record=_record(failure, name, activity=name))
            if not isinstance(error, RowMismatch):
                raise

    def _emit_all(self, pipeline: Any, command: BoundCommand) -> None:
        rows: Iterator[Row] = self._server.dispatch(command.function.name, command.parameters, user=self.user)
        for row in rows:
            with self._lock:
                if pipeline.state != ps.PSInvocationState.Running:
                    close = getattr(rows, "close", None)
                    if close:
                        close()
                    return
                self._emit(pipeline, row, command=command)
                self._flush()
            self._notify()

    def _emit(self, pipeline: Any, row: Row, *, command: BoundCommand) -> None:
        if isinstance(row, HostError):
            self._write_error(pipeline, row, command=command)
        elif isinstance(row, Notice):
            self._write_notice(pipeline, row, command=command)
        elif isinstance(row, Mapping):
            pipeline.write_output(custom_object(command.function, row))

    def _write_error(self, pipeline: Any, error: HostError, *, command: BoundCommand) -> None:
        """Write-Error; with -ErrorAction Stop it ends the pipeline."""
        record = _record(error, command.function.name, activity="Write-Error", exception="WriteErrorException")
        if command.error_action == "stop":
            raise PipelineFailed(record)
        if command.error_action not in {"silentlycontinue", "ignore"}:
            pipeline.prepare_message(record.build(), message_type=ps.PSRPMessageType.ErrorRecord)

    def _write_notice(self, pipeline: Any, notice: Notice, *, command: BoundCommand) -> None:
        if notice.stream == "information":
            pipeline.write_information(notice.text, command.function.name, tags=[], computer="LABHOST", user="LABHOST$")
            return
        if notice.stream in {"verbose", "debug"} and not command.wants(notice.stream):
            return
        record_type, message_type = _RECORDS[notice.stream]
        # Without invocation info: in the order that psrpcore writes it, pypsrp does not find the type names again.
        record = record_type(Message=notice.text, InvocationInfo=None, PipelineIterationInfo=None)
        record.PSObject.to_string = notice.text
        pipeline.prepare_message(record, message_type=message_type)

    def _flush(self) -> None:
        """Move what psrpcore has to send into the outboxes."""
        while payload := self._pool.data_to_send(self.fragment_size):
            if outbox := self.outboxes.get(payload.pipeline_id):
                outbox.fragments.append(payload.data)


def _record(error: HostError, function: str, *, activity: str, exception: str = "RuntimeException") -> ErrorRecord:
    return ErrorRecord(
        f"{error.error_id},{function}" if function else error.error_id,
        error.message,
        error.category.value,
        exception,
        activity=activity,
        target=error.target,
        command=function,
    )


def _unsupported(message: str) -> PipelineFailed:
    return PipelineFailed(ErrorRecord("NotSupported", message, Category.INVALID_OPERATION.value, "RuntimeException"))
