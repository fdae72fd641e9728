# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Refusals of hosts and movers in the words of the job: which option, which value, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...errors import EngineError, HypervisorError, RequestError, StateError
from ...jobs import JobSpec


def in_terms_of_the_job(error: EngineError, job: JobSpec, *, vm: str) -> EngineError:
    """Return a better error where an option of the job is the cause, else the same; ``vm`` is the job's word for it."""
    if isinstance(error, HypervisorError) and error.error_id in _TABLE:
        option, value, hint = _TABLE[error.error_id]
        text = f"option {option}: {value(job)!r} is refused by its host: {error.message}"
        return RequestError(text, hint=hint, reason=error.reason)
    if isinstance(error, RequestError | StateError) and not error.message.startswith("option "):
        if error.reason in _OF_THE_MACHINE:
            return _about(error, "vms", vm)
        if error.reason == "volume_full":
            return _about(error, "target_path", job.target_path)
    return error


def _about(error: EngineError, option: str, value: str) -> EngineError:
    return type(error)(f"option {option}: {value!r}: {error.message}", hint=error.hint, reason=error.reason)


_OF_THE_MACHINE: Final = frozenset(
    {
        "checkpoints_disabled",
        "disk_ids_equal",
        "disk_unsupported",
        "source_volume_full",
        "version_too_old",
        "vm_without_disks",
    }
)
_TABLE: Final[dict[str, tuple[str, Callable[[JobSpec], str], str]]] = {
    "Hvr.PathNotAllowed": (
        "target_path",
        lambda job: job.target_path,
        "choose a folder below the allowed ones of the target host, or allow it there with role hyperv_host",
    ),
    "Hvr.DriveNotFound": (
        "target_path",
        lambda job: job.target_path,
        "choose a folder on a drive that the target host has",
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
