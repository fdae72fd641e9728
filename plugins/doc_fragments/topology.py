# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the names of hosts and movers find their addresses and credentials."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that the action plugins fill from the inventory, and the variables they read."""

    DOCUMENTATION = r"""
options:
  topology:
    description:
      - Where the hosts and movers of the job answer. The action plugin fills it from the inventory; do not set it.
    type: dict
    suboptions:
      engine:
        description: Path of the engine on the manager.
        type: path
      manager:
        description: Name of the manager and the files of its certificate.
        type: dict
        required: true
      hosts:
        description: Connection settings of the Hyper-V hosts by inventory name.
        type: dict
        required: true
      movers:
        description: Address and port of the data movers by inventory name.
        type: dict
        required: true
  secrets:
    description:
      - What nobody may read of O(topology). The action plugin fills it from the inventory; do not set it.
      - It goes to the session worker through a pipe and stays in its memory.
    type: dict
    suboptions:
      passwords:
        description: Passwords of the Hyper-V hosts by inventory name.
        type: dict
        default: {}
      proxies:
        description: URLs of the proxies to the Hyper-V hosts by inventory name, which may hold passwords.
        type: dict
        default: {}
notes:
  - Hyper-V hosts, data movers and the manager are hosts of the inventory; the options name them.
  - >-
    A Hyper-V host is reached with the variables of the connection plugin P(ansible.builtin.psrp#connection):
    C(ansible_host), C(ansible_port), C(ansible_user), C(ansible_password) and C(ansible_psrp_*), set for that host.
  - >-
    A data mover answers at C(opendr_mover_address) (without it C(ansible_host), or its inventory name) and
    C(opendr_mover_port) (without it 7310). Its certificate carries its inventory name.
  - >-
    How much must stay free on the volumes of a Hyper-V host is set in its host variable C(opendr_free_space), a list of
    dictionaries with C(path) (without it, every path of the host; the longest one wins), C(percent) of the volume, and
    C(size) in bytes or as V(20 GiB); the larger of the two counts. Without a limit it is 5 %, at most 2 GiB.
    A session that would get below it is not begun, or ends, with the reason V(source_volume_full) or V(volume_full).
  - >-
    The manager has its certificate, key and certificate authority in the files named by its host variables
    C(opendr_manager_certificate), C(opendr_manager_key) and C(opendr_manager_ca).
"""
