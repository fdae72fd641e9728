# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that the modules of the collection share."""

from __future__ import annotations


class ModuleDocFragment:
    """What each module supports, in the words of ansible-doc."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/opendr.hyperv.hyperv) in C(module_defaults) to set shared options once for all modules.
    support: full
    membership:
      - opendr.hyperv.hyperv
      - opendr.hyperv.all
  check_mode:
    description: Can run in C(check_mode) and return the changed status without changing anything.
  diff_mode:
    description: Returns details on what has changed (or would change in C(check_mode)) in diff mode.
  idempotent:
    description:
      - When run twice in a row outside C(check_mode) with the same arguments, the second run reports no change.
  platform:
    description: Where the module itself runs.
    support: full
    platforms: posix
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
"""
