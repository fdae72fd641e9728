#!/usr/bin/python
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hyperv_replica_info
short_description: Read jobs, session history and replicas
version_added: 0.1.0
description:
  - Reads the catalog of the manager, that is the jobs, the history of their sessions and an index of the replicas.
  - >-
    With O(host) and O(path) it also reads the replica records from the target host itself. They are the authority on a
    replica; the catalog only follows them, and they are there when the catalog is lost.
author:
  - OpenDR contributors (@opendr)
extends_documentation_fragment:
  - opendr.hyperv.attributes
  - opendr.hyperv.attributes.info_module
  - opendr.hyperv.manager
  - opendr.hyperv.manager.catalog
  - opendr.hyperv.topology
options:
  gather:
    description: What to read from the catalog.
    type: list
    elements: str
    choices: [jobs, sessions, replicas]
    default: [jobs, sessions, replicas]
  name:
    description: Only what belongs to this job. A job that does not exist gives empty lists, no error.
    type: str
  sessions_max:
    description: How many sessions to return, newest first; at least 1.
    type: int
    default: 20
  host:
    description: Inventory name of a target host, to read the replica records in O(path) from.
    type: str
  path:
    description: Folder on O(host) that holds the replicas, the C(target_path) of their jobs.
    type: str
seealso:
  - module: opendr.hyperv.hyperv_replica_job
  - module: opendr.hyperv.hyperv_replica_session_info
"""

EXAMPLES = r"""
- name: Read everything about a job
  opendr.hyperv.hyperv_replica_info:
    name: web
  register: web

- name: Show when each replica was last brought up to date
  ansible.builtin.debug:
    msg: "{{ item.replica }} is of {{ '%Y-%m-%d %H:%M' | strftime(item.newest_source_time) }}"
  loop: "{{ web.replicas }}"
  loop_control:
    label: "{{ item.replica }}"

- name: Read the replicas from the target host itself, without any catalog
  opendr.hyperv.hyperv_replica_info:
    gather: []
    host: hv-b
    path: 'D:\Replicas'
  register: found
"""

RETURN = r"""
jobs:
  description: The jobs, as RV(opendr.hyperv.hyperv_replica_job#module:job) has them.
  returned: when O(gather) has V(jobs)
  type: list
  elements: dict
  sample:
    - name: web
      vms: [web1]
      source_host: hv-a
      target_host: hv-b
      target_path: 'D:\Replicas'
      suffix: _replica
      restore_points: 7
      block_size: 1048576
      compression: optimal
      consistency: application_or_crash
      source_proxies: []
      target_proxies: []
      switches: {}
      on_touched: compare
      rpo_seconds: 3600
      enabled: true
sessions:
  description:
    - Sessions, newest first, as RV(opendr.hyperv.hyperv_replica_job#module:session) has them.
    - A session that runs has no report yet. One whose worker was killed is V(failed) once the job has run again.
  returned: when O(gather) has V(sessions)
  type: list
  elements: dict
  sample:
    - session_id: 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
      job: web
      manager: mgr
      state: running
      started_at: 1795615203.0
      ended_at: null
      machines: []
      error: null
replicas:
  description: The replicas as the catalog remembers them from the last session. Times are seconds since 1970.
  returned: when O(gather) has V(replicas)
  type: list
  elements: dict
  sample:
    - replica_id: 3f1c5a7e-64c1-4a55-b2b0-6c1f5d3e8a90
      replica: web1_replica
      job: web
      vm_id: 5b7c0a52-88a1-4c58-9d53-0f5ad2a4f3f1
      vm_name: web1
      source_host: hv-a
      target_host: hv-b
      folder: 'D:\Replicas\web1_replica'
      epoch: 12
      state: ready
      restore_point_count: 7
      newest_source_time: 1795615203.0
      last_error: null
      updated_at: 1795615274.4
records:
  description:
    - The replicas as the target host itself has them, with their restore points, oldest first.
    - C(session_id) is the session that works on the replica now.
    - A record that cannot be read has its C(folder) and an C(error).
  returned: when O(host) is given
  type: list
  elements: dict
  sample:
    - replica_id: 3f1c5a7e-64c1-4a55-b2b0-6c1f5d3e8a90
      replica: web1_replica
      job: web
      vm_id: 5b7c0a52-88a1-4c58-9d53-0f5ad2a4f3f1
      vm_name: web1
      source_host: hv-a
      target_host: hv-b
      folder: 'D:\Replicas\web1_replica'
      epoch: 12
      state: ready
      restore_point_count: 1
      newest_source_time: 1795615203.0
      restore_points:
        - id: 0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d
          name: "OpenDR 2026-11-25 14:00:03Z 4b0f6e0a-6f0e-4d0e-9d5c-2f7a1c9e8b31"
          source_time: 1795615203.0
          consistency: Application
      session_id: null
      last_error: null
      error: null
failure:
  description: What went wrong, as RV(opendr.hyperv.hyperv_replica_job#module:failure) has it.
  returned: failure
  type: dict
  sample:
    code: transport_failed
    reason: unreachable
    message: "host hv-b (10.0.0.2:5986) cannot be reached: Connection refused"
    hint: check ansible_host and ansible_psrp_port, the firewall, and that WinRM listens on HTTPS
    retryable: true
"""

from ansible_collections.opendr.hyperv.plugins.module_utils import _services as services
from ansible_collections.opendr.hyperv.plugins.module_utils import _shapes as shapes
from ansible_collections.opendr.hyperv.plugins.module_utils._module import EngineModule
from ansible_collections.opendr.hyperv.plugins.module_utils._spec import INFO_MODULE, INFO_RULES


def read(module):
    """Read what is asked for from the catalog, and from the host when one is named."""
    options = module.params
    result = {"changed": False, **(from_catalog(options) if options["gather"] else {})}
    if options["host"] is not None:
        with services.open_host(options, options["host"]) as host:
            result["records"] = [shapes.record(stored) for stored in host.find_records(options["path"])]
    return result


def from_catalog(options):
    """Read the parts of the catalog that are asked for."""
    job, gather = options["name"], options["gather"]
    result = {}
    with services.read_catalog(options) as catalog:
        if "jobs" in gather:
            result["jobs"] = [found.as_dict() for found in catalog.jobs() if job in (None, found.name)]
        if "sessions" in gather:
            sessions = catalog.sessions(job=job, limit=options["sessions_max"])
            result["sessions"] = [shapes.session(entry) for entry in sessions]
        if "replicas" in gather:
            result["replicas"] = [shapes.replica(entry) for entry in catalog.replicas(job=job)]
    return result


def main():
    EngineModule(INFO_MODULE, **INFO_RULES).run(read)


if __name__ == "__main__":
    main()
