# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""From the job that the catalog has and the job that a task declares to what is to be done. No I/O, no AnsibleModule.

Check mode, diff and the real run all come from the same plan, so they cannot disagree.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from ._engine.errors import EngineError, RequestError, StateError
from ._engine.jobs import JobSpec, invalid, shown
from ._engine.stops import BY_LENGTH_MAX, Stop, StopRequest
from ._spec import JOB


class State(Enum):
    """Option ``state`` of hyperv_replica_job."""

    PRESENT = "present"
    ABSENT = "absent"
    STARTED = "started"
    STOPPED = "stopped"
    DISABLED = "disabled"


@dataclass(frozen=True)
class JobPlan:
    """The job as it is and as it shall be (None: there is none), and whether a session of it is to be started."""

    name: str
    before: JobSpec | None
    after: JobSpec | None
    start: bool = False

    @property
    def defines(self) -> bool:
        """Whether the catalog changes."""
        return self.before != self.after

    @property
    def to_start(self) -> JobSpec | None:
        """The job that a session is to be started of."""
        return self.after if self.start else None

    @property
    def changed(self) -> bool:
        return self.defines or self.start

    def as_result(self) -> dict[str, t.Any]:
        """Return the result of the task, its diff included. Runtime facts are no part of the diff."""
        return {"changed": self.changed, "job": _shown(self.after), "diff": self._diff()}

    def _diff(self) -> dict[str, t.Any]:
        header = f"job {self.name}"
        return {
            "before_header": header,
            "after_header": header,
            "before": _shown(self.before) or {},
            "after": _shown(self.after) or {},
        }


def plan_job(options: Mapping[str, t.Any], found: JobSpec | None, *, running: str | None) -> JobPlan:
    """Decide what a task does; ``running`` is the id of the live session of the job.

    Raises:
        RequestError: the declaration is not valid, or a job that is only named does not exist (``job_unknown``).
        StateError: a disabled job is started (``job_disabled``), a running one removed (``session_running``).
    """
    state = State(options["state"])
    name = options["name"]
    if state is State.ABSENT:
        if found is not None and running is not None:
            raise _still_running(name, running)
        return JobPlan(name, found, None)
    job = _declared(options) or found
    job = require_job(name, job)
    after = _enabled(state, job, found)
    if state is State.STARTED and not after.enabled:
        raise _disabled(name)
    return JobPlan(name, found, after, start=state is State.STARTED and running is None)


@dataclass(frozen=True)
class StopPlan:
    """What to ask the session of a job that runs; without a request there is nothing to do."""

    message: str
    session_id: str | None = None
    request: StopRequest | None = None

    @property
    def changed(self) -> bool:
        return self.request is not None

    def as_result(self) -> dict[str, t.Any]:
        """Return the result of the task."""
        session = None if self.session_id is None else {"session_id": self.session_id, "attached": True}
        return {"changed": self.changed, "msg": self.message, "session": session}


def plan_stop(
    options: Mapping[str, t.Any], status: Mapping[str, t.Any] | None, *, asked: StopRequest | None, now: float
) -> StopPlan:
    """Decide what to ask the newest session of a job; ``status`` is its status, ``asked`` what it was asked before."""
    if status is None:
        return StopPlan(f"job {options['name']} has no session in {options['state_dir']}: there is nothing to stop")
    session = f"session {status['session_id']} of job {options['name']}"
    if status["state"] != "running":
        return StopPlan(f"{session} has ended: there is nothing to stop")
    if not status["alive"]:
        return StopPlan(f"{session} was killed: there is nothing to stop, and starting the job resumes it")
    by = "".join(character for character in options["stopped_by"] or "somebody" if character.isprintable())
    request = StopRequest(Stop(options["stop"]), by[:BY_LENGTH_MAX], now)
    if asked is not None and asked.how.covers(request.how):
        return StopPlan(f"{session} was {asked} before", status["session_id"])
    return StopPlan(f"{session} was {request}", status["session_id"], request)


def require_job(name: str, found: JobSpec | None) -> JobSpec:
    """Raise RequestError, reason ``job_unknown``, when there is no job of that name."""
    if found is None:
        raise _unknown(name)
    return found


def machines_of(job: JobSpec, wanted: list[str] | None) -> tuple[str, ...]:
    """Return the machines of a job that a task is about: all, or those that it names.

    Raises RequestError, reason ``vms_invalid``, for one that the job does not have.
    """
    if wanted is None:
        return job.vms
    known = {name.casefold(): name for name in job.vms}
    if not wanted or not {name.casefold() for name in wanted} <= set(known):
        raise invalid("vms", wanted, hint=f"name machines of job {job.name}: {', '.join(job.vms)}")
    return tuple(dict.fromkeys(known[name.casefold()] for name in wanted))


def _declared(options: Mapping[str, t.Any]) -> JobSpec | None:
    """Return the job that the options define, None when they only name it."""
    if options["vms"] is None:
        return None
    return JobSpec.from_dict({"name": options["name"], **{option: options[option] for option in JOB}})


def _enabled(state: State, job: JobSpec, found: JobSpec | None) -> JobSpec:
    if state is State.STARTED:
        return replace(job, enabled=found is None or found.enabled)
    return replace(job, enabled=state is State.PRESENT)


def _shown(job: JobSpec | None) -> dict[str, t.Any] | None:
    return None if job is None else job.as_dict()


def _unknown(name: str) -> EngineError:
    return RequestError(
        f"job {shown(name)} does not exist",
        hint="define it with vms, source_host, target_host and target_path, or correct name or catalog_url",
        reason="job_unknown",
    )


def _disabled(name: str) -> EngineError:
    return StateError(
        f"job {name} is disabled",
        current="disabled",
        allowed=("present", "absent"),
        hint="enable it with state: present",
        reason="job_disabled",
    )


def _still_running(name: str, session_id: str) -> EngineError:
    return StateError(
        f"job {name} cannot be removed while its session {session_id} runs",
        current="running",
        allowed=("started", "stopped", "present", "disabled"),
        hint="wait for its end with state: started, or end it with state: stopped",
        reason="session_running",
    )
