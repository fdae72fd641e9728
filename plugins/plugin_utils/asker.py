# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""Who runs a play, for those who read later why a session stopped."""

from __future__ import annotations

import getpass
import socket
import typing as t
from collections.abc import Mapping


def asker(variables: Mapping[str, t.Any]) -> str:
    """Return the AWX user and job where the play has them, else user and host of the controller.

    Source: AWX, "Extra variables": awx_job_id, awx_user_name and the same with the prefix of AAP's older name, tower.
    """
    for product in ("awx", "tower"):
        job = variables.get(f"{product}_job_id")
        if job is not None:
            return f"{variables.get(f'{product}_user_name') or 'a schedule'}, AWX job {job}"
    return f"{_user()} on {socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"  # a container may run as a user that it has no name for
