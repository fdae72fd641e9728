#!/usr/bin/python
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hyperv_replica
short_description: Verify replicas of Hyper-V virtual machines, pin their restore points
version_added: 0.1.0
description:
  - >-
    With O(verify) it compares the newest restore point of each replica of a job with the source machine. What has
    changed on the source since is left out; everything else has to be equal. Only digests go over the network.
  - >-
    The structure of the files of all restore points is checked as well. What is found bad is remembered; the next run
    of the job sends it again, and the restore point that this run makes is whole.
  - >-
    With O(restore_point) it pins a restore point, so that retention leaves it alone, or lets go of it again.
author:
  - OpenDR contributors (@opendr)
extends_documentation_fragment:
  - opendr.hyperv.attributes
  - opendr.hyperv.manager
  - opendr.hyperv.manager.catalog
  - opendr.hyperv.topology
attributes:
  check_mode:
    support: full
    details:
      - In check mode nothing is verified.
  diff_mode:
    support: full
    details:
      - The difference shows the restore point that is pinned or let go of.
  idempotent:
    support: full
options:
  name:
    description: Name of the job whose replicas these are. It is read from the catalog and may be disabled.
    type: str
    required: true
  vms:
    description: Machines of the job to verify, by the words that the job has for them. Without it, all of them.
    type: list
    elements: str
  verify:
    description:
      - V(full) compares everything.
      - >-
        V(sample) compares a share of what the source stores, chosen at random, and the first and last MiB of each
        disk.
      - >-
        It is refused while the job runs. A verification of the job that runs already is attached to, whatever it
        verifies.
      - The task fails with V(integrity_failed) when something is bad.
    type: str
    choices: [sample, full]
  sample_percent:
    description: Share of what the source stores that V(sample) compares, 1 to 100.
    type: int
    default: 5
  sample_seed:
    description:
      - Chooses the sample. The same number, as the result of another task shows it, compares the same places again.
      - Without it each task takes a new one.
    type: int
  restore_point:
    description: The id of a restore point to pin or to let go of.
    type: str
  pinned:
    description:
      - Whether O(restore_point) is kept beside those that the job keeps, until it is let go of.
    type: bool
  wait:
    description: Whether the verification is followed to its end. Without it the task ends when it has begun.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to follow a verification before the task fails. It goes on, and the same task attaches to it again.
      - V(0) waits without limit.
    type: int
    default: 86400
  poll_interval:
    description: Seconds between two looks at the verification, at least 1.
    type: int
    default: 2
  progress:
    description: V(lines) prints lines as module M(opendr.hyperv.hyperv_replica_job) does.
    type: str
    choices: [lines, none]
    default: lines
seealso:
  - module: opendr.hyperv.hyperv_replica_job
  - module: opendr.hyperv.hyperv_replica_info
"""

EXAMPLES = r"""
- name: Look at a twentieth of each replica of a job
  opendr.hyperv.hyperv_replica:
    name: web
    verify: sample

- name: Verify a machine, and let the job repair what is bad
  block:
    - name: Compare all of it
      opendr.hyperv.hyperv_replica:
        name: web
        vms:
          - web1
        verify: full
  rescue:
    - name: Send what is bad again
      opendr.hyperv.hyperv_replica_job:
        name: web
        state: started
      when: ansible_failed_result.failure.reason == "restore_point_bad"

- name: Keep the restore point from before the upgrade
  opendr.hyperv.hyperv_replica:
    name: web
    restore_point: 0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d
    pinned: true
