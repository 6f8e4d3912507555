"""Decodes and validates event messages; what is not one is counted and ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import msgspec

from mario_agents.telemetry.events.messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    AnyEvent,
    Envelope,
)

_TYPES = frozenset(kind.__struct_config__.tag for kind in get_args(AnyEvent))


class _Header(msgspec.Struct):
    version: int
    run: str


class _Tag(msgspec.Struct):
    type: str


class _Tagged(msgspec.Struct):
    event: _Tag


@dataclass(slots=True)
class Rejected:
    """Messages that were ignored, by reason.

    Attributes:
        malformed: not a message of ours, or with fields that make no sense.
        version: of another version of the protocol.
        run: of another run.
        unknown: of a type that this version does not know.
        repeated: with a number that the sender had used before.
    """

    malformed: int = 0
    version: int = 0
    run: int = 0
    unknown: int = 0
    repeated: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.malformed + self.version + self.run + self.unknown + self.repeated


class EventDecoder:
    """Turns messages of one run into envelopes; counts and ignores everything else.

    Bytes are parsed into the types of :mod:`mario_agents.telemetry.events.messages` and nothing
    else; nothing in a message can name code to run.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._header = msgspec.msgpack.Decoder(_Header)
        self._tagged = msgspec.msgpack.Decoder(_Tagged)
        self._envelope = msgspec.msgpack.Decoder(Envelope)
        self._next: dict[int, int] = {}
        self._dropped: dict[int, int] = {}
        self.rejected = Rejected()
        self.lost = 0
        """Messages that were sent and did not arrive: gaps in the senders' numbers."""

    @property
    def dropped(self) -> int:
        """Messages that senders say they could not send."""
        return sum(self._dropped.values())

    def decode(self, message: bytes) -> Envelope | None:
        """The envelope in a message, None if it is to be ignored."""
        if len(message) > MAX_MESSAGE_BYTES:
            self.rejected.malformed += 1
            return None
        try:
            header = self._header.decode(message)
            if header.version != PROTOCOL_VERSION:
                self.rejected.version += 1
                return None
            if header.run != self._run:
                self.rejected.run += 1
                return None
            if self._tagged.decode(message).event.type not in _TYPES:
                self.rejected.unknown += 1
                return None
            envelope = self._envelope.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.rejected.malformed += 1
            return None
        return self._in_order(envelope)

    def _in_order(self, envelope: Envelope) -> Envelope | None:
        expected = self._next.get(envelope.sender)
        if expected is not None and envelope.sequence < expected:
            self.rejected.repeated += 1
            return None
        if expected is not None:
            self.lost += envelope.sequence - expected
        self._next[envelope.sender] = envelope.sequence + 1
        self._dropped[envelope.sender] = envelope.dropped
        return envelope
