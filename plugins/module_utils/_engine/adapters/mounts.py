# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Which file system a path lies on, as far as it matters: a database file does not belong on a network share."""

from __future__ import annotations

import os
import re
from typing import Final

NETWORK_TYPES: Final = frozenset(
    "9p afs beegfs ceph cifs coda fuse.ceph fuse.glusterfs fuse.rclone fuse.s3fs fuse.sshfs gfs2 glusterfs gpfs lustre "
    "ncpfs nfs nfs4 ocfs2 orangefs smb2 smb3 smbfs".split()
)
MOUNTS: Final = "/proc/self/mounts"  # Linux; elsewhere there is no such file
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def network_file_system(path: str, *, mounts: str = MOUNTS) -> str:
    """Return the type of the network file system that a file is, or would be, on; empty when it is local or unknown."""
    real = os.path.realpath(path)
    if real.startswith(("\\\\", "//")):
        return "share"
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            table = [line.split(" ") for line in file]
    except OSError:
        return ""
    covering = [(_unescaped(row[1]), row[2]) for row in table if len(row) > 2 and _covers(_unescaped(row[1]), real)]
    # The last mount of the longest point hides the ones before it.
    kind = max(enumerate(covering), key=lambda item: (len(item[1][0]), item[0]), default=(0, ("", "")))[1][1]
    return kind if kind in NETWORK_TYPES else ""


def _covers(point: str, path: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
