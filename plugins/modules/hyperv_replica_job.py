#!/usr/bin/python
# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hyperv_replica_job
short_description: Define, run and stop the replication of Hyper-V virtual machines
version_added: 0.1.0
description:
  - Keeps replicas of virtual machines on another Hyper-V host, and restore points of each replica.
  - >-
    The first session copies everything that the disks store. Later ones ask Hyper-V what has changed, read that,
    and send it compressed. Each session ends in a restore point, which is an ordinary checkpoint of the replica.
  - The task runs on a replication manager. It starts a worker there and, unless O(wait=false), follows it to its end.
  - >-
    The worker does not depend on the play. A task that ends early, by O(timeout), by an interrupt or because a job
    runner cancelled it, leaves it running; the same task attaches to it again, and one with O(state=stopped) ends it.
    After a crash it resumes where the last session stopped.
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
  diff_mode:
    support: full
    details:
      - The difference shows the definition of the job. What a session transfers is no part of it.
  idempotent:
    support: partial
    details:
      - With O(state=started) each run makes new restore points and reports a change, unless it attaches to a session.
options:
  name:
    description: Name of the job, unique in the catalog.
    type: str
    required: true
  state:
    description:
      - V(present) defines the job and enables it. It needs O(vms), O(source_host), O(target_host) and O(target_path).
      - >-
        V(started) runs the job once, or attaches to the session of it that runs. With O(vms) it defines the job first;
        without, it takes the job from the catalog. A disabled job is refused.
      - >-
        With O(vms), V(started) needs no catalog. When the catalog cannot be used, the job runs as it is declared, with
        a warning; whether it is disabled cannot be seen then.
      - >-
        V(stopped) asks the session of the job that runs to stop, in the way of O(stop), and follows it to its end. No
        session is no error. It needs no other option and no catalog; the job may be started again at once.
      - V(disabled) keeps the job but lets nobody start it. A session that runs goes on.
      - >-
        V(absent) removes the job from the catalog. Replicas and their restore points stay where they are.
        It is refused while a session runs.
    type: str
    choices: [present, absent, started, stopped, disabled]
    default: present
  vms:
    description:
      - The virtual machines to replicate, by name; by identifier where a name is not unique on its host.
      - Machines of a job are replicated in parallel, and one that fails does not stop the others.
    type: list
    elements: str
  source_host:
    description: Inventory name of the Hyper-V host that the machines run on.
    type: str
  target_host:
    description: Inventory name of the Hyper-V host that gets the replicas.
    type: str
  target_path:
    description: Folder on the target host, as that host names it. Each replica gets a folder of its own in it.
    type: str
  suffix:
    description: What the name of a replica ends with, after the name of its machine. It may be empty.
    type: str
    default: _replica
  restore_points:
    description:
      - How many restore points to keep of each replica, 1 to 28. Older ones are merged, at most 8 of them in a session.
      - Pinned ones stay and do not count (M(opendr.hyperv.hyperv_replica)).
    type: int
    default: 7
  block_size:
    description:
      - What is read, compressed and sent at once; one of V(256KiB), V(512KiB), V(1MiB), V(2MiB), V(4MiB).
      - Smaller ones send less when changes are scattered, larger ones cost less processor time.
    type: str
    default: 1MiB
  compression:
    description:
      - How hard to compress what is sent. V(none) suits a network faster than the disks, V(high) a slow link.
      - Replica disks are never stored compressed.
    type: str
    choices: [none, fast, optimal, high]
    default: optimal
  consistency:
    description:
      - >-
        V(application) asks the guest to write out and pause its applications (Volume Shadow Copy or file system
        freeze), and fails when it cannot.
      - V(crash) takes the disks as a power cut would leave them.
      - V(application_or_crash) tries the first and, with a warning, falls back to the second.
    type: str
    choices: [application, crash, application_or_crash]
    default: application_or_crash
  source_proxies:
    description:
      - Inventory names of the data movers that may read the source disks, best first.
      - Without any, the mover on the source host itself does it.
    type: list
    elements: str
    default: []
  target_proxies:
    description:
      - Inventory names of the data movers that may write the replica's disks, best first.
      - Without any, the mover on the target host itself does it.
    type: list
    elements: str
    default: []
  switches:
    description:
      - Which virtual switch of the target host an adapter is connected to, by the switch of the source host.
      - >-
        An adapter on a switch that is not listed is connected to the switch of the same name at the target. When there
        is none, it is left unconnected, with a warning.
    type: dict
    default: {}
  on_touched:
    description:
      - What to do when somebody started, edited or checkpointed a replica since the last session.
      - V(compare) brings it back to its source, by comparing the disks and sending what differs. Restore points stay.
      - V(fail) refuses, and leaves the replica as it is.
    type: str
    choices: [compare, fail]
    default: compare
  rpo_seconds:
    description:
      - How old the newest restore point of a machine may get, in seconds.
      - Nothing is started by it; M(opendr.hyperv.hyperv_replica_info) tells which replicas keep to it.
    type: int
  stop:
    description:
      - How O(state=stopped) stops a session. Whoever asks for an earlier end overrules who asked before.
      - V(now) ends it at once and removes its checkpoints on the source. Machines under way get no restore point.
      - >-
        V(after_disk) finishes the disks that are under way, and begins nothing new. A machine whose disks are all sent
        gets its restore point. Another one is cancelled and keeps its checkpoint, for four hours at most, so that a
        session until then goes on with the disks that are missing.
      - V(after_machine) finishes the machines that are under way, and begins no other.
    type: str
    choices: [now, after_disk, after_machine]
    default: now
  stopped_by:
    description:
      - Who wants the session to stop, or why, for its events and result.
      - Without it, the AWX job and its user, or user and host of the controller.
    type: str
  wait:
    description:
      - Whether a session that is started or stopped is followed to its end.
      - Without it the task ends when the session has begun, or was asked to stop.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to follow a session before the task fails. The session goes on, and the same task attaches to it again.
      - V(0) waits without limit.
    type: int
    default: 86400
  poll_interval:
    description: Seconds between two looks at the session, at least 1.
    type: int
    default: 2
  progress:
    description:
      - >-
        V(lines) prints a line when a machine enters a phase, at each 5 % of a disk, and at least every 60 seconds.
        Job runners such as AWX show them as they come. Where the output of C(ansible-playbook) goes into a file or a
        pipe, set E(PYTHONUNBUFFERED=1) to see them as they come.
    type: str
    choices: [lines, none]
    default: lines
