"""The topics that peers have announced: which peers take part in which topics, as far as they have said so.

A peer may announce any topic, ours or not, so that these tables are bounded: see `PeerTopics.add`. Knows nothing of what
we take part in ourselves.
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
    """What the peers of one host announced.

    Args:
        limit_bytes: encoded size of the announcements of one peer that are noted.

    Attributes:
        topics: topic -> peers that announced it, in the order they did; a topic that all have left is not in it
            (go-libp2p-pubsub since 2025; before, it stayed for ever).
    """

    def __init__(self, limit_bytes: int) -> None:
        self.topics: dict[str, dict[PeerId, None]] = {}
        self._limit_bytes = limit_bytes
        self._bytes: dict[PeerId, int] = {}  # encoded size of what each peer announced
        self._warned: set[PeerId] = set()  # peers at the limit, already named in the log

    def list_peers(self, topic: str) -> list[PeerId]:
        """Who announced a topic, whether we have an outbound stream to it or not."""
        return list(self.topics.get(topic, ()))

    def add(self, peer: PeerId, topic: str) -> bool:
        """A peer announces a topic; whether that is news.

        Of one peer no more topics are noted than the limit allows. That is our own bound, as the reference has none
        unless a subscription filter is given. A peer that meets it is named in the log, once until it is gone.
        """
        members = self.topics.get(topic)
        if members is not None and peer in members:
            return False
        size = self._bytes.get(peer, 0) + announcement_bytes(topic)
        if size > self._limit_bytes:
            if peer not in self._warned:
                self._warned.add(peer)
                _log.warning(
                    "further topics of %s are not noted: they take more than %d bytes (HostParams.announced_frames)",
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
        self._warned.discard(peer)
        if peer not in self._bytes:
            return []
        left = [topic for topic, members in self.topics.items() if peer in members]
        for topic in left:
            self.remove(peer, topic)
        del self._bytes[peer]
        return left
