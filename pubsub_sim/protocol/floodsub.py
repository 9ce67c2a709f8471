"""Whom does floodsub send to? Everybody in the topic but the sender and the author (libp2p pubsub spec)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pubsub_sim.protocol.params import FLOODSUB_ID
from pubsub_sim.protocol.router import Acceptance

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC

_ENOUGH_PEERS = 5  # go-libp2p-pubsub `FloodSubTopicSearchSize`


class FloodSub:
    """The flooding router.

    Args:
        protocols: protocol ids to speak, preferred first.
    """

    def __init__(self, protocols: Sequence[str] = (FLOODSUB_ID,)) -> None:
        self.protocols = tuple(protocols)
        self._core: Core

    def attach(self, core: Core) -> None:
        """See Router."""
        self._core = core

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """See Router."""

    def remove_peer(self, peer: PeerId) -> None:
        """See Router."""

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """See Router; the router's own idea is 5."""
        return len(self._core.topics.get(topic, ())) >= (suggested or _ENOUGH_PEERS)

    def accept_from(self, peer: PeerId) -> Acceptance:
        """See Router."""
        return Acceptance.ALL

    def handle_control(self, peer: PeerId, rpc: RPC, now_ns: int) -> None:
        """Floodsub has no control messages."""

    def publish(self, message: Message) -> None:
        """Send to all peers of the topic but the one it came from and its author; a full queue loses it."""
        core = self._core
        members = core.topics.get(message.topic)
        if not members:
            return
        frame = message.frame  # encoded once, shared by all peers
        outboxes = core.peers
        sender, author = message.received_from, message.source
        if core.tracer is not None:
            for peer in members:
                if peer not in (sender, author) and peer in outboxes:
                    core.send(peer, frame)
            return
        for peer in members:
            if peer == sender or peer == author:  # noqa: SIM109 - a tuple per peer costs more than the comparison
                continue
            outbox = outboxes.get(peer)
            if outbox is not None:
                outbox.push(frame)

    def join(self, topic: str) -> None:
        """See Router."""

    def leave(self, topic: str) -> None:
        """See Router."""