seealso:
  - module: opendr.hyperv.hyperv_replica_info
  - module: opendr.hyperv.hyperv_replica_session_info
"""

EXAMPLES = r"""
- name: Declare what is replicated
  opendr.hyperv.hyperv_replica_job:
    name: web
    vms:
      - web1
      - web2
    source_host: hv-a
    target_host: hv-b
    target_path: 'D:\Replicas'
    restore_points: 14
    switches:
      Production: DR-Production

- name: Replicate now, through proxies, and show the progress
  opendr.hyperv.hyperv_replica_job:
    name: web
    state: started
    vms:
      - web1
      - web2
    source_host: hv-a
    target_host: hv-b
    target_path: 'D:\Replicas'
    source_proxies:
      - proxy-a1
      - proxy-a2
    target_proxies:
      - proxy-b1
    compression: high
  register: replication

- name: Tell how much went over the network
  ansible.builtin.debug:
    msg: "{{ replication.session.bytes_sent | human_readable }} sent"

- name: Start jobs of the catalog without waiting
  opendr.hyperv.hyperv_replica_job:
    name: "{{ item }}"
    state: started
    wait: false
  loop:
    - web
    - database

- name: Stop the session of a job for a maintenance window, sending nothing twice
  opendr.hyperv.hyperv_replica_job:
    name: web
    state: stopped
    stop: after_disk
    stopped_by: maintenance of hv-b
    timeout: 600
  register: stopping
  ignore_errors: true

- name: Insist after ten minutes
  opendr.hyperv.hyperv_replica_job:
    name: web
    state: stopped
  when: stopping is failed

- name: Nobody may start this job for now
  opendr.hyperv.hyperv_replica_job:
    name: web
    state: disabled

- name: Forget the job, keep the replicas
  opendr.hyperv.hyperv_replica_job:
    name: web
    state: absent
"""

RETURN = r"""
job:
  description: The job as the catalog has it after the task, null when there is none. C(block_size) is in bytes.
  returned: success, unless O(state=stopped)
  type: dict
  sample:
    name: web
    vms: [web1, web2]
    source_host: hv-a
    target_host: hv-b
    target_path: 'D:\Replicas'
    suffix: _replica
    restore_points: 14
    block_size: 1048576
    compression: optimal
    consistency: application_or_crash
    source_proxies: []
    target_proxies: []
    switches:
      Production: DR-Production
    on_touched: compare
    rpo_seconds: 3600
    enabled: true
session:
  description:
    - The session that was started, attached to or stopped, with its report once it has ended. Sizes are in bytes.
    - It is null when there is none to stop, and in check mode when one would be started.
  returned: when O(state=started) or O(state=stopped)
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
    state:
      description: One of V(done), V(failed), V(cancelled).
      type: str
      returned: when the session has ended
      sample: done
    duration_seconds:
      description: Time from start to end.
      type: float
      returned: when the session has ended
      sample: 71.4
    bytes_disk:
      description: Size of the virtual disks.
      type: int
      returned: when the session has ended
      sample: 68719476736
    bytes_read:
      description: Bytes read from the source.
      type: int
      returned: when the session has ended
      sample: 2147483648
    bytes_sent:
      description: Bytes sent over the network.
      type: int
      returned: when the session has ended
      sample: 715827882
    ratio:
      description: Bytes read for each byte sent, null when nothing was sent.
      type: float
      returned: when the session has ended
      sample: 3.0
    machines:
      description:
        - One report for each machine, with the same counters, those of its disks, C(rate) in bytes per second, the
          C(bottleneck) (V(source), V(proxy), V(network) or V(target)), C(consistency), the restore points it has now,
          C(warnings) and C(error).
        - A disk says with C(scope) and C(reason) which bytes were sent and why.
        - C(forecast) has what was foreseen of the transfer, C(changed_bytes) to send, C(growth_bytes) that the guest
          writes meanwhile, and C(seconds); null is what could not be foreseen, as in a first session.
      type: list
      elements: dict
      returned: when the session has ended
      sample:
        - name: web1
          replica: web1_replica
          state: done
          consistency: Application
          rate: 123731968
          bottleneck: source
          restore_points:
            - id: 0d2c9a0e-9c0a-4b7e-8a3c-7d1f5a2b6c4d
              name: "OpenDR 2026-11-25 14:00:03Z 4b0f6e0a-6f0e-4d0e-9d5c-2f7a1c9e8b31"
              source_time: 1795615203.0
              consistency: Application
          warnings: []
          error: null
