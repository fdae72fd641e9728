# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of the control socket, for tests and the demo."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ansible_collections.opendr.hyperv.tests.lab.hyperv.wire import decode, encode, socket_address

_WAIT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02


class LabError(Exception):
    """The lab refused; ``kind`` is that of the model's refusal or the error id of the contract."""

    def __init__(self, kind: str, message: str, *, code: int = 0) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.code = code


class LabControl:
    """One connection to a running lab host. Not for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._connection.connect(socket_address(descriptor))
        except OSError:
            self._connection.close()
            raise
        finally:
            os.close(descriptor)
        self._lines = self._connection.makefile("rb")

    def call(self, operation: str, /, **given: object) -> Any:
        """Call anything of ``control.calls``. Raises LabError, and ConnectionError when the lab is gone."""
        self._connection.sendall(encode({"call": operation, "with": given}))
        line = self._lines.readline()
        if not line:
            raise ConnectionError("the lab has closed the connection")
        answer = decode(line)
        if "error" in answer:
            raise LabError(answer["error"]["kind"], answer["error"]["message"], code=answer["error"]["code"])
        return answer["result"]

    def dispatch(self, function: str, **parameters: object) -> list[dict[str, Any]]:
        """Call a contract function without WSMan between."""
        rows: list[dict[str, Any]] = self.call("front.dispatch", function=function, parameters=parameters)
        return rows

    def create_machine(self, name: str, *, folder: str, disks: list[dict[str, object]], **given: object) -> str:
        """Create a machine that is off and return its id; see ``admin.NewDisk`` for the members of a disk."""
        machine = self.call("lab.create_machine", name=name, folder=folder, disks=disks, **given)
        return str(machine["vm_id"])

    def write(self, vm_id: str, slot: str, *, offset: int, data: bytes) -> None:
        """Let the guest of a running machine write whole sectors."""
        self.call("guest.write", vm_id=vm_id, slot=slot, offset=offset, data=data)

    def write_image(self, vm_id: str, slot: str, *, image: Path) -> int:
        """Let the guest make a disk equal to a raw file; returns the bytes that differed."""
        return int(self.call("guest.write_image", vm_id=vm_id, slot=slot, image=str(image)))

    def shadow_of(self, checkpoint: str) -> dict[str, Path]:
        """Return raw files by disk id: the source at the moment of a checkpoint (id or name)."""
        found = self.call("lab.shadow_of", checkpoint=checkpoint)
        return {disk_id: Path(path) for disk_id, path in found.items()}

    def local_path(self, path: str) -> Path:
        """Return where a Windows path of the host lies on this machine."""
        return Path(self.call("lab.local_path", path=path))

    def switch(self, **values: object) -> None:
        """Set switches of ``switches.Switches``."""
        self.call("lab.set_switches", values=values)

    def fault(self, function: str, action: str, **given: object) -> None:
        """Plan a failure of a contract function; see ``faults.Fault``."""
        self.call("faults.plan", function=function, action=action, **given)

    def settle(self) -> None:
        """Have all merges done now. Raises TimeoutError when something holds a file."""
        self.wait_until(lambda: bool(self.call("lab.settle")), "merges to finish")

    def wait_until(self, condition: Callable[[], bool], what: str, *, seconds: float = _WAIT_SECONDS) -> None:
        """Wait for a condition. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds} s for {what}")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        self._lines.close()
        self._connection.close()

    def __enter__(self) -> LabControl:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()


class DirectControl(LabControl):
    """The control of a host in this process: same calls, same values, no socket."""

    def __init__(self, served: Mapping[str, Callable[..., Any]]) -> None:
        self._served = served

    def call(self, operation: str, /, **given: object) -> Any:
        return decode(encode(self._served[operation](**given)))

    def close(self) -> None:
        """There is nothing to let go of."""
