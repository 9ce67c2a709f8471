"""The floodsub router: sends to all peers of the topic except the sender and the author (libp2p pubsub spec)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError
from pubsub_sim.protocol.params import FLOODSUB_ID
from pubsub_sim.protocol.router import MeshlessRouter, send_message

if TYPE_CHECKING:
    from pubsub_sim.wire.message import Message

_ENOUGH_PEERS = 5  # go-libp2p-pubsub `FloodSubTopicSearchSize`


class FloodSub(MeshlessRouter):
    """The flooding router.

    Args:
        protocols: protocol ids to speak, preferred first.

    Raises:
        OptionError: no protocols, or a single string.
    """

    def __init__(self, protocols: Sequence[str] = (FLOODSUB_ID,)) -> None:
        super().__init__()
        if isinstance(protocols, str) or not protocols:
            raise OptionError("protocols", protocols, "protocol ids, at least one")
        self.protocols = tuple(protocols)

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Tell whether the topic has enough peers: 5 unless told otherwise."""
        return len(self.context.topics.get(topic, ())) >= (suggested or _ENOUGH_PEERS)

    def publish(self, message: Message) -> None:
        """Send to all peers of the topic but the one it came from and its author; a full queue loses it."""
        members = self.context.topics.get(message.topic)
        if members:
            send_message(self.context, message, members)
