# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import getpass

import pytest

from ansible_collections.opendr.hyperv.plugins.plugin_utils.asker import asker


def test_awx_job_and_its_user_are_told() -> None:
    assert asker({"awx_job_id": 42, "awx_user_name": "alice"}) == "alice, AWX job 42"
    assert asker({"tower_job_id": "42", "tower_user_name": "bob"}) == "bob, AWX job 42"
    assert asker({"awx_job_id": 42}) == "a schedule, AWX job 42"


def test_without_awx_it_is_user_and_host_of_the_controller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "alice")
    monkeypatch.setattr("socket.gethostname", lambda: "ctl")
    assert asker({}) == "alice on ctl"


@pytest.mark.parametrize("error", [KeyError, OSError])
def test_user_without_a_name_is_somebody(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise error("uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert asker({}).startswith("somebody on ")
