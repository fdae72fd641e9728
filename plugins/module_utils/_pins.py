# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Pin a restore point: what only module hyperv_replica needs."""

from __future__ import annotations

import typing as t
import uuid

from . import _services as services
from ._engine.adapters.state_folder import StateFolder
from ._engine.jobs import JobSpec, invalid
from ._engine.model.record import Lease, Point
from ._engine.services.pins import carry_out_pin, plan_pin
from ._engine.services.replicate.site import Limits


def set_pin(options: services.Options, job: JobSpec, *, check_mode: bool) -> dict[str, t.Any]:
    """Pin the restore point that the options name, or let go of it; return the result of the task."""
    point_id = _uuid(options["restore_point"])
    with services.open_host(options, job.target_host) as host:
        plan = plan_pin(host, job.target_path, point_id=point_id, pinned=options["pinned"])
        if plan.changed and not check_mode:
            folder = StateFolder(options["state_dir"])
            folder.make()
            manager = options["topology"]["manager"]["name"]
            lease = Lease(manager, folder.manager_id(), uuid.uuid4(), Limits().lease_seconds)
            carry_out_pin(host, folder, plan=plan, lease=lease)
    after = _shown(plan.point_after)
    return {"changed": plan.changed, "restore_point": after, "diff": {"before": _shown(plan.point), "after": after}}


def _shown(point: Point) -> dict[str, t.Any]:
    return point.report.as_dict()


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise invalid(
            "restore_point", text, hint="the id of a restore point, as hyperv_replica_info shows it"
        ) from None
