"""The topics announced by peers.

A peer may announce any topic, so these tables are bounded: see `PeerTopics.add`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pubsub_sim.ids import short
from pubsub_sim.wire.codec import announcement_bytes

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId


_log = logging.getLogger("pubsub_sim.core")


class PeerTopics:
    """The announcements of the peers of one host.

    Args:
        limit_bytes: maximal encoded size of the stored announcements of a peer.

    Attributes:
        topics: peers by announced topic, in order of announcement; topics without peers are removed
            (go-libp2p-pubsub since 2025; previously they stayed for ever).
    """

    def __init__(self, limit_bytes: int) -> None:
        self.topics: dict[str, dict[PeerId, None]] = {}
        self._limit_bytes = limit_bytes
        self._bytes: dict[PeerId, int] = {}  # encoded size of each peer's announcements
        self._warned: set[PeerId] = set()  # peers whose limit was logged

    def list_peers(self, topic: str) -> list[PeerId]:
        """Who announced a topic, whether we have an outbound stream to it or not."""
        return list(self.topics.get(topic, ()))

    def add(self, peer: PeerId, topic: str) -> bool:
        """Store a peer's announcement of a topic; return whether it is new.

        The stored topics of a peer are limited; the reference has no such bound without a subscription filter. A peer
        that reaches the limit is logged once until it is removed.
        """
        members = self.topics.get(topic)
        if members is not None and peer in members:
            return False
        size = self._bytes.get(peer, 0) + announcement_bytes(topic)
        if size > self._limit_bytes:
            if peer not in self._warned:
                self._warned.add(peer)
                _log.warning(
                    "further topics of %s are ignored: they take more than %d bytes (HostParams.announced_frames)",
                    short(peer),
                    self._limit_bytes,
                )
            return False
        self._bytes[peer] = size
        if members is None:
            members = self.topics[topic] = {}
        members[peer] = None
        return True

    def remove(self, peer: PeerId, topic: str) -> bool:
        """Remove a peer from a topic; return False if it was not there."""
        members = self.topics.get(topic)
        if members is None or peer not in members:
            return False
        del members[peer]
        if not members:
            del self.topics[topic]
        self._bytes[peer] -= announcement_bytes(topic)
        return True

    def forget(self, peer: PeerId) -> list[str]:
        """Remove a peer from all topics, and return these topics."""
        self._warned.discard(peer)
        if peer not in self._bytes:
            return []
        left = [topic for topic, members in self.topics.items() if peer in members]
        for topic in left:
            self.remove(peer, topic)
        del self._bytes[peer]
        return left
