# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source host remembers of replicas: the highest epoch of each, how long their checkpoints stay, and the name of
one that is being made, since Hyper-V gives it another one first.

This is a host function of its own, not one of Hyper-V: docs/design/host_contract.md, "Fencing".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters import files
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import EngineError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.model.naming import CheckpointName
from ansible_collections.opendr.hyperv.tests.lab.hyperv.refusals import Kind, Refusal
from ansible_collections.opendr.hyperv.tests.lab.hyperv.state import Checkpoint, Machine
from ansible_collections.opendr.hyperv.tests.lab.wsman.contract_server import Category, HostError

UNNOTED_SECONDS: Final = 24 * 3600.0  # after its creation, of a checkpoint whose lease nobody noted


class Fences:
    """One small file beside the state of the host, durable before anything is done under a new epoch."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "fences.json"
        kept = json.loads(self._path.read_text()) if self._path.exists() else {}
        self._known: dict[str, dict[str, Any]] = kept.get("replicas", {})
        self._names: dict[str, dict[str, Any]] = kept.get("names", {})  # by machine

    def admit(self, replica_id: UUID, epoch: int) -> None:
        """Note a newer epoch. Raises HostError Hvr.Fenced for an older one."""
        known = self._of(replica_id)
        if epoch < known["epoch"]:
            message = (
                f"Another session works on replica {replica_id}: epoch {epoch} is over, now it is {known['epoch']}"
            )
            raise HostError("Hvr.Fenced", message, category=Category.INVALID_OPERATION, target=str(replica_id))
        if epoch > known["epoch"]:
            self._note(replica_id, {**known, "epoch": epoch})

    def hold(self, replica_id: UUID, vm_id: str, *, until: float) -> None:
        """Keep the checkpoints of a replica until a moment of the host's clock."""
        known = self._of(replica_id)
        self._note(replica_id, {**known, "held_until": {**known["held_until"], vm_id: until}})

    def lease_seconds(self, vm_id: str, checkpoint: Checkpoint, *, now: float) -> int:
        """Return how long a checkpoint stays yet; 0: its lease has ended, or no replica's session made it."""
        owner = CheckpointName.parse(checkpoint.name)
        if owner is None:
            return 0
        held_until = self._of(owner.replica_id)["held_until"]
        return max(0, ceil(held_until.get(vm_id, checkpoint.created_at + UNNOTED_SECONDS) - now))

    def expired(self, machines: Iterable[Machine], *, now: float) -> list[tuple[Machine, Checkpoint]]:
        """Return the replicas' checkpoints that the host may remove."""
        return [
            (machine, checkpoint)
            for machine in machines
            for checkpoint in machine.recovery_checkpoints()
            if CheckpointName.parse(checkpoint.name) and not self.lease_seconds(machine.vm_id, checkpoint, now=now)
        ]

    def _of(self, replica_id: UUID) -> dict[str, Any]:
        return self._known.get(str(replica_id), {"epoch": 0, "held_until": {}})

    def begin_checkpoint(self, machine: Machine, name: str) -> None:
        """Note which name a checkpoint is to get that is about to be made."""
        noted = {"name": name, "earlier": [c.checkpoint_id for c in machine.checkpoints]}
        self._save(self._known, {**self._names, machine.vm_id: noted})

    def end_checkpoint(self, vm_id: str) -> None:
        """The checkpoint has its name, or was not made."""
        if vm_id in self._names:
            self._save(self._known, {other: noted for other, noted in self._names.items() if other != vm_id})

    def unnamed(self, machine: Machine) -> tuple[Checkpoint | None, str]:
        """Return the checkpoint that was made but not named when the host died, and the name that was noted."""
        noted = self._names.get(machine.vm_id, {"name": "", "earlier": []})
        new = [c for c in machine.recovery_checkpoints() if c.checkpoint_id not in noted["earlier"]]
        return (new[0] if noted["name"] and new else None), noted["name"]

    def _note(self, replica_id: UUID, known: dict[str, Any]) -> None:
        self._save({**self._known, str(replica_id): known}, self._names)

    def _save(self, known: dict[str, dict[str, Any]], names: dict[str, dict[str, Any]]) -> None:
        try:
            files.remove_unfinished(str(self._path))
            files.write_atomically(str(self._path), json.dumps({"replicas": known, "names": names}).encode())
        except EngineError as error:
            raise Refusal(Kind.FAILED, "the host cannot write its own state") from error
        self._known, self._names = known, names
