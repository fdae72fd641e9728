# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection.
"""What options must be beyond their types, where no part of the engine checks it. Both sides of a task ask this."""

from __future__ import annotations

import posixpath
import typing as t

from ._engine.errors import RequestError
from ._engine.jobs import invalid

MINIMA = {"timeout": (0, "seconds"), "poll_interval": (1, "seconds"), "sessions_max": (1, "sessions")}


def check_options(options: t.Mapping[str, t.Any]) -> None:
    """Check the options of any module of the collection; their types are right already.

    Raises:
        RequestError: reason ``<option>_invalid``.
    """
    if not posixpath.isabs(options["state_dir"]):
        raise invalid("state_dir", options["state_dir"], hint="give an absolute path, such as /var/lib/opendr")
    for option, (minimum, what) in MINIMA.items():
        if options.get(option, minimum) < minimum:
            raise invalid(option, options[option], hint=f"give a number of {what} from {minimum}")


def refused_options(message: str) -> RequestError:
    """Build the error of options that Ansible refuses: unknown, missing, or of another type."""
    return RequestError(
        message.rstrip("."), hint="correct the task; ansible-doc describes its options", reason="options_invalid"
    )
