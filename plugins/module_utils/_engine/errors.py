# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Every error that the engine raises, with its stable code.

A leaf gets a class only when a caller acts on it differently; everything else is told apart by ``reason``, a short
stable word within the class (``volume_full``, ``vm_not_found``). ``hint`` says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar, Sequence


class EngineError(Exception):
    """Base of all errors; ``str()`` is one sentence that names the option or object and its value."""

    code: ClassVar[str] = "engine_failed"
    retryable: bool = False

    def __init__(self, message: str, *, hint: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason

    def as_dict(self) -> dict[str, object]:
        """Return the form kept in the catalog, the status file and the module result."""
        return {
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }


def sentence(message: str, hint: str) -> str:
    """Say in one line for people what is wrong and what to do about it."""
    return f"{message.rstrip('.')}. {hint[:1].upper()}{hint[1:]}" if hint else message


class RequestError(EngineError):
    """The caller asked for something impossible."""

    code = "request_invalid"


class StateError(EngineError):
    """Not allowed now; ``current`` is the state found, ``allowed`` the moves that are legal from it."""

    code = "state_conflict"

    def __init__(
        self, message: str, *, current: str = "", allowed: Sequence[str] = (), hint: str = "", reason: str = ""
    ) -> None:
        super().__init__(message, hint=hint, reason=reason)
        self.current = current
        self.allowed = tuple(allowed)

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "current": self.current, "allowed": list(self.allowed)}


class FormatError(EngineError):
    """An image or a record does not follow its format."""

    code = "format_invalid"


class IntegrityError(EngineError):
    """Data and digest disagree: stop, keep the last restore point."""

    code = "integrity_failed"


class TrackingLost(EngineError):
    """Change tracking cannot be trusted: compare or read in full instead."""

    code = "tracking_lost"


class PeerError(EngineError):
    """The other side broke the mover protocol."""

    code = "peer_protocol"


class TransportError(EngineError):
    """A connection could not be made, was lost, or timed out.

    Trying again helps, except where the other side refused who we are: repeating a wrong password locks the account.
    """

    code = "transport_failed"

    def __init__(self, message: str, *, hint: str = "", reason: str = "", retryable: bool = True) -> None:
        super().__init__(message, hint=hint, reason=reason)
        self.retryable = retryable


class HypervisorError(EngineError):
    """A host refused; ``function`` and ``error_id`` are those of the host contract."""

    code = "hypervisor_refused"

    def __init__(
        self, message: str, *, function: str = "", error_id: str = "", hint: str = "", reason: str = ""
    ) -> None:
        super().__init__(message, hint=hint, reason=reason)
        self.function = function
        self.error_id = error_id

    def as_dict(self) -> dict[str, object]:
        return {**super().as_dict(), "function": self.function, "error_id": self.error_id}


class CatalogError(EngineError):
    """The database refused or is locked."""

    code = "catalog_failed"


class LibraryMissing(EngineError):
    """A library that this step needs is not installed here."""

    code = "library_missing"


class Cancelled(EngineError):
    """Somebody asked for the work to stop."""

    code = "cancelled"
