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
    replica; the catalog only follows them, and they are there when the catalog is lost. They tell who works on a
    replica now, how far it is behind its source, and what the next start of its job would do.
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

- name: Fail when a replica is further behind its source than its job allows
  ansible.builtin.assert:
    that: item.rpo_met is not false
    fail_msg: >-
      {{ item.replica }} is {{ item.lag_seconds }} s behind; a start of job {{ item.job }} {{ item.restart.text }}.
      {{ item.last_error.message | default('') }}
  loop: "{{ found.records | selectattr('error', 'none') }}"
  loop_control:
    label: "{{ item.replica }}"
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
  description:
    - The replicas as the catalog remembers them from the last session. Times are seconds since 1970.
    - C(lag_seconds), C(rpo_seconds) and C(rpo_met) are as those of RV(records), by the clocks of manager and source.
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
      lag_seconds: 1211.4
      rpo_seconds: 3600
      rpo_met: true
      last_error: null
      updated_at: 1795615274.4
records:
  description:
    - The replicas as the target host itself has them.
    - A record that cannot be read has its C(folder), C(epoch) and an C(error), and nothing else.
  returned: when O(host) is given
  type: list
  elements: dict
  contains:
    replica_id:
      description: Identifier of the replica.
      type: str
      returned: success
      sample: 3f1c5a7e-64c1-4a55-b2b0-6c1f5d3e8a90
    replica:
      description: Name of the replica's machine on the target host.
      type: str
      returned: success
      sample: web1_replica
    job:
      description: The job that replicated last.
      type: str
      returned: success
      sample: web
    vm_id:
      description: Identifier of the source machine.
      type: str
      returned: success
      sample: 5b7c0a52-88a1-4c58-9d53-0f5ad2a4f3f1
    vm_name:
      description: Name of the source machine.
      type: str
      returned: success
      sample: web1
    source_host:
      description: Inventory name of the source host.
      type: str
      returned: success
      sample: hv-a
    target_host:
      description: Inventory name of the target host.
      type: str
      returned: success
      sample: hv-b
    folder:
      description: Folder of the replica on the target host.
      type: str
      returned: always
      sample: 'D:\Replicas\web1_replica'
    epoch:
      description: Number of the session that took the replica last, counted from 1. Hosts and movers refuse older ones.
      type: int
      returned: always
      sample: 12
    state:
      description: State of the replica, such as V(new) (no restore point yet) or V(ready).
      type: str
      returned: success
      sample: ready
    restore_point_count:
      description: How many restore points there are.
      type: int
      returned: success
      sample: 1
    restore_points:
      description:
        - The restore points, oldest first.
        - >-
          C(verified) is null, or what module M(opendr.hyperv.hyperv_replica) said last. C(verdict) is V(good), V(bad),
          or V(suspect) for one that stands on the files of a bad one.
      type: list
      elements: dict
      returned: success
      sample:
        - id: 0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d
          name: "OpenDR 2026-11-25 14:00:03Z 4b0f6e0a-6f0e-4d0e-9d5c-2f7a1c9e8b31"
          source_time: 1795615203.0
          consistency: Application
          pinned: false
          verified:
            at: 1795618803.0
            mode: full
            verdict: good
    newest_source_time:
      description: The moment that the newest restore point shows, by the source host's clock; null without one.
      type: float
      returned: success
      sample: 1795615203.0
    lag_seconds:
      description:
        - Age of the newest restore point, null without one.
        - >-
          It is the manager's time less that of the source host, but no less than the age of the record by the clock of
          the target host, since a point is never younger than the record. A clock that is behind cannot hide a lag.
      type: float
      returned: success
      sample: 1211.4
    rpo_seconds:
      description: The lag that the job allows, null when it says nothing.
      type: int
      returned: success
      sample: 3600
    rpo_met:
      description: Whether the lag is one that the job allows, null when it says nothing.
      type: bool
      returned: success
      sample: true
    activity:
      description:
        - V(idle), no session has the replica.
        - V(running), a session has it, and has renewed its lease lately.
        - >-
          V(stalled), a session has it but does not renew its lease; it waits for a host, or is frozen or cut off. From
          the manager that runs it, M(opendr.hyperv.hyperv_replica_session_info) tells more.
        - V(dead), a session had it and ended without giving it back. The next start of the job takes it.
      type: str
      returned: success
      sample: running
    lease:
      description:
        - Who has the replica, null when nobody. It was renewed C(renewed_seconds_ago), by the clock of the target host,
          and ends in C(seconds_left) unless it is renewed.
        - The manager that runs the session need not wait for the end of a dead session's lease.
      type: dict
      returned: success
      sample:
        manager: mgr
        session_id: 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
        renewed_seconds_ago: 41
        seconds_left: 259
    session_id:
      description: The session that has the replica, null when none.
      type: str
      returned: success
      sample: 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
    last_session_id:
      description: That session, or else the last one that sent anything into the replica; null when none did.
      type: str
      returned: success
      sample: 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
    pending_step:
      description: What a session was about to do when it wrote the record last, null when no cycle is under way.
      type: str
      returned: success
      sample: transfer
    restart:
      description:
        - What the next start of the job would do.
        - >-
          C(action) is V(replicate), V(resume) (go on with a cycle that was begun), V(finish) (make the restore point of
          a cycle whose data are there), V(attach) (to the session that has the replica), V(wait) (it is refused while a
          session of another manager has the replica), or V(refuse) (the replica is in a state that allows none).
        - C(text) says it as a sentence whose subject is the start.
        - >-
          C(disks) has what the leaf of each disk holds, which scope is sent, and how much is sent because module
          M(opendr.hyperv.hyperv_replica) found it bad, where the record tells. What only hosts
          know, such as a checkpoint that is gone or a replica that was touched, may lead to more.
      type: dict
      returned: success
      sample:
        action: resume
        text: >-
          goes on with the cycle of session 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1 while the source has its checkpoint,
          else replicates anew
        disks:
          - slot: "SCSI 0:0"
            disk_id: 6a1d9a52-0b7e-4c58-9d53-0f5ad2a4f3f1
            content: changes
            scope: changed
            bytes_to_repair: 0
    last_error:
      description: Why the last session failed, null when it did not. C(at) is seconds since 1970.
      type: dict
      returned: success
      sample:
        code: transport_failed
        reason: unreachable
        message: "host hv-a (10.0.0.1:5986) cannot be reached: Connection refused"
        hint: check ansible_host and ansible_psrp_port, the firewall, and that WinRM listens on HTTPS
        at: 1795600861.2
    error:
      description: Why the record cannot be read, null when it can.
      type: dict
      returned: always
      sample: null
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

import time
from functools import partial

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
            records = host.find_records(options["path"])
        view_of = partial(services.view_of, options)
        result["records"] = [shapes.record(stored, view_of=view_of, now=time.time()) for stored in records]
    return result


def from_catalog(options):
    """Read the parts of the catalog that are asked for."""
    job, gather = options["name"], options["gather"]
    result = {}
    with services.read_catalog(options) as catalog:
        jobs = {found.name: found for found in catalog.jobs()} if {"jobs", "replicas"} & set(gather) else {}
        if "jobs" in gather:
            result["jobs"] = [found.as_dict() for name, found in jobs.items() if job in (None, name)]
        if "sessions" in gather:
            sessions = catalog.sessions(job=job, limit=options["sessions_max"])
            result["sessions"] = [shapes.session(entry) for entry in sessions]
        if "replicas" in gather:
            allowed = {name: found.rpo_seconds for name, found in jobs.items()}
            result["replicas"] = [
                shapes.replica(entry, allowed=allowed.get(entry.job), now=time.time())
                for entry in catalog.replicas(job=job)
            ]
    return result


def main():
    EngineModule(INFO_MODULE, **INFO_RULES).run(read)


if __name__ == "__main__":
    main()
