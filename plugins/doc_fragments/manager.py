# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that run on a replication manager."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the manager keeps its state; ``module_utils/_spec.py`` has the argument specification."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - >-
        Folder on the manager for the engine, the status and logs of sessions and, by default, the catalog.
        An absolute path; C(~) is the home of the user that the task becomes there.
      - It is made with mode C(0700) when it does not exist.
    type: path
    default: /var/lib/opendr
"""

    CATALOG = r"""
options:
  catalog_url:
    description:
      - Database of jobs and session history, as an SQLAlchemy URL.
      - Without it the catalog is the SQLite file C(catalog.sqlite) in O(state_dir).
      - SQLite is refused on a network file system.
      - Losing the catalog loses jobs and history. Replicas and their restore points are not affected.
    type: str
"""