msg:
  description: What was found and done, in a sentence. Of a task that failed, what went wrong.
  returned: failure, or when O(state=stopped)
  type: str
  sample: >-
    session 7d0f3a52-5b1c-4c58-9d53-0f5ad2a4f3f1 of job web was asked to stop after the disks under way by maintenance
    of hv-b
failure:
  description: What went wrong, for C(rescue) and automation. RV(msg) says the same as a sentence.
  returned: failure
  type: dict
  contains:
    code:
      description: Stable word for the kind of error, such as V(request_invalid) or V(state_conflict).
      type: str
      returned: always
      sample: state_conflict
    reason:
      description: Stable word within the code, for example V(options_invalid), V(volume_full), V(still_running).
      type: str
      returned: always
      sample: volume_full
    message:
      description: What is wrong; names the option or object and its value.
      type: str
      returned: always
      sample: >-
        option target_path: 'D:\\Replicas': the volume of hv-b:D:\Replicas\web1_replica has 2.1 GiB free,
        the replica needs 9.4 GiB
    hint:
      description: What to do about it.
      type: str
      returned: always
      sample: make room on the volume, or choose another path
    retryable:
      description: Whether the same task may succeed when it is simply run again.
      type: bool
      returned: always
      sample: false
    current:
      description: The state that was found, which may be empty.
      type: str
      returned: when RV(failure.code) is V(state_conflict)
      sample: disabled
    allowed:
      description: What is possible in that state, which may be empty.
      type: list
      elements: str
      returned: when RV(failure.code) is V(state_conflict)
      sample: [present, absent]
    function:
      description: The function that the host refused.
      type: str
      returned: when RV(failure.code) is V(hypervisor_refused)
      sample: New-HvrCheckpoint
    error_id:
      description: Identifier of the refusal.
      type: str
      returned: when RV(failure.code) is V(hypervisor_refused)
      sample: Hvr.Busy
    machine:
      description: The machine that it happened to.
      type: str
      returned: when it happened to one
      sample: web1
"""

import time

from ansible_collections.opendr.hyperv.plugins.module_utils import _services as services
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import CatalogError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Kind
from ansible_collections.opendr.hyperv.plugins.module_utils._failure import sentence
from ansible_collections.opendr.hyperv.plugins.module_utils._module import EngineModule
from ansible_collections.opendr.hyperv.plugins.module_utils._plan import plan_job, plan_stop
from ansible_collections.opendr.hyperv.plugins.module_utils._spec import JOB_MODULE, JOB_RULES


def converge(module):
    """Read, plan, apply unless in check mode, report."""
    options = module.params
    if options["state"] == "stopped":
        return stop(module)
    running = services.running_session(options, kind=Kind.REPLICATE if options["state"] == "started" else None)
    try:
        plan = define(module, running)
    except CatalogError as error:
        if options["state"] != "started" or options["vms"] is None:
            raise
        module.warn(f"the job is started as the task declares it, and is not stored: {sentence(error.as_dict())}")
        plan = plan_job(options, None, running=running)
    result = plan.as_result()
    if options["state"] == "started":
        job = None if module.check_mode else plan.to_start
        result["session"] = services.start_session(options, job) if job else attached(running)
    return result


def stop(module):
    """Ask the session of the job to stop; the catalog has no part in it."""
    options = module.params
    status = services.newest_status(options)
    asked = services.find_request(options, status["session_id"]) if status else None
    plan = plan_stop(options, status, asked=asked, now=time.time())
    if plan.changed and not module.check_mode:
        services.ask_to_stop(options, plan)
    return plan.as_result()


def define(module, running):
    """Bring the job in the catalog to what the task declares; return the plan of it."""
    options = module.params
    with services.read_catalog(options, may_upgrade=not module.check_mode) as catalog:
        plan = plan_job(options, catalog.find_job(options["name"]), running=running)
    if plan.defines and not module.check_mode:
        services.apply(options, plan)
    return plan


def attached(session_id):
    """Return the session that runs already; None in check mode when one would be started."""
    return session_id and {"session_id": session_id, "attached": True}


def main():
    EngineModule(JOB_MODULE, **JOB_RULES).run(converge)


if __name__ == "__main__":
    main()
