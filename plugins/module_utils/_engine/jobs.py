# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""A replication job as its user defines it, checked. Names and defaults are those of module ``hyperv_replica_job``."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Final

from .errors import RequestError
from .units import KiB, MiB

RESTORE_POINTS_MIN: Final = 1
RESTORE_POINTS_MAX: Final = 28
RPO_SECONDS_MAX: Final = 366 * 24 * 3600
BLOCK_SIZES: Final = (256 * KiB, 512 * KiB, 1 * MiB, 2 * MiB, 4 * MiB)  # bytes: what a user may choose as unit
NAME_LENGTH_MAX: Final = 100  # characters, of a job, a machine, a host
SHOWN_MAX: Final = 120  # characters of a value in a message

_SIZE: Final = re.compile(r"(\d{1,9})\s*([KM])(?:i?B)?", re.IGNORECASE)
_NOT_IN_FILE_NAMES: Final = frozenset('<>:"/\\|?*') | {chr(code) for code in range(32)}
# Devices of Windows in every folder, with any extension. Source: Microsoft, "Naming Files, Paths, and Namespaces".
RESERVED_FILE_NAME: Final = re.compile(
    r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE
)


class Compression(Enum):
    """What the user may ask for; the levels trade processor time for bytes on the wire (zstd, measured)."""

    NONE = "none"
    FAST = "fast"
    OPTIMAL = "optimal"
    HIGH = "high"

    @property
    def level(self) -> int | None:
        """The zstd level; None: do not compress."""
        return {Compression.NONE: None, Compression.FAST: -5, Compression.OPTIMAL: 1, Compression.HIGH: 3}[self]


class ConsistencyPolicy(Enum):
    """Which checkpoints a job accepts of a running machine."""

    APPLICATION = "application"
    CRASH = "crash"
    APPLICATION_OR_CRASH = "application_or_crash"  # application, tried twice, then crash with a warning


