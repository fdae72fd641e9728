# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""How much of a host's volumes must stay free: limits by path, and the refusal when there is less.

A user sets them in the host variable ``opendr_free_space``; what no limit covers has ``DEFAULT``.
"""

from __future__ import annotations

import math
import ntpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import RequestError, StateError
from ..jobs import shown
from ..machines import HostPath, VolumeSpace
from ..progress import readable
from ..units import GiB, KiB, MiB, TiB

VARIABLE: Final = "opendr_free_space"
LIMITS_MAX: Final = 256  # of one host
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*(B|[KMGT]iB)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "kib": KiB, "mib": MiB, "gib": GiB, "tib": TiB}
_KEYS: Final = ("path", "percent", "size")


@dataclass(frozen=True, slots=True)
class FreeSpaceLimit:
    """What must stay free on the volume of a path: the larger of ``percent`` and ``size`` (bytes).

    It holds for ``path`` and what lies below it; empty: for every path of the host.
    """

    path: str
    percent: float
    size: int
    percent_up_to: int | None = None  # bytes that the percentage asks for at most

    def of(self, volume: VolumeSpace) -> int:
        """Return the bytes that must stay free."""
        part = int(volume.size * self.percent / 100)
        return max(self.size, part if self.percent_up_to is None else min(part, self.percent_up_to))

    def covers(self, path: str) -> bool:
        """Tell whether the limit holds for a path; case does not count."""
        same = ntpath.normcase(ntpath.normpath(path)) == ntpath.normcase(ntpath.normpath(self.path))
        return not self.path or same or HostPath("", path).is_under(self.path)

    def as_dict(self) -> dict[str, object]:
        """Return the form of the topology, which ``parse_limits`` reads."""
        return {"path": self.path, "percent": self.percent, "size": self.size}

    def __str__(self) -> str:
        if self is DEFAULT:
            return f"the default: {self.percent:g} %, at most {readable(GiB * 2)}"
        parts = [f"{self.percent:g} %"] if self.percent else []
        parts += [readable(self.size)] if self.size else []
        return f"{VARIABLE}{f' of {self.path}' if self.path else ''}: {' and '.join(parts)}"


DEFAULT: Final = FreeSpaceLimit("", 5.0, 0, percent_up_to=2 * GiB)


def parse_limits(value: object, *, host: str) -> tuple[FreeSpaceLimit, ...]:
    """Read the list of a host variable. Raises RequestError, reason ``variable_invalid``, that names the place."""
    if not isinstance(value, (list, tuple)) or len(value) > LIMITS_MAX:
        raise _wrong(host, "", value, wants=f"a list of at most {LIMITS_MAX} entries with {', '.join(_KEYS)}")
    limits = tuple(_limit(entry, host=host, place=f"[{index}]") for index, entry in enumerate(value))
    paths = [ntpath.normcase(limit.path) for limit in limits]
    twice = next((limit.path for limit in limits if paths.count(ntpath.normcase(limit.path)) > 1), None)
    if twice is not None:
        raise _wrong(host, "", twice or "no path", wants="each path once")
    return limits


def limit_for(path: str, limits: Sequence[FreeSpaceLimit]) -> FreeSpaceLimit:
    """Return the limit with the longest path that covers a path."""
    covering = [limit for limit in limits if limit.covers(path)]
    return max(covering, key=lambda limit: len(ntpath.normpath(limit.path)) if limit.path else 0, default=DEFAULT)


def require_free(
    volume: VolumeSpace,
    *,
    folder: HostPath,
    limit: FreeSpaceLimit,
    needed: int,
    others: int,
    what: str,
    reason: str,
) -> None:
    """Raise StateError when a volume has less free than its limit, what is needed now, and what others still need."""
    wanted = limit.of(volume) + needed + others
    if volume.free >= wanted:
        return
    parts = [f"{readable(limit.of(volume))} must stay free ({limit})"]
    parts += [f"{what} needs {readable(needed)}"] if needed else []
    parts += [f"other machines of this session need {readable(others)}"] if others else []
    raise StateError(
        f"volume {volume.root} of {folder.host} has {readable(volume.free)} free, wanted are {readable(wanted)} "
        f"for {folder.path}: {', '.join(parts)}",
        hint=f"make room on the volume, use another one, or set another limit in {VARIABLE} of {folder.host}",
        reason=reason,
    )


def _limit(entry: object, *, host: str, place: str) -> FreeSpaceLimit:
    if not isinstance(entry, Mapping):
        raise _wrong(host, place, entry, wants=f"a dictionary with {', '.join(_KEYS)}")
    for key in entry:
        if key not in _KEYS:
            raise _wrong(host, f"{place}.{key}", entry[key], wants=f"no other keys than {', '.join(_KEYS)}")
    path, percent, size = (entry.get(key) for key in _KEYS)
    limit = FreeSpaceLimit(
        path=_path(path, host=host, place=f"{place}.path"),
        percent=_percent(percent, host=host, place=f"{place}.percent"),
        size=_size(size, host=host, place=f"{place}.size"),
    )
    if percent is None and size is None:
        raise _wrong(host, place, entry, wants="percent, size or both")
    return limit


def _path(value: object, *, host: str, place: str) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str) and value.isprintable():
        drive, rest = ntpath.splitdrive(value)
        if drive and (rest[:1] in ("\\", "/") or drive[:2] == "\\\\"):
            return ntpath.normpath(value)
    raise _wrong(host, place, value, wants="an absolute path of the host such as D:\\")


def _percent(value: object, *, host: str, place: str) -> float:
    if value is None:
        return 0.0
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if not 0 <= number < 100:
        raise _wrong(host, place, value, wants="a number from 0 to below 100")
    return number


def _size(value: object, *, host: str, place: str) -> int:
    match = None if value is None or isinstance(value, bool) else _SIZE.fullmatch(str(value).strip())
    if match is None and value is not None:
        raise _wrong(host, place, value, wants="bytes, or a size such as 20 GiB (KiB, MiB, GiB, TiB)")
    return int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0


def _wrong(host: str, place: str, value: object, *, wants: str) -> RequestError:
    return RequestError(
        f"host {host}: {VARIABLE}{place} is {shown(value)}, want {wants}",
        hint=f"correct {VARIABLE} of {host} in the inventory",
        reason="variable_invalid",
    )
