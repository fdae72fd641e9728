# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A verification as a user asks for it."""

from __future__ import annotations

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import RequestError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.transfers import Sample
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.verification import VerifyMode, VerifySpec


def test_a_spec_goes_there_and_back():
    for given in ({"mode": "full"}, {"mode": "sample", "sample_percent": 7, "seed": 5}):
        spec = VerifySpec.from_dict(given)
        assert VerifySpec.from_dict(spec.as_dict()) == spec


def test_a_sample_has_defaults_and_everything_has_none():
    assert VerifySpec.from_dict({"mode": "sample"}).sample == Sample(5, 0)
    assert VerifySpec.from_dict({"mode": "full"}) == VerifySpec(VerifyMode.FULL)
    assert VerifySpec.from_dict({"mode": "sample", "seed": 9}).sample == Sample(5, 9)
    assert VerifySpec.from_dict({"mode": "full"}).sample is None


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({}, "verify"),
        ({"mode": "half"}, "verify"),
        ({"mode": "sample", "sample_percent": 0}, "sample_percent"),
        ({"mode": "sample", "sample_percent": 101}, "sample_percent"),
        ({"mode": "sample", "sample_percent": True}, "sample_percent"),
        ({"mode": "sample", "seed": -1}, "sample_seed"),
        ({"mode": "sample", "seed": 1 << 32}, "sample_seed"),
        ({"mode": "sample", "seed": "x"}, "sample_seed"),
    ],
)
def test_what_cannot_be_is_refused_with_the_option(given, option):
    with pytest.raises(RequestError, match=f"option {option}:") as caught:
        VerifySpec.from_dict(given)
    assert caught.value.reason == f"{option}_invalid"
