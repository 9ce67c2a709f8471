"""Promises to deliver what was requested by IWANT, and the count of broken ones per peer.

A peer that announces messages (IHAVE) and is asked for them (IWANT) should deliver. Of each request one id is watched.
It is chosen at random, so a peer cannot know which. Promises exist only with peer scoring, which punishes broken ones
(P7).

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
"""How long a peer may take to deliver what it was asked for (`GossipSubIWantFollowupTime`)."""

# messages refused for these reasons do not fulfil a promise
_NO_DELIVERY = frozenset({Reason.MISSING_SIGNATURE, Reason.INVALID_SIGNATURE})


class Promises(RawTracer):
    """The promises other peers made to one host. A `Tracers` should list it among its evaluators.

    Args:
        now_ns: monotonic time; the hooks carry none.
        rng: chooses which of the requested messages is watched.
        followup_s: how long a peer may take.
        message_id: the id of a message as it was received.
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
        self._by_message: dict[bytes, dict[PeerId, int]] = {}  # id as it is kept -> who promised it -> until when
        self._by_peer: dict[PeerId, dict[bytes, None]] = {}

    def add(self, peer: PeerId, message_ids: Sequence[bytes]) -> None:
        """A peer was asked for messages it announced; an older promise of the chosen one stands."""
        if not message_ids:
            return
        chosen = cache_key(message_ids[self._rng.randint(0, len(message_ids) - 1)])
        promised = self._by_message.setdefault(chosen, {})
        if peer not in promised:
            promised[peer] = self._now_ns() + self._followup_ns
            self._by_peer.setdefault(peer, {})[chosen] = None

    def broken(self, now_ns: int) -> dict[PeerId, int]:
        """Forget the promises that have expired; gives how many each peer broke."""
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
        """How many promises of each peer are neither fulfilled nor broken."""
        return {peer: len(messages) for peer, messages in self._by_peer.items()}

    def validate_message(self, message: Message) -> None:
        """Whoever sent it: nobody need send it again."""
        if self._by_message:
            self._fulfil(message.id)

    def deliver_message(self, message: Message) -> None:
        """Fulfil all promises of the message, whoever sent it."""
        if self._by_message:
            self._fulfil(message.id)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """A refused message was delivered all the same, unless its signature was missing or wrong."""
        if self._by_message and reason not in _NO_DELIVERY:
            self._fulfil(self._message_id(message))

    def throttle_peer(self, peer: PeerId) -> None:
        """We do not look at what the peer sends: it cannot keep promises."""
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