class OnTouched(Enum):
    """What a session does to a replica that somebody else wrote to."""

    COMPARE = "compare"  # bring it back to its source: what differs is sent
    FAIL = "fail"  # refuse, and leave it as it is


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One replication job; can only be built valid (``from_dict``)."""

    name: str
    vms: tuple[str, ...]  # names, or ids where a name is not unique
    source_host: str
    target_host: str
    target_path: str  # folder on the target host; each replica gets a folder in it
    suffix: str = "_replica"
    restore_points: int = 7
    block_size: int = 1 * MiB  # bytes
    compression: Compression = Compression.OPTIMAL
    consistency: ConsistencyPolicy = ConsistencyPolicy.APPLICATION_OR_CRASH
    source_proxies: tuple[str, ...] = ()  # empty: the mover on the source host
    target_proxies: tuple[str, ...] = ()
    switches: Mapping[str, str] = field(default_factory=dict)  # source switch -> target switch
    on_touched: OnTouched = OnTouched.COMPARE
    rpo_seconds: int | None = None  # age allowed of the newest restore point; None: nobody asks
    enabled: bool = True

    @classmethod
    def from_dict(cls, options: Mapping[str, object]) -> JobSpec:
        """Check options and fill in defaults; None counts as not given.

        Raises:
            RequestError: names the option, its value and the way out.
        """
        known = {item.name for item in fields(cls)}
        for option in options:
            if option not in known:
                raise invalid(
                    option, options[option], hint=f"a job has no such option; it knows {', '.join(sorted(known))}"
                )
        given = {option: value for option, value in options.items() if value is not None}
        checked = {option: _CHECKS[option](option, value) for option, value in given.items()}
        for option in ("name", "vms", "source_host", "target_host", "target_path"):
            if option not in checked:
                raise RequestError(
                    f"option {option} is missing", hint=f"give {option} in the job", reason="option_missing"
                )
        return cls(**checked)  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, object]:
        """Return plain values that ``from_dict`` takes back; equal jobs give equal dictionaries."""
        return {item.name: _plain(getattr(self, item.name)) for item in fields(self)}

    @property
    def source_movers(self) -> tuple[str, ...]:
        """Names of movers that may read the source, best first."""
        return self.source_proxies or (self.source_host,)

    @property
    def target_movers(self) -> tuple[str, ...]:
        """Names of movers that may write the target, best first."""
        return self.target_proxies or (self.target_host,)


def invalid(option: str, value: object, *, hint: str) -> RequestError:
    """Build the error of a value that an option does not take."""
    return RequestError(f"option {option}: {shown(value)} is not allowed", hint=hint, reason=f"{option}_invalid")


def shown(value: object) -> str:
    """Return a value for a message; nobody reads a long one to its end."""
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}... ({len(text)} characters)"


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _name(option: str, value: object) -> str:
    if isinstance(value, str) and value.strip() == value and 0 < len(value) <= NAME_LENGTH_MAX and value.isprintable():
        return value
    raise invalid(option, value, hint=f"a name of 1 to {NAME_LENGTH_MAX} printable characters without spaces around it")


def _names(option: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise invalid(option, value, hint="a list of names")
    names = tuple(_name(option, item) for item in value)
    if len(set(names)) != len(names):
        raise invalid(option, value, hint="name each once")
    return names


def _vms(option: str, value: object) -> tuple[str, ...]:
    names = _names(option, value)
    if not names:
        raise invalid(option, value, hint="name at least one virtual machine")
    if len({name.casefold() for name in names}) != len(names):
        raise invalid(option, value, hint="name each machine once; Hyper-V does not tell upper from lower case")
    return names


def _folder(option: str, value: object) -> str:
    if isinstance(value, str) and value.isprintable():
        drive, rest = ntpath.splitdrive(value)
        parts = [part for part in re.split(r"[\\/]", rest) if part]
        if drive and rest[:1] in ("\\", "/") and parts and not {".", ".."} & set(parts):
            for part in parts:
                if not _is_file_name(part):
                    raise invalid(option, value, hint=_cannot_be(part))
            return ntpath.normpath(value)
    raise invalid(option, value, hint="an absolute folder of the target host below a drive or share, as D:\\Replicas")


def _is_file_name(name: str) -> bool:
    return not (_NOT_IN_FILE_NAMES & set(name) or name.endswith((" ", ".")) or RESERVED_FILE_NAME.fullmatch(name))


def _cannot_be(name: str) -> str:
    return (
        f'choose another name than {shown(name)}: Windows has no folder with one of <>:"|?* in its name, '
        "a space or full stop at its end, or the name of a device such as CON, NUL or COM1"
    )


def _suffix(option: str, value: object) -> str:
    if (
        isinstance(value, str)
        and len(value) <= 32
        and not _NOT_IN_FILE_NAMES & set(value)
        and value == value.rstrip(" .")
    ):
        return value
    raise invalid(option, value, hint="up to 32 characters that a file name may end with")


def _restore_points(option: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and RESTORE_POINTS_MIN <= value <= RESTORE_POINTS_MAX:
        return value
    raise invalid(option, value, hint=f"a number from {RESTORE_POINTS_MIN} to {RESTORE_POINTS_MAX}")


def _block_size(option: str, value: object) -> int:
    """Take bytes, or text such as ``512KiB``; KB and MB are read as KiB and MiB, as replication products do."""
    size = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match:
            size = int(match[1]) * (KiB if match[2].upper() == "K" else MiB)
        elif value.strip().isascii() and value.strip().isdigit():
            size = int(value)
    if size not in BLOCK_SIZES:
        raise invalid(option, value, hint="one of 256KiB, 512KiB, 1MiB, 2MiB, 4MiB")
    return size


def _word_of(choices: type[Enum]) -> Callable[[str, object], Enum]:
    def check(option: str, value: object) -> Enum:
        try:
            return choices(value)
        except ValueError:
            raise invalid(option, value, hint=f"one of {', '.join(item.value for item in choices)}") from None

    return check


def _rpo_seconds(option: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= RPO_SECONDS_MAX:
        return value
    raise invalid(option, value, hint=f"a number of seconds from 1 to {RPO_SECONDS_MAX}")


def _switches(option: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise invalid(option, value, hint="a map from switches of the source host to switches of the target host")
    return {_name(option, source): _name(option, target) for source, target in value.items()}


def _flag(option: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise invalid(option, value, hint="true or false")


_CHECKS: Final = {
    "name": _name,
    "vms": _vms,
    "source_host": _name,
    "target_host": _name,
    "target_path": _folder,
    "suffix": _suffix,
    "restore_points": _restore_points,
    "block_size": _block_size,
    "compression": _word_of(Compression),
    "consistency": _word_of(ConsistencyPolicy),
    "source_proxies": _names,
    "target_proxies": _names,
    "switches": _switches,
    "on_touched": _word_of(OnTouched),
    "rpo_seconds": _rpo_seconds,
    "enabled": _flag,
}
