# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Refusals of hosts and movers in the words of the job: which option, which value, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...errors import EngineError, HypervisorError, RequestError
from ...jobs import JobSpec


def in_terms_of_the_job(error: EngineError, job: JobSpec) -> EngineError:
    """Return a better error where an option of the job is the cause, else the same."""
    if not isinstance(error, HypervisorError) or error.error_id not in _TABLE:
        return error
    option, value, hint = _TABLE[error.error_id]
    return RequestError(
        f"option {option}: {value(job)!r} is refused by its host: {error.message}", hint=hint, reason=error.reason
    )


_TABLE: Final[dict[str, tuple[str, Callable[[JobSpec], str], str]]] = {
    "Hvr.PathNotAllowed": (
        "target_path",
        lambda job: job.target_path,
        "choose a folder below the allowed ones of the target host, or allow it there with role hyperv_host",
    ),
    "Hvr.VersionNotSupported": (
        "target_host",
        lambda job: job.target_host,
        "choose a target host that runs the machine's configuration version",
    ),
    "Hvr.SwitchNotFound": (
        "switches",
        lambda job: str(dict(job.switches)),
        "map to switches that the target host has",
    ),
}
