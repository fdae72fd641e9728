# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machines of a session need of the volumes that they share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.adapters.system import SharedClaims

FIRST, SECOND = UUID(int=1), UUID(int=2)


def test_what_others_need_is_told_and_not_given_twice():
    claims = SharedClaims()
    assert claims.claim("hv-b d:\\", FIRST, size=60, room=100) == 0
    assert claims.claim("hv-b d:\\", SECOND, size=60, room=100) == 60  # refused
    assert claims.claim("hv-b d:\\", FIRST, size=100, room=100) == 0  # nothing was noted of the second
    assert claims.claim("hv-b e:\\", SECOND, size=60, room=100) == 0


def test_claim_takes_the_place_of_the_one_before():
    claims = SharedClaims()
    claims.claim("d", FIRST, size=60, room=100)
    claims.claim("d", FIRST, size=20, room=100)
    assert claims.claim("d", SECOND, size=80, room=100) == 20


def test_room_that_is_not_needed_any_more_is_given_back_on_all_volumes():
    claims = SharedClaims()
    claims.claim("c", FIRST, size=80, room=100)
    claims.claim("d", FIRST, size=40, room=100)
    claims.release(FIRST, left=0.25)
    assert claims.claim("c", SECOND, size=1, room=100) == 20
    assert claims.claim("d", SECOND, size=1, room=100) == 10
    claims.release(FIRST, left=0.5)  # of what was claimed, not of what was left
    assert claims.claim("c", SECOND, size=1, room=100) == 40
    claims.release(FIRST)
    assert claims.claim("c", SECOND, size=1, room=100) == 0


def test_claims_of_many_threads_never_exceed_the_room():
    claims, granted = SharedClaims(), []

    def take(number):
        others = claims.claim("d", UUID(int=number), size=10, room=100)
        if others + 10 <= 100:
            granted.append(number)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(take, range(200)))
    assert len(granted) == 10
