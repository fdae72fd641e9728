# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens in the demo, and what is shown of it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.catalog import open_catalog, sqlite_url
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.state_folder import StateFolder
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import readable_time
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import KiB, MiB
from ansible_collections.opendr.hyperv.tests.demo import guest
from ansible_collections.opendr.hyperv.tests.demo.playbook import Playbook
from ansible_collections.opendr.hyperv.tests.demo.proof import Moment, Verdict, prove
from ansible_collections.opendr.hyperv.tests.demo.screen import Screen, size
from ansible_collections.opendr.hyperv.tests.lab.inventory import write_inventory
from ansible_collections.opendr.hyperv.tests.lab.relay import SlowRelay
from ansible_collections.opendr.hyperv.tests.lab.site import REPLICAS, SOURCE, TARGET, ProcessSite

MACHINE = "web1"
FILE_SYSTEM, DATA = "SCSI 0:0", "SCSI 0:1"
FILE_SYSTEM_SIZE, DATA_SIZE = 96 * MiB, 192 * MiB
LINE_RATE = 100_000_000 / 8  # bytes per second of the line between the two movers: 100 Mbit/s
KEEP = 2
JOB = {
    "name": "web",
    "vms": [MACHINE],
    "source_host": SOURCE,
    "target_host": TARGET,
    "target_path": REPLICAS,
    "restore_points": KEEP,
}
Report = dict[str, Any]


