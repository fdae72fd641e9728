# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""What a verification is asked to do, and what it says of a restore point. Source: docs/decisions/0011-verify.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from .errors import RequestError
from .transfers import Sample

SEED_END: Final = 1 << 32
PERCENT_DEFAULT: Final = 5


class VerifyMode(Enum):
    """How much is read; also the reason that a disk of a verification reports."""

    SAMPLE = "sample"  # a share of what is stored, and both ends of each disk
    FULL = "full"


class Verdict(Enum):
    """What is known of a restore point."""

    GOOD = "good"  # everything that was compared equals the source
    BAD = "bad"
    SUSPECT = "suspect"  # a newer one, which stands on its files, is bad


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification said of a restore point; ``at`` is seconds since 1970."""

    at: float
    mode: VerifyMode
    verdict: Verdict

    def as_dict(self) -> dict[str, object]:
        return {"at": self.at, "mode": self.mode.value, "verdict": self.verdict.value}


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """A verification as a user asks for it; can only be built valid (``from_dict``)."""

    mode: VerifyMode
    sample_percent: int = PERCENT_DEFAULT
    seed: int | None = None  # None: a new one

    @classmethod
    def from_dict(cls, given: Mapping[str, object]) -> VerifySpec:
        """Check ``mode``, ``sample_percent`` and ``seed``. Raises RequestError that names the option of the module."""
        mode = next((mode for mode in VerifyMode if mode.value == given.get("mode")), None)
        if mode is None:
            raise _invalid("verify", given.get("mode"), "sample or full")
        percent, seed = given.get("sample_percent", PERCENT_DEFAULT), given.get("seed")
        if not isinstance(percent, int) or isinstance(percent, bool) or not 1 <= percent <= 100:
            raise _invalid("sample_percent", percent, "a number from 1 to 100")
        if seed is None:
            return cls(mode, percent)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < SEED_END:
            raise _invalid("sample_seed", seed, f"a number from 0 to {SEED_END - 1}")
        return cls(mode, percent, seed)

    def as_dict(self) -> dict[str, object]:
        """Return plain values that ``from_dict`` takes back."""
        return {"mode": self.mode.value, "sample_percent": self.sample_percent, "seed": self.seed}

    @property
    def sample(self) -> Sample | None:
        """What movers are told once there is a seed; None: everything."""
        return Sample(self.sample_percent, self.seed or 0) if self.mode is VerifyMode.SAMPLE else None


def _invalid(option: str, value: object, wanted: str) -> RequestError:
    return RequestError(f"option {option}: {value!r} is not allowed", hint=wanted, reason=f"{option}_invalid")
