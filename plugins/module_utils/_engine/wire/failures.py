# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Errors across a connection: the class by its stable code, with everything a reader of the message needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .. import errors
from ..errors import EngineError, StateError, TransportError

TEXT_MAX: Final = 4096  # characters of a message or hint that are passed on

CLASSES: Final[dict[str, Callable[..., EngineError]]] = {
    kind.code: kind
    for kind in (
        errors.EngineError,
        errors.RequestError,
        errors.FormatError,
        errors.IntegrityError,
        errors.TrackingLost,
        errors.PeerError,
        errors.LibraryMissing,
        errors.Cancelled,
    )
}


def error_to_plain(error: EngineError) -> dict[str, object]:
    """Encode an error as a map of plain values, cut to a bounded length."""
    plain = error.as_dict()
    return {**plain, "message": error.message[:TEXT_MAX], "hint": error.hint[:TEXT_MAX]}


def error_from_plain(plain: object) -> EngineError:
    """Rebuild an error. What is no error at all, or of an unknown code, becomes a PeerError that says so."""
    if not isinstance(plain, dict):
        return errors.PeerError("the other side reported an error that cannot be read", reason="message_invalid")
    code, message, hint, reason = (
        str(plain.get(name, ""))[:TEXT_MAX] for name in ("code", "message", "hint", "reason")
    )
    if code == StateError.code:
        allowed = plain.get("allowed")
        moves = [str(move) for move in allowed] if isinstance(allowed, list) else []
        return StateError(message, current=str(plain.get("current", "")), allowed=moves, hint=hint, reason=reason)
    if code == TransportError.code:
        return TransportError(message, hint=hint, reason=reason, retryable=plain.get("retryable") is True)
    if code in CLASSES:
        return CLASSES[code](message, hint=hint, reason=reason)
    return errors.PeerError(f"{code}: {message}", hint=hint, reason=reason or "code_unknown")
