# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file system a path is on, read from a table of mounts."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.mounts import network_file_system

TABLE = r"""
/dev/sda1 / ext4 rw 0 0
srv:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
//srv/x /mnt/with\040space cifs rw 0 0
tmpfs /mnt/hidden nfs rw 0 0
tmpfs /mnt/hidden tmpfs rw 0 0
short
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/x", ""),
        ("/home/me/x", "nfs4"),
        ("/homestead/x", ""),
        ("/home/local/x", ""),
        ("/mnt/with space/x", "cifs"),
        ("/mnt/hidden/x", ""),
        ("/", ""),
    ],
)
def test_longest_and_last_mount_decides(tmp_path, path, kind):
    mounts = tmp_path / "mounts"
    mounts.write_text(TABLE)
    assert network_file_system(path, mounts=str(mounts)) == kind


def test_no_table_means_unknown_and_so_not_refused(tmp_path):
    assert network_file_system("/home/x", mounts=str(tmp_path / "none")) == ""


def test_this_machine_has_a_table_that_can_be_read(tmp_path):
    assert network_file_system(str(tmp_path)) == ""