class Story:
    """Four sessions of one job, with a guest that goes on working between them."""

    def __init__(self, folder: Path, screen: Screen) -> None:
        self._folder = folder
        self._screen = screen
        self._reports: list[Report] = []
        self._moments: list[Moment] = []
        self._guest = guest.FileSystem(folder / "guest", size=FILE_SYSTEM_SIZE, seed=1)

    def tell(self) -> bool:
        """Run all of it; return whether every proof held."""
        with ExitStack() as opened:
            return self._tell(opened)

    def _tell(self, opened: ExitStack) -> bool:
        self._screen.title(
            "OpenDR for Hyper-V",
            "a running machine is replicated between two lab hosts, by two data movers, on this computer",
        )
        self._set_up(opened)
        good = self._session("full copy")
        for title in ("incremental", "incremental, the oldest restore point is merged", "once more"):
            self._guest_works()
            good = self._session(title) and good
        good = self._final_proof() and good
        self._summary()
        return good

    def _set_up(self, opened: ExitStack) -> None:
        screen = self._screen
        screen.heading("Laboratory")
        with screen.step("two Hyper-V hosts and two data movers, a process each, mutual TLS by a throw-away authority"):
            self._lab = opened.enter_context(ProcessSite(self._folder / "lab"))
        lab = self._lab
        for name, host in lab.hosts.items():
            screen.dim(f"  {name}  https://127.0.0.1:{host.port}/wsman, data mover on port {lab.movers[name].port}")
        line = opened.enter_context(SlowRelay(lab.movers[TARGET].port, rate=LINE_RATE))
        screen.dim(f"  the movers are joined by a line of {LINE_RATE * 8 / 1e6:.0f} Mbit/s, port {line.port}")
        with screen.step("an ext4 file system of real files, and a disk of random and empty areas"):
            self._guest.make()
            guest.raw_area(self._folder / "data.raw", size=DATA_SIZE, seed=2)
        with screen.step(f"machine {MACHINE} on {SOURCE}: generation 2, two disks, switched on"):
            self._create_machine()
        screen.dim(f"  {FILE_SYSTEM}  {size(FILE_SYSTEM_SIZE)}, {len(self._guest.hashes)} files")
        screen.dim(f"  {DATA}  {size(DATA_SIZE)}")
        screen.heading("The job, as its user declares it")
        for each in yaml.safe_dump({"opendr_jobs": [JOB]}, sort_keys=False).splitlines():
            screen.beside_rule(each)
        self._playbook = Playbook(
            "opendr.hyperv.replicate",
            inventory=self._write_inventory(line),
            folder=self._folder,
            color=screen.color,
        )

    def _write_inventory(self, line: SlowRelay) -> Path:
        path = self._folder / "inventory.yml"
        return write_inventory(self._lab, path, jobs=[JOB], changes={TARGET: {"opendr_mover_port": line.port}})

    def _create_machine(self) -> None:
        disks: list[dict[str, object]] = [
            {"size": FILE_SYSTEM_SIZE, "location": 0, "image": str(self._guest.image)},
            {"size": DATA_SIZE, "location": 1, "image": str(self._folder / "data.raw")},
        ]
        control = self._lab.source
        self._vm_id = control.create_machine(MACHINE, folder=f"C:\\VMs\\{MACHINE}", disks=disks)
        control.call("Start-VM", vm_id=self._vm_id)

    def _guest_works(self) -> None:
        """Let the guest change files, and data beside them, while the machine is on."""
        self._screen.heading("The guest works on")
        control = self._lab.source
        change = self._guest.change()
        written = control.write_image(self._vm_id, FILE_SYSTEM, image=self._guest.image)
        self._screen.good(f"{change}: {size(written)} written to {FILE_SYSTEM}")
        block = self._guest.random_bytes(256 * KiB)
        for offset in (0, 20 * MiB, 40 * MiB):
            control.write(self._vm_id, DATA, offset=offset, data=block)
        self._screen.good(f"{size(3 * len(block))} written to {DATA}")

    def _session(self, title: str) -> bool:
        number = len(self._reports) + 1
        screen = self._screen
        screen.heading(f"Session {number}: {title}")
        screen.note(screen.paint(f"$ {self._playbook.shown}", "1"))
        self._playbook.run(screen.beside_rule)
        report = self._newest_report()
        self._reports.append(report)
        machine = report["machines"][0]
        self._moments.append(self._moment(report["session_id"], machine["restore_point"]))
        return self._judge(number, machine)

    def _newest_report(self) -> Report:
        catalog = open_catalog(sqlite_url(StateFolder(str(self._lab.state_dir)).catalog))
        try:
            entry = catalog.sessions(job=str(JOB["name"]), limit=1)[0]
        finally:
            catalog.close()
        if entry.result is None:
            raise RuntimeError(f"session {entry.session_id} has no report")
        return entry.result

    def _moment(self, session_id: str, point_id: str) -> Moment:
        shadows = self._lab.shadows(session_id)
        with_files = next(disk for disk, path in shadows.items() if path.stat().st_size == FILE_SYSTEM_SIZE)
        return Moment(point_id, shadows, with_files, self._guest.hashes)

    def _judge(self, number: int, machine: Report) -> bool:
        """Prove the restore point of a session; ``machine`` is the newest report of its replica."""
        moment = self._moments[number - 1]
        point = next(point for point in machine["restore_points"] if point["id"] == moment.point_id)
        when = readable_time(point["source_time"])
        with self._screen.step(f"restore point {number} of {when}, {point['consistency']} consistent"):
            replica = self._lab.machine(machine["replica"], host=self._lab.target)
            verdict = prove(moment, self._lab.chains(replica, moment.point_id), self._folder)
        for problem in verdict.problems:
            self._screen.bad(problem)
        if not verdict.problems:
            self._screen.dim(f"  equals the source of its moment: {size(verdict.compared)} by libvhdi, byte for byte,")
            self._screen.dim(f"  {_also(verdict)}")
        return not verdict.problems

    def _final_proof(self) -> bool:
        """Look at the older restore points again: later sessions and merges must not have touched them."""
        self._screen.heading("Proof, after everything")
        machine = self._reports[-1]["machines"][0]
        kept = {point["id"] for point in machine["restore_points"]}
        good = len(kept) == KEEP
        (self._screen.good if good else self._screen.bad)(f"{len(kept)} restore points are left, {KEEP} were asked for")
        for number, moment in enumerate(self._moments, 1):
            if moment.point_id in kept:
                good = self._judge(number, machine) and good
        return good

    def _summary(self) -> None:
        self._screen.heading("Sessions")
        head = ["session", "disks", "read", "sent", "ratio", "time", "rate", "bottleneck", "restore points"]
        self._screen.table(head, [_row(number, report) for number, report in enumerate(self._reports, 1)])


def _also(verdict: Verdict) -> str:
    qemu_img = f"qemu-img check clean on {verdict.bases} files" if verdict.qemu_img else "qemu-img is not installed"
    return f"{verdict.files} file hashes equal, e2fsck -fn clean, {qemu_img}"


def _row(number: int, report: Report) -> list[str]:
    machine = report["machines"][0]
    scopes = {disk["scope"] for disk in machine["disks"]}
    return [
        f"{number}  {'full' if 'allocated' in scopes else 'incremental'}",
        size(report["bytes_disk"]),
        size(report["bytes_read"]),
        size(report["bytes_sent"]),
        f"{report['ratio'] or 0:.1f} : 1",
        f"{report['duration_seconds']:.1f} s",
        f"{size(machine['rate'])}/s",
        machine["bottleneck"],
        str(len(machine["restore_points"])),
    ]
