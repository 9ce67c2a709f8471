"""What an onlooker may read of a node at any time, outside its turns, without asking its driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core


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
