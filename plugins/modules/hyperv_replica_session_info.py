#!/usr/bin/python
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hyperv_replica_session_info
short_description: Read the status of replication sessions
version_added: 0.1.0
description:
  - Tells how far replication sessions are, from the status files that their workers keep on the manager.
  - It reads a few small files and loads no library, so it may be called often and for many sessions at once.
  - Sessions that the manager does not know are left out of the result; that is no error.
author:
  - OpenDR contributors (@opendr)
extends_documentation_fragment:
  - opendr.hyperv.attributes
  - opendr.hyperv.attributes.info_module
  - opendr.hyperv.manager
options:
  sessions:
    description: Identifiers of the sessions to read.
    type: list
    elements: str
    default: []
  jobs:
    description: Names of jobs; the newest session of each is read.
    type: list
    elements: str
    default: []
  events_after:
    description:
      - Return the events of each session with a sequence number above this one.
      - V(0) returns all events. Without it no events are returned.
    type: int
seealso:
  - module: opendr.hyperv.hyperv_replica_job
  - module: opendr.hyperv.hyperv_replica_info
"""

EXAMPLES = r"""
- name: Look at the newest session of two jobs
  opendr.hyperv.hyperv_replica_session_info:
    jobs:
      - web
      - database
  register: now

- name: Wait until both have ended
  opendr.hyperv.hyperv_replica_session_info:
    jobs:
      - web
      - database
  register: now
  until: now.sessions | rejectattr('alive') | length == now.sessions | length
  retries: 720
  delay: 10

- name: Read a session with everything that it has said so far
  opendr.hyperv.hyperv_replica_session_info:
    sessions:
      - 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
    events_after: 0
"""

RETURN = r"""
sessions:
  description: The sessions found, in the order asked for, those of O(sessions) before those of O(jobs).
  returned: success
  type: list
  elements: dict
  contains:
    session_id:
      description: Identifier of the session.
      type: str
      returned: always
      sample: 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
    job:
      description: Name of the job.
      type: str
      returned: always
      sample: web
    state:
      description: One of V(running), V(done), V(failed), V(cancelled).
      type: str
      returned: always
      sample: running
    alive:
      description:
        - Whether a worker runs the session now.
        - A session that is V(running) and not alive was killed; starting the job again resumes it.
      type: bool
      returned: always
      sample: true
    manager:
      description: Inventory name of the manager.
      type: str
      returned: always
      sample: mgr
    kind:
      description: What the session does, V(replicate) or V(verify).
      type: str
      returned: always
      sample: replicate
    started_at:
      description: Start, in seconds since 1970.
      type: float
      returned: always
      sample: 1795600861.2
    ended_at:
      description: End, in seconds since 1970, null while it runs.
      type: float
      returned: always
      sample: null
    percent:
      description: Progress of the data transfer, 0 to 100.
      type: int
      returned: always
      sample: 42
    bytes_total:
      description: Bytes of the virtual disks that this session has to look at.
      type: int
      returned: always
      sample: 2147483648
    bytes_processed:
      description: How many of RV(sessions[].bytes_total) are done.
      type: int
      returned: always
      sample: 901943132
    bytes_sent:
      description: Bytes that went over the network.
      type: int
      returned: always
      sample: 312475648
    rate:
      description: Bytes processed per second.
      type: int
      returned: always
      sample: 123731968
    eta_seconds:
      description: Estimated seconds until the data is at the target, null when unknown.
      type: int
      returned: always
      sample: 11
    stop:
      description:
        - The request to stop the session, null without one. It has C(by), C(at), and C(how) with the values of
          O(opendr.hyperv.hyperv_replica_job#module:stop).
      type: dict
      returned: always
      sample: null
    machines:
      description: Each machine with its phase, the same counters, its disks and its error.
      type: list
      elements: dict
      returned: always
      sample:
        - name: web1
          replica: web1_replica
          state: running
          phase: transfer
          percent: 42
          error: null
    error:
      description: Why the session failed, null otherwise.
      type: dict
      returned: always
      sample: null
    result:
      description: The report of an ended session, as RV(opendr.hyperv.hyperv_replica_job#module:session) has it.
      type: dict
      returned: always
      sample: null
    events:
      description: What the session said, oldest first.
      type: list
      elements: dict
      returned: when O(events_after) is given
      sample:
        - sequence: 17
          time: 1795600885.9
          kind: progress
          machine: web1
          disk: "SCSI 0:0"
          phase: transfer
          percent: 45
          text: "web1: SCSI 0:0 45 % of 10.0 GiB, 3.1 GiB sent, 118 MiB/s, 00:31 left"
failure:
  description: What went wrong, as RV(opendr.hyperv.hyperv_replica_job#module:failure) has it.
  returned: failure
  type: dict
  sample:
    code: request_invalid
    reason: state_dir_invalid
    message: "option state_dir: 'state' is not allowed"
    hint: give an absolute path, such as /var/lib/opendr
    retryable: false
"""

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.worker_process import (
    latest_session,
    read_events,
    read_status,
)
from ansible_collections.opendr.hyperv.plugins.module_utils._module import EngineModule
from ansible_collections.opendr.hyperv.plugins.module_utils._spec import SESSION_INFO_MODULE


def read(module):
    """Read the status files asked for; what is not there is left out."""
    state_dir = module.params["state_dir"]
    newest = (latest_session(state_dir, job) for job in module.params["jobs"])
    wanted = dict.fromkeys([*module.params["sessions"], *(session for session in newest if session)])
    found = (session(state_dir, session_id, events_after=module.params["events_after"]) for session_id in wanted)
    return {"changed": False, "sessions": [status for status in found if status]}


def session(state_dir, session_id, *, events_after):
    """Return the status of a session, with its events when asked for; None when there is no such session."""
    status = read_status(state_dir, session_id)
    if status is None or events_after is None:
        return status
    return {**status, "events": read_events(state_dir, session_id, after=events_after)}


def main():
    EngineModule(SESSION_INFO_MODULE).run(read)


if __name__ == "__main__":
    main()
