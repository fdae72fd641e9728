# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# PRIVATE to the collection: no part of the engine is a public interface.
"""Frames of the mover protocol over a TLS channel, with a heartbeat while there is nothing else to say."""

from __future__ import annotations

import threading
import time

from ..errors import EngineError
from ..units import KiB
from ..wire.conversation import Conversation, Ear
from ..wire.frames import Allocate, Frame, FrameReader, Kind, new_memory
from ..wire.messages import HEARTBEAT
from .tls import Channel, Patience, Peer


class Connection:
    """Sends and receives frames; holds the peer to the order of frames.

    Any thread may send; one thread receives; any thread may close.
    """

    def __init__(self, channel: Channel, ear: Ear, *, patience: Patience, allocate: Allocate = new_memory) -> None:
        self._channel = channel
        self._reader = FrameReader(allocate)
        self._conversation = Conversation(ear)
        self._heartbeat_seconds = patience.heartbeat
        self._sent_at = time.monotonic()
        self._sent_count = 0
        self._sending = threading.Lock()  # frames go out in the order of their numbers
        self._ended = threading.Event()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    @property
    def peer(self) -> Peer:
        return self._channel.peer

    def send(self, frame: Frame) -> None:
        """Send a frame. Raises TransportError when the peer is gone."""
        with self._sending:
            self._channel.send(frame.start(self._sent_count), frame.payload)
            self._sent_count += 1
        self._sent_at = time.monotonic()

    def receive(self) -> Frame:
        """Wait for the next frame that is no heartbeat. Raises TransportError, and PeerError for what may not come."""
        while True:
            frame = self._reader.filled(self._channel.receive_into(self._reader.room()))
            if frame is not None and self._conversation.hear(frame).kind is not Kind.HEARTBEAT:
                return frame

    def use_memory(self, allocate: Allocate) -> None:
        """Take the memory of payloads from somewhere else, from the next frame on."""
        self._reader.allocate = allocate

    def drain(self, seconds: float) -> None:
        """Throw away what comes, until the peer hangs up or the time is over."""
        scratch = new_memory(64 * KiB)
        self._channel.give_up_at(time.monotonic() + seconds)
        try:
            while True:
                self._channel.receive_into(scratch)
        except EngineError:
            pass  # it has hung up, or the time is over

    def close(self) -> None:
        """End the connection; whoever waits in it gets a TransportError."""
        self._ended.set()
        self._channel.close()

    def _beat(self) -> None:
        while not self._ended.wait(self._heartbeat_seconds / 2):
            if time.monotonic() - self._sent_at < self._heartbeat_seconds / 2:
                continue
            try:
                self.send(HEARTBEAT)
            except EngineError:
                return  # the receiving thread finds the same, and tells it
