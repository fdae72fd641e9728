# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""The space guard of one machine task: is there room on the volumes of both hosts, before it begins and while it runs.

What the other machines of the session still need counts as used up. The limits, and what is needed, are decided in
``model/free_space.py`` and ``model/forecast.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ...machines import HostPath, MachineConfig, VolumeSpace
from ...model.forecast import Disk, Forecast, forecast, room_at_target
from ...model.free_space import FreeSpaceLimit, limit_for, require_free
from ...model.record import ReplicaRecord
from ...ports import Hypervisor
from .site import Site

SOURCE_FULL = "source_volume_full"
TARGET_FULL = "volume_full"


@dataclass(frozen=True, slots=True)
class Use:
    """A volume with the folders that a task writes to, and the bytes that it needs there."""

    space: VolumeSpace
    folders: tuple[str, ...]
    needed: int


class SpaceGuard:
    """One thread at a time. Each look and each claim asks a host once for each volume."""

    def __init__(self, site: Site, config: MachineConfig, *, source: Hypervisor, target: Hypervisor) -> None:
        self._site = site
        self._config = config
        self._source = source
        self._target = target
        self._roots: dict[tuple[str, str], str] = {}  # where the volume of a host's folder is mounted
        self.forecast = Forecast()

    @property
    def _owner(self) -> UUID:
        return self._config.machine.vm_id

    def look(self, source: Hypervisor, target: Hypervisor, *, folder: str) -> None:
        """Raise StateError when a volume of the source, or that of the replica's folder, is below its limit."""
        for use in self._uses(source, dict.fromkeys(self._source_folders, 0)):
            self._require(source, use, others=0, what="", reason=SOURCE_FULL)
        for use in self._uses(target, {folder: 0}):
            self._require(target, use, others=0, what="", reason=TARGET_FULL)

    def claim(
        self,
        record: ReplicaRecord,
        disks: Sequence[Disk],
        *,
        changed: Mapping[UUID, int],
        taken: Mapping[UUID, int] | None = None,
    ) -> None:
        """Foresee the cycle and claim its room, in place of what was claimed before.

        ``changed`` has the bytes to send of each disk, ``taken`` what they take in the replica's files when that is
        known. Raises StateError, reason ``source_volume_full`` or ``volume_full``, with the numbers.
        """
        self.forecast = forecast(record, disks, changed=changed)
        name, growth = self._config.machine.name, dict.fromkeys(self._source_folders, 0)
        for folder, disk_id in self._source_disks:
            growth[folder] += self.forecast.growth.get(disk_id, 0)
        room = {record.target.folder: room_at_target(record, disks, changed=taken or changed)}
        self._claim(self._source, growth, what=f"the checkpoint of {name}", reason=SOURCE_FULL)
        self._claim(self._target, room, what=f"the replica of {name}", reason=TARGET_FULL)

    def note_left(self, left: float) -> None:
        """Let others have the room that is not needed any more; ``left`` is the part of the transfer still to come."""
        self._site.claims.release(self._owner, left=left)

    def _claim(self, host: Hypervisor, needs: Mapping[str, int], *, what: str, reason: str) -> None:
        for use in self._uses(host, needs):
            room = use.space.free - self._limit(host, use).of(use.space)
            volume = f"{host.name} {use.space.root.lower()}"
            others = self._site.claims.claim(volume, self._owner, size=use.needed, room=room)
            self._require(host, use, others=others, what=what, reason=reason)

    def _require(self, host: Hypervisor, use: Use, *, others: int, what: str, reason: str) -> None:
        require_free(
            use.space,
            folder=HostPath(host.name, use.folders[0]),
            limit=self._limit(host, use),
            needed=use.needed,
            others=others,
            what=what,
            reason=reason,
        )

    def _limit(self, host: Hypervisor, use: Use) -> FreeSpaceLimit:
        """Return the strictest limit of a volume's folders."""
        limits = self._site.free_space.get(host.name, ())
        return max((limit_for(path, limits) for path in use.folders), key=lambda limit: limit.of(use.space))

    def _uses(self, host: Hypervisor, needs: Mapping[str, int]) -> Iterable[Use]:
        """Ask once for each volume; where a folder's volume is mounted is asked once for all."""
        found: dict[str, VolumeSpace] = {}
        for folder in needs:
            root = self._roots.get((host.name, folder))
            if root is None or root not in found:
                space = host.volume(folder)
                self._roots[host.name, folder] = space.root
                found[space.root] = space
        for root, space in found.items():
            folders = tuple(folder for folder in needs if self._roots[host.name, folder] == root)
            yield Use(space, folders, sum(needs[folder] for folder in folders))

    @property
    def _source_disks(self) -> list[tuple[str, UUID]]:
        return [
            (HostPath("", disk.path).folder.path, disk.geometry.disk_id)
            for disk in self._config.disks
            if disk.geometry is not None
        ]

    @property
    def _source_folders(self) -> list[str]:
        return [folder for folder, _disk_id in self._source_disks]
