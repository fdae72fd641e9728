# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._checks import check_options, refused_options
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError

GOOD = {"state_dir": "/var/lib/opendr", "timeout": 0, "poll_interval": 1, "sessions_max": 1}
BAD: list[tuple[str, Any]] = [
    ("state_dir", "state"),
    ("state_dir", ""),
    ("state_dir", "./state"),
    ("timeout", -5),
    ("poll_interval", 0),
    ("sessions_max", 0),
]


def test_limits_themselves_are_allowed_and_modules_without_these_options_pass() -> None:
    check_options(GOOD)
    check_options({"state_dir": "/srv"})


@pytest.mark.parametrize(("option", "value"), BAD, ids=[f"{option}={value!r}" for option, value in BAD])
def test_refusal_names_option_value_and_way_out(option: str, value: Any) -> None:
    with pytest.raises(RequestError, match=f"option {option}: {value!r} is not allowed") as caught:
        check_options({**GOOD, option: value})
    assert caught.value.reason == f"{option}_invalid"
    assert caught.value.hint


def test_what_ansible_refuses_gets_a_stable_code() -> None:
    assert refused_options("missing required arguments: name.").as_dict() == {
        "code": "request_invalid",
        "reason": "options_invalid",
        "message": "missing required arguments: name",
        "hint": "correct the task; ansible-doc describes its options",
        "retryable": False,
    }
