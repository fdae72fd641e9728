# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Start a session worker that outlives its starter, and read how its session stands. Light: modules poll with it.

The starter hands topology and secrets over a pipe. They are never in arguments, environment or files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..errors import EngineError, FormatError, RequestError, StateError
from ..wire.failures import error_from_plain
from . import files
from .state_folder import StateFolder

STATUS_MAX: Final = 16 * 1024 * 1024  # bytes
ANSWER_SECONDS: Final = 90.0  # a worker waits for a busy catalog and for a session that is about to end
LOG_MAX: Final = 2000  # characters of the worker's log that an error shows
# What the worker needs of the starter's environment. Everything else stays behind: it may hold secrets.
ENVIRONMENT: Final = frozenset(
    "HOME LANG LANGUAGE LC_ALL LC_CTYPE LOGNAME PATH PYTHONPATH PYTHONUTF8 SSL_CERT_DIR SSL_CERT_FILE SYSTEMROOT TEMP "
    "TMP TMPDIR TZ USER USERPROFILE VIRTUAL_ENV KRB5CCNAME KRB5_CONFIG KRB5_KTNAME KRB5_CLIENT_KTNAME".split()
)


def start_worker(command: Sequence[str], topology: Mapping[str, Any]) -> dict[str, Any]:
    """Start a session, or attach to the one that the job has already.

    ``command`` runs ``opendr-engine`` (for example the interpreter and the engine's archive).

    Returns:
        ``session_id``, and ``attached``: whether it ran before.

    Raises:
        EngineError: what the worker refuses, by its code; reason ``worker_failed`` when it says nothing in time.
    """
    folder = StateFolder(str(topology["state_dir"]))
    folder.make()
    log = folder.session(str(topology["session_id"]), "worker.log")
    files.make_folder(os.path.dirname(log))
    answer = _handshake(command, json.dumps(topology).encode(), log=log)
    if "error" in answer or answer.get("attached"):
        _forget_folder(log)
    if "error" in answer:
        raise error_from_plain(answer["error"])
    return answer


def _forget_folder(log: str) -> None:
    """Remove the folder of a session that did not come to be, unless its worker had something to say."""
    if os.path.exists(log) and not os.path.getsize(log):
        shutil.rmtree(os.path.dirname(log), ignore_errors=True)


def _handshake(command: Sequence[str], message: bytes, *, log: str) -> dict[str, Any]:
    """Start the worker, tell it everything, and return the line that it answers with."""
    environment = {name: value for name, value in os.environ.items() if name in ENVIRONMENT}
    with open(log, "ab") as errors:
        try:
            worker = subprocess.Popen(
                [*command, "session"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=os.path.dirname(log),
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise RequestError(f"{command[0]} cannot be started: {error.strerror}", reason="worker_failed") from error
    threading.Thread(target=worker.wait, daemon=True).start()  # reaps it, should it end while this process lives
    try:
        answer = json.loads(_conversation(worker, message))
    except ValueError:
        raise EngineError(
            f"the session worker did not start: {_tail(log)}",
            hint=f"its whole log is {log}",
            reason="worker_failed",
        ) from None
    return answer if isinstance(answer, dict) else {}


def _conversation(worker: subprocess.Popen[bytes], message: bytes) -> bytes:
    """Hand over the message, and return the line that comes back; one that says nothing in time is ended."""
    if worker.stdin is None or worker.stdout is None:
        return b""
    watch = threading.Timer(ANSWER_SECONDS, worker.kill)
    watch.start()
    try:
        with worker.stdin, worker.stdout:
            try:
                worker.stdin.write(message)
                worker.stdin.close()
            except OSError:
                pass  # it died at once; its log says why
            return worker.stdout.readline()
    finally:
        watch.cancel()


def _tail(log: str) -> str:
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            return file.read()[-LOG_MAX:].strip() or "it said nothing"
    except OSError:
        return "it said nothing"


def latest_session(state_dir: str, job: str) -> str | None:
    """Return the id of the newest session of a job, None when it had none here."""
    return StateFolder(state_dir).newest_session(job)


def running_session(state_dir: str, job: str) -> str | None:
    """Return the id of the session of a job that runs now, None also when it is about to begin or to end."""
    session_id = latest_session(state_dir, job)
    status = read_status(state_dir, session_id) if session_id is not None else None
    return session_id if status is not None and status["alive"] and status["state"] == "running" else None


def require_kind(state_dir: str, session_id: str, *, kind: str) -> None:
    """Raise StateError, reason ``session_running``, when a session does something else than the caller wants."""
    status = read_status(state_dir, session_id)
    if status is not None and status["kind"] != kind:
        raise StateError(
            f"session {session_id} of job {status['job']} runs, and is to {status['kind']}, not to {kind}",
            current="running",
            hint="wait for its end, or stop it with hyperv_replica_job and state: stopped",
            reason="session_running",
        )


def read_status(state_dir: str, session_id: str) -> dict[str, Any] | None:
    """Return the status of a session with ``alive``: whether its worker lives. None when there is no such session."""
    folder = StateFolder(state_dir)
    try:
        # First the lock, then the status: a worker that ends in between has written its last status.
        alive = folder.is_alive(session_id)
        status = json.loads(files.read_small(folder.session(session_id, "status.json"), limit=STATUS_MAX))
    except RequestError as error:
        if error.reason in ("file_missing", "session_id_invalid"):
            return None
        raise
    except ValueError as error:
        raise FormatError(f"the status of session {session_id} is damaged: {error}") from error
    return {**status, "alive": alive}


def read_events(state_dir: str, session_id: str, *, after: int = 0) -> list[dict[str, Any]]:
    """Return the events of a session with a sequence number above ``after``, oldest first."""
    path = StateFolder(state_dir).session(session_id, "events.jsonl")
    events = []
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    break  # it is being written
                event = json.loads(line)
                if event["sequence"] > after:
                    events.append(event)
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} is damaged: {error}") from error
    return events