"""

RETURN = r"""
session:
  description:
    - The verification that was started or attached to, with its report once it has ended, as
      RV(opendr.hyperv.hyperv_replica_job#module:session) has it. Sizes are in bytes.
    - It is null in check mode when one would be started.
  returned: with O(verify)
  type: dict
  contains:
    session_id:
      description: Identifier of the session.
      type: str
      returned: always
      sample: 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1
    attached:
      description: Whether the session ran already.
      type: bool
      returned: always
      sample: false
    kind:
      description: V(verify).
      type: str
      returned: when the session has ended
      sample: verify
    state:
      description: One of V(done), V(failed), V(cancelled).
      type: str
      returned: when the session has ended
      sample: failed
    bytes_read:
      description: Bytes that were compared.
      type: int
      returned: when the session has ended
      sample: 3435973836
    machines:
      description:
        - One report for each machine. C(verification) says which restore point was looked at and how, its C(verdict)
          (V(good), V(bad)), the C(sample_seed), and which older restore points stand on the files of a bad one.
        - >-
          Of each disk, C(bytes_total) is what was to be compared, C(bytes_same) what is equal, C(bytes_bad) what is
          not, and C(bad_extents) where that is, in a short list that may join neighbours.
      type: list
      elements: dict
      returned: when the session has ended
      sample:
        - name: web1
          replica: web1_replica
          state: failed
          verification:
            restore_point: 0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d
            mode: sample
            sample_percent: 5
            sample_seed: 2882343476
            verdict: bad
            suspect_restore_points: [4b0f6e0a-6f0e-4d0e-9d5c-2f7a1c9e8b31]
          disks:
            - slot: SCSI 0:0
              scope: verify
              reason: sample
              bytes_disk: 68719476736
              bytes_total: 3435973836
              bytes_same: 3435908300
              bytes_bad: 65536
              bad_extents:
                - offset: 3145728
                  length: 65536
restore_point:
  description: The restore point as it is afterwards.
  returned: with O(restore_point)
  type: dict
  sample:
    id: 0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d
    name: "OpenDR 2026-11-25 14:00:03Z 4b0f6e0a-6f0e-4d0e-9d5c-2f7a1c9e8b31"
    source_time: 1795615203.0
    consistency: Application
    pinned: true
    verified:
      at: 1795618803.0
      mode: sample
      verdict: good
failure:
  description:
    - What went wrong, as RV(opendr.hyperv.hyperv_replica_job#module:failure) has it.
    - >-
      C(code) is V(integrity_failed) with C(reason) V(restore_point_bad) when the job repairs it, V(structure_damaged)
      when nothing here can.
    - >-
      V(not_comparable) and V(leaf_touched) say that nothing is known to be bad, but that only a restore point of a new
      run of the job can be compared.
  returned: failure
  type: dict
  sample:
    code: integrity_failed
    reason: restore_point_bad
    message: >-
      restore point OpenDR 2026-11-25 14:00:03Z 4b0f6e0a-6f0e-4d0e-9d5c-2f7a1c9e8b31 of replica web1_replica is bad:
      64.0 KiB of disk SCSI 0:0 differ from the source
    hint: check the storage of hv-b, then run the job; it sends what is bad again and makes a new restore point
    retryable: false
    machine: web1
"""

from dataclasses import replace

from ansible_collections.opendr.hyperv.plugins.module_utils import _services as services
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Kind
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import VerifySpec
from ansible_collections.opendr.hyperv.plugins.module_utils._module import EngineModule
from ansible_collections.opendr.hyperv.plugins.module_utils._pins import set_pin
from ansible_collections.opendr.hyperv.plugins.module_utils._plan import machines_of, require_job
from ansible_collections.opendr.hyperv.plugins.module_utils._spec import REPLICA_MODULE, REPLICA_RULES


def converge(module):
    """Find the job, and do the one thing that the task asks for."""
    options = module.params
    with services.read_catalog(options, may_upgrade=not module.check_mode) as catalog:
        job = require_job(options["name"], catalog.find_job(options["name"]))
    if options["verify"] is None:
        return set_pin(options, job, check_mode=module.check_mode)
    return {"changed": False, "session": verify(module, job)}


def verify(module, job):
    """Start the verification, or find the one that runs; in check mode None instead of a new one."""
    options = module.params
    spec = VerifySpec.from_dict(
        {"mode": options["verify"], "sample_percent": options["sample_percent"], "seed": options["sample_seed"]}
    )
    wanted = replace(job, vms=machines_of(job, options["vms"]), enabled=True)
    running = services.running_session(options, kind=Kind.VERIFY)
    if running is not None:
        return {"session_id": running, "attached": True}
    return None if module.check_mode else services.start_session(options, wanted, verify=spec)


def main():
    EngineModule(REPLICA_MODULE, **REPLICA_RULES).run(converge)


if __name__ == "__main__":
    main()
