"""What a host tells its peers about the topics it takes part in: the hello, and announcements that are tried again.

Source of every rule: go-libp2p-pubsub (May 2024), `pubsub.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.wire.codec import encode_hello, encode_subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Rng
    from pubsub_sim.protocol.core_ports import Ports
    from pubsub_sim.protocol.local_topics import LocalTopics
    from pubsub_sim.protocol.params import HostParams


class Announcer:
    """Announces the topics of one host.

    Args:
        local_topics: the topics it takes part in.
        peers: the peers it has, or opens an outbound stream to.
        send: queues a frame to one of them; false if its queue is full.
        params: sizes and pauses.
        ports: has a refused announcement tried again.
        rng: seeded chance.
    """

    def __init__(
        self,
        local_topics: LocalTopics,
        peers: Collection[PeerId],
        send: Callable[[PeerId, bytes], bool],
        *,
        params: HostParams,
        ports: Ports,
        rng: Rng,
    ) -> None:
        self._local_topics = local_topics
        self._peers = peers
        self._send = send
        self._params = params
        self._ports = ports
        self._rng = rng
        self._hello_topics: list[str] | None = None  # of the last hello
        self._hello: list[bytes] = []

    def make_hello(self) -> list[bytes]:
        """The frames that a new outbound stream begins with: all topics we take part in."""
        topics = self._local_topics.list_announced()
        if topics != self._hello_topics:
            self._hello_topics = topics
            self._hello = encode_hello(topics, self._params.max_message_bytes)
        return self._hello

    def announce(self, topic: str, *, subscribe: bool) -> None:
        """AnnouncingTopic: tell every peer; a full queue is tried again after a random pause."""
        frame = encode_subscriptions((topic,), subscribe=subscribe)
        for peer in list(self._peers):
            self._announce_to(peer, topic, frame, subscribe=subscribe)

    def announce_again(self, peer: PeerId, topic: str, *, subscribe: bool) -> None:
        """Try one announcement again, if the peer is still there and the wish still holds."""
        if peer in self._peers and self._local_topics.is_subscribed_or_relayed(topic) == subscribe:
            frame = encode_subscriptions((topic,), subscribe=subscribe)
            self._announce_to(peer, topic, frame, subscribe=subscribe)

    def _announce_to(self, peer: PeerId, topic: str, frame: bytes, *, subscribe: bool) -> None:
        if not self._send(peer, frame):
            delay_ms = self._rng.randint(1, self._params.announce_retry_ms)
            self._ports.retry_announcement(peer, topic, delay_ms, subscribe=subscribe)
