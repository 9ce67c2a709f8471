"""Time that passes when a test says so, and messages without keys."""

from __future__ import annotations

from pubsub_sim.ids import PeerId
from pubsub_sim.wire.message import Message, author_and_seqno, outgoing

AUTHOR = PeerId(b"author")
MS = 1_000_000
S = 1_000_000_000


class HandClock:
    """A clock moved by hand; call it for the time in ns."""

    def __init__(self) -> None:
        self.ns = 5 * S

    def __call__(self) -> int:
        return self.ns

    def advance(self, ns: int) -> None:
        self.ns += ns


def message_from(peer: PeerId, number: int, *, topic: str = "mytopic", author: PeerId = AUTHOR) -> Message:
    """The unsigned message `number` of an author, as `peer` handed it to us."""
    seqno = number.to_bytes(8, "big")
    wire = outgoing(topic, b"some data", author=author, seqno=seqno)
    return Message(wire, peer, source=author, seqno=seqno, topic=topic, id=author_and_seqno(wire))
