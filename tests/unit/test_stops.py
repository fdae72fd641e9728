# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import Cancelled, FormatError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.stops import Stop, StopRequest, StopSign

ORDER = [Stop.AFTER_MACHINE, Stop.AFTER_DISK, Stop.NOW]


@pytest.mark.parametrize(("one", "other"), list(itertools.product(ORDER, ORDER)))
def test_only_a_sooner_stop_overrules_an_earlier_request(one: Stop, other: Stop) -> None:
    sign = StopSign()
    assert sign.ask(StopRequest(one, "one", 1.0))
    assert sign.ask(StopRequest(other, "other", 2.0)) is (ORDER.index(other) > ORDER.index(one))
    assert sign.asked is not None
    assert sign.asked.how is max(one, other, key=ORDER.index)


@pytest.mark.parametrize(("asked", "place"), list(itertools.product([None, *ORDER], ORDER)))
def test_place_is_passed_unless_a_stop_as_soon_as_it_was_asked(asked: Stop | None, place: Stop) -> None:
    sign = StopSign()
    if asked is not None:
        sign.ask(StopRequest(asked, "alice", 1.0))
    stops = asked is not None and ORDER.index(asked) >= ORDER.index(place)
    assert sign.is_up(place) is stops
    if stops:
        with pytest.raises(Cancelled, match="by alice"):
            sign.heed(place)
    else:
        sign.heed(place)


@pytest.mark.parametrize("how", ORDER)
def test_request_is_taken_back_from_its_plain_form(how: Stop) -> None:
    request = StopRequest(how, "alice", 7.0)
    assert StopRequest.from_dict(request.as_dict()) == request


@pytest.mark.parametrize("change", [{"how": "soon"}, {"by": 7}, {"at": "now"}, {"more": 1}])
def test_anything_else_is_no_request(change: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        StopRequest.from_dict({**StopRequest(Stop.NOW, "alice", 7.0).as_dict(), **change})
