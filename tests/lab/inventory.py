# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as Ansible sees it: the inventory of two Hyper-V hosts with their movers, and a manager."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.opendr.hyperv.tests.lab.site import MANAGER, PASSWORD, USER, ProcessSite


def write_inventory(
    site: ProcessSite, path: Path, *, jobs: Sequence[Any] = (), changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """Write an inventory of a running site.

    ``changes`` are host variables by host name; a name ``hv-a/x`` or ``mgr/x`` is one more host like that one, which no
    play runs on by itself.
    """
    manager = site.topology(site.job())["manager"]
    hosts: dict[str, dict[str, Any]] = {
        name: {"ansible_port": process.port, "opendr_mover_port": site.movers[name].port}
        for name, process in site.hosts.items()
    }
    hosts[MANAGER] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "opendr_state_dir": str(site.state_dir),
        "opendr_poll_interval": 1,
        "opendr_manager_certificate": manager["certificate"],
        "opendr_manager_key": manager["key"],
        "opendr_manager_ca": manager["ca"],
        "opendr_jobs": list(jobs),
    }
    more = {}
    for name, variables in (changes or {}).items():
        original, slash, _rest = name.partition("/")
        if slash:
            more[name.replace("/", "-")] = {**hosts[original], **variables}
        else:
            hosts[name].update(variables)
    connection = {
        "ansible_host": "127.0.0.1",
        "ansible_user": USER,
        "ansible_password": PASSWORD,
        "ansible_psrp_auth": "basic",
        "ansible_psrp_ca_cert": str(site.authority.ca_file),
    }
    groups = {
        "replication_managers": {"hosts": {MANAGER: hosts.pop(MANAGER)}},
        "hyperv_hosts": {"hosts": hosts, "vars": connection},
        "spares": {"hosts": {name: {**connection, **variables} for name, variables in more.items()}},
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(groups, sort_keys=False))
    return path
