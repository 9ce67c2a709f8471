"""The randomsub router: sends to a random sample of the topic, which grows with the square root of the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_whole
from pubsub_sim.protocol.params import FLOODSUB_ID, RANDOMSUB_ID, HostParams
from pubsub_sim.protocol.router import MeshlessRouter, send_message

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message

_D = 6  # go-libp2p-pubsub `RandomSubD`


@dataclass(frozen=True, kw_only=True)
class RandomsubParams(HostParams):
    """Options of one randomsub host: the router's, and those every host has.

    Attributes:
        size: estimated number of hosts in the network (`NewRandomSub`); None takes that of the world.
    """

    size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check_whole("size", self.size, at_least=1)


class RandomSub(MeshlessRouter):
    """The randomsub router.

    Args:
        size: estimated number of hosts in the network.
    """

    protocols: Sequence[str] = (RANDOMSUB_ID, FLOODSUB_ID)

    def __init__(self, size: int) -> None:
        super().__init__()
        self._target = max(_D, math.isqrt(check_whole("size", size, at_least=1) - 1) + 1)  # the root, rounded up
        self._protocols: dict[PeerId, str] = {}

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Store the peer's protocol."""
        self._protocols[peer] = protocol

    def remove_peer(self, peer: PeerId) -> None:
        """Remove the peer's protocol."""
        self._protocols.pop(peer, None)

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Tell whether the topic has enough peers: 6 unless told otherwise, and 6 that choose at random always are."""
        members = self.context.topics.get(topic)
        if members is None:
            return False
        protocols = [self._protocols.get(peer) for peer in members]
        flooding, choosing = protocols.count(FLOODSUB_ID), protocols.count(RANDOMSUB_ID)
        return flooding + choosing >= (suggested or _D) or choosing >= _D

    def publish(self, message: Message) -> None:
        """Send to all flooding peers of the topic and to some of the others, chosen anew for each message."""
        context = self.context
        flooding: list[PeerId] = []
        others: list[PeerId] = []
        for peer in context.topics.get(message.topic, ()):
            if peer not in (message.received_from, message.source):
                (flooding if self._protocols.get(peer) == FLOODSUB_ID else others).append(peer)
        if len(others) > _D:
            context.rng.shuffle(others)
            del others[self._target :]
        send_message(context, message, flooding + others)
