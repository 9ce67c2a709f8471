"""Which peers take part in which topics, as far as they have said so?

A peer may announce any topic, ours or not, so that these tables are bounded: see `Announced.add`. Knows nothing of what
we take part in ourselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.wire.codec import announcement_bytes

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId


class Announced:
    """What the peers of one host announced.

    Args:
        limit_bytes: largest RPC a peer can send.

    Attributes:
        topics: topic -> peers that announced it, in the order they did; a topic that all have left is not in it
            (go-libp2p-pubsub since 2025; before, it stayed for ever).
    """

    def __init__(self, limit_bytes: int) -> None:
        self.topics: dict[str, dict[PeerId, None]] = {}
        self._limit_bytes = limit_bytes
        self._bytes: dict[PeerId, int] = {}  # size of the hello packet of who takes part in what it announced

    def add(self, peer: PeerId, topic: str) -> bool:
        """A peer announces a topic; whether that is news.

        Of one peer no more topics are noted than fit into one RPC. That is our own bound, as the reference has none
        unless a subscription filter is given; it cannot hurt an honest peer, whose hello packet holds all of its topics
        and is refused like any frame if it is larger.
        """
        members = self.topics.get(topic)
        if members is not None and peer in members:
            return False
        size = self._bytes.get(peer, 0) + announcement_bytes(topic)
        if size > self._limit_bytes:
            return False
        self._bytes[peer] = size
        if members is None:
            members = self.topics[topic] = {}
        members[peer] = None
        return True

    def remove(self, peer: PeerId, topic: str) -> bool:
        """A peer leaves a topic; False if it was not there."""
        members = self.topics.get(topic)
        if members is None or peer not in members:
            return False
        del members[peer]
        if not members:
            del self.topics[topic]
        self._bytes[peer] -= announcement_bytes(topic)
        return True

    def forget(self, peer: PeerId) -> list[str]:
        """A peer leaves everything; the topics it leaves."""
        if peer not in self._bytes:
            return []
        left = [topic for topic, members in self.topics.items() if peer in members]
        for topic in left:
            self.remove(peer, topic)
        del self._bytes[peer]
        return left
