"""Who may watch a host decide? The raw tracer hooks of go-libp2p-pubsub, synchronous, with the reference's names.

A tracer must not block or change anything. Hosts without one pay for an attribute test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


class RawTracer:
    """Hooks that do nothing; override those of interest."""

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """The router was told of a peer."""

    def remove_peer(self, peer: PeerId) -> None:
        """The router was told that a peer is gone."""

    def join(self, topic: str) -> None:
        """The host takes part in a topic from now on."""

    def leave(self, topic: str) -> None:
        """The host no longer takes part in a topic."""

    def graft(self, peer: PeerId, topic: str) -> None:
        """A peer came into a topic's mesh."""

    def prune(self, peer: PeerId, topic: str) -> None:
        """A peer left a topic's mesh."""

    def throttle_peer(self, peer: PeerId) -> None:
        """Only the control part of an RPC of `peer` was heeded."""

    def publish_message(self, message: Message) -> None:
        """A local publish begins."""

    def validate_message(self, message: Message) -> None:
        """A message passed the signature check and is fresh."""

    def deliver_message(self, message: Message) -> None:
        """A message was accepted and goes to the local subscriptions and the router."""

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """A message from `peer` was refused."""

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        """A message from `peer` was seen before."""

    def undeliverable_message(self, message: Message) -> None:
        """A subscription's buffer was full."""

    def recv_rpc(self, peer: PeerId, rpc: RPC) -> None:
        """An RPC from `peer` is about to be handled."""

    def send_rpc(self, peer: PeerId, frame: bytes) -> None:
        """An RPC was put on the queue to `peer`."""

    def drop_rpc(self, peer: PeerId, frame: bytes) -> None:
        """An RPC to `peer` was lost to a full queue."""
