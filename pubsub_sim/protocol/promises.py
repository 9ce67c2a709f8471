"""Promises to deliver what was requested by IWANT, and the count of broken ones per peer.

A peer that announces messages (IHAVE) and gets a request for them (IWANT) should deliver. One id of each request is
tracked, chosen at random so that the peer cannot know it. Promises are used only with peer scoring, which penalises
broken ones (P7).

Source: go-libp2p-pubsub (May 2024), `gossip_tracer.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pubsub_sim.protocol.seen import cache_key
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.protocol.validation import Reason
from pubsub_sim.wire.message import author_and_seqno

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Rng
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

IWANT_FOLLOWUP_S = 3.0
"""Time limit in seconds for delivering a requested message (`GossipSubIWantFollowupTime`)."""

# messages refused for these reasons do not fulfil a promise
_NO_DELIVERY = frozenset({Reason.MISSING_SIGNATURE, Reason.INVALID_SIGNATURE})


class Promises(RawTracer):
    """The promises of peers to one host. It must be an evaluator of a `Tracers`.

    Args:
        now_ns: monotonic time, which the hooks do not pass.
        rng: chooses the tracked message of a request.
        followup_s: time limit for delivery.
        message_id: returns the id of a received message.
    """

    __slots__ = ("_by_message", "_by_peer", "_followup_ns", "_message_id", "_now_ns", "_rng")

    def __init__(
        self,
        *,
        now_ns: Callable[[], int],
        rng: Rng,
        followup_s: float = IWANT_FOLLOWUP_S,
        message_id: Callable[[WireMessage], bytes] = author_and_seqno,
    ) -> None:
        self._now_ns = now_ns
        self._rng = rng
        self._followup_ns = int(followup_s * 1e9)
        self._message_id = message_id
        self._by_message: dict[bytes, dict[PeerId, int]] = {}  # deadline by cache key and peer
        self._by_peer: dict[PeerId, dict[bytes, None]] = {}

    def add(self, peer: PeerId, message_ids: Sequence[bytes]) -> None:
        """Track a request to a peer; an older promise of the chosen message is kept."""
        if not message_ids:
            return
        chosen = cache_key(message_ids[self._rng.randint(0, len(message_ids) - 1)])
        promised = self._by_message.setdefault(chosen, {})
        if peer not in promised:
            promised[peer] = self._now_ns() + self._followup_ns
            self._by_peer.setdefault(peer, {})[chosen] = None

    def broken(self, now_ns: int) -> dict[PeerId, int]:
        """Remove the expired promises and return their number by peer."""
        expired = [
            (message_id, peer)
            for message_id, promised in self._by_message.items()
            for peer, expiry_ns in promised.items()
            if expiry_ns < now_ns
        ]
        counts: dict[PeerId, int] = {}
        for message_id, peer in expired:
            counts[peer] = counts.get(peer, 0) + 1
            self._forget(message_id, peer)
        return counts

    @property
    def outstanding(self) -> dict[PeerId, int]:
        """Number of pending promises by peer."""
        return {peer: len(messages) for peer, messages in self._by_peer.items()}

    def validate_message(self, message: Message) -> None:
        """Fulfil all promises of the message, regardless of its sender."""
        if self._by_message:
            self._fulfil(message.id)

    def deliver_message(self, message: Message) -> None:
        """Fulfil all promises of the message, regardless of its sender."""
        if self._by_message:
            self._fulfil(message.id)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """Fulfil the promises of a refused message too, unless its signature was missing or wrong."""
        if self._by_message and reason not in _NO_DELIVERY:
            self._fulfil(self._message_id(message))

    def throttle_peer(self, peer: PeerId) -> None:
        """Drop the promises of a peer whose messages are not processed."""
        for message_id in list(self._by_peer.get(peer, ())):
            self._forget(message_id, peer)

    def _fulfil(self, message_id: bytes) -> None:
        message_id = cache_key(message_id)
        for peer in list(self._by_message.get(message_id, ())):
            self._forget(message_id, peer)

    def _forget(self, message_id: bytes, peer: PeerId) -> None:
        promised = self._by_message[message_id]
        del promised[peer]
        if not promised:
            del self._by_message[message_id]
        messages = self._by_peer[peer]
        del messages[message_id]
        if not messages:
            del self._by_peer[peer]
