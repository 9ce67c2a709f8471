"""What an onlooker may read of a node at any time, outside its turns, without asking its driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core


class Losses(NamedTuple):
    """What full queues of a node have lost.

    Attributes:
        frames: RPCs lost to the outbound queues of the peers that it has now.
        messages: copies of messages lost to the validation queue.
    """

    frames: int
    messages: int


class NodeView:
    """The tables of one node, to be read only. What `PubSub` answers comes in the order of its turns; this is of now.

    Args:
        core: whose tables they are.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def topics(self) -> set[str]:
        """Topics with at least one subscription of the node itself."""
        return set(self._core.local_topics.subscriptions)

    def peers_announcing(self, topic: str) -> set[PeerId]:
        """Peers that have announced a topic, as far as the node has heard, whether it has a stream to them or not."""
        return set(self._core.peer_topics.list_peers(topic))

    def has_seen(self, message_id: bytes) -> bool:
        """Return whether the node has accepted a message and remembers it, which it does for `HostParams.seen_ttl_s` at least."""
        return self._core.has_seen(message_id)

    @property
    def frames_lost(self) -> int:
        """RPCs lost to the full outbound queues of the peers that it has now."""
        return sum(outbox.lost for outbox in self._core.peers.values())
