"""What a yamux session consists of: the numbers of the format, limits, streams, and the events a session reports.

Source: hashicorp/yamux spec.md; the codes of resets are go-libp2p's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

WINDOW = 256 * 1024
"""Initial window of a stream in bytes, for both ends."""

LARGEST_WINDOW = (1 << 32) - 1
"""Largest window in bytes, the maximum of four bytes."""

LONGEST_FRAME = 64 * 1024
"""Maximal size of data in a sent frame (go-yamux's limit)."""

HEADER_BYTES = 12

DATA, WINDOW_UPDATE, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8

NORMAL, PROTOCOL_ERROR, INTERNAL_ERROR = range(3)
"""Reasons for ending a session."""

CANCELLED, NEGOTIATION_FAILED, RESOURCE_LIMIT = 0, 0x1001, 0x1002
"""Reasons for resetting a stream (go-libp2p's codes)."""


@dataclass(frozen=True, kw_only=True)
class YamuxLimits:
    """The limits of a session.

    Attributes:
        inbound: maximal number of open streams opened by the other end.
        unanswered: maximal number of own streams not answered yet.
        unsent_bytes: maximal size of queued answers.
    """

    inbound: int = 64
    unanswered: int = 256
    unsent_bytes: int = 64 * 1024


class WholeTaker(Protocol):
    """A user that takes a frame without its data being cut out of it."""

    def take_whole(self, data: bytes, /) -> None:
        """Take a data frame with its header."""


class YamuxStream:
    """One stream of a session.

    Attributes:
        number: its number on the wire.
        is_local: whether this end opened it.
        is_answered: whether the other end has acknowledged it.
        is_writable: whether this end has neither finished nor reset it.
        is_readable: whether the other end has neither finished nor reset it.
        is_reset: whether this end has reset it. Events reported before are void.
        send_window: bytes this end may send.
        receive_window: bytes the other end may send.
        unconsumed: bytes announced by the other end and not consumed by the user.
        pending_bytes: bytes written and not sent yet.
        taker: takes frames that were received whole; None if the user has no such way, and once the other end has finished
            or reset the stream.
        user: the user's data, ignored by the session.
    """

    __slots__ = (
        "is_answered",
        "is_finishing",
        "is_local",
        "is_queued",
        "is_readable",
        "is_reset",
        "is_writable",
        "number",
        "pending",
        "pending_bytes",
        "receive_window",
        "send_window",
        "taker",
        "unconsumed",
        "user",
    )

    def __init__(self, number: int, *, is_local: bool) -> None:
        self.number = number
        self.is_local = is_local
        self.is_answered = not is_local
        self.is_writable = True
        self.is_readable = True
        self.is_reset = False
        self.is_finishing = False  # finished by this end, with data still to be sent
        self.is_queued = False  # in the queue of streams with data to send
        self.send_window = WINDOW
        self.receive_window = WINDOW
        self.pending: list[bytes | memoryview] = []
        self.pending_bytes = 0
        self.unconsumed = 0
        self.taker: WholeTaker | None = None
        self.user: object = None


class Received(NamedTuple):
    """Data of a stream; a view of the received bytes if the stream has a `taker` and they are many."""

    stream: YamuxStream
    data: bytes | memoryview


class Opened(NamedTuple):
    """The other end opened a stream."""

    stream: YamuxStream


class Finished(NamedTuple):
    """The other end finished a stream."""

    stream: YamuxStream


class WasReset(NamedTuple):
    """The other end reset or refused a stream."""

    stream: YamuxStream
    code: int


class PingAnswered(NamedTuple):
    """The answer to a ping."""

    value: int


class GoneAway(NamedTuple):
    """The other end is ending the session."""

    code: int


Event = Received | Opened | Finished | WasReset | PingAnswered | GoneAway
