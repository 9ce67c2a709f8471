"""The peer score of gossipsub v1.1, fed by the tracer hooks.

    score = min(cap, sum over topics of (P1 + P2 + P3 + P3b + P4)) + P5 + P6 + P7

The components of topics are in `topic_score`, P6 is in `colocation`. Meshes and thresholds belong to the router. Timers call
`refresh` every decay interval, and `refresh_ips` and `clean_up` every minute.

Source of every rule: go-libp2p-pubsub (May 2024), `score.go`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError
from pubsub_sim.protocol.colocation import Colocation
from pubsub_sim.protocol.deliveries import Deliveries, Fate
from pubsub_sim.protocol.score_snapshot import PeerSnapshot, snapshot_of
from pubsub_sim.protocol.topic_score import TopicScore
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.protocol.validation import Reason
from pubsub_sim.wire.message import author_and_seqno

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.colocation import Addresses
    from pubsub_sim.protocol.score_params import PeerScoreParams, TopicScoreParams
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

MINUTE_S = 60.0
"""Interval in seconds of updating addresses and sweeping delivery records (`background` of the reference)."""

# refused before validation because of the sender: a penalty, but no record
_CLEARLY_INVALID = frozenset(
    {
        Reason.MISSING_SIGNATURE,
        Reason.UNEXPECTED_SIGNATURE,
        Reason.UNEXPECTED_AUTH_INFO,
        Reason.INVALID_SIGNATURE,
        Reason.SELF_ORIGIN,
    }
)
# reasons unrelated to the message itself
_UNTOLD = frozenset({Reason.BLACKLISTED_PEER, Reason.BLACKLISTED_SOURCE, Reason.QUEUE_FULL})


class _Peer:
    """The record of one peer."""

    __slots__ = ("behaviour_penalty", "expiry_ns", "is_connected", "topics")

    def __init__(self) -> None:
        self.is_connected = True
        self.expiry_ns = 0  # once disconnected
        self.topics: dict[str, TopicScore] = {}
        self.behaviour_penalty = 0.0


class PeerScore(RawTracer):
    """The scores of one host's peers.

    It must be an evaluator of a `Tracers`, which does not report the host's own messages to it.

    Args:
        params: weights, caps and decays.
        now_ns: monotonic time, which the hooks do not pass.
        addresses: returns the addresses of a peer; without it no addresses are shared.
        message_id: returns the id of a received message (refused messages have no computed id).
    """

    __slots__ = ("_app", "_colocation", "_deliveries", "_message_id", "_now_ns", "_peers", "_topics", "params")

    def __init__(
        self,
        params: PeerScoreParams,
        *,
        now_ns: Callable[[], int],
        addresses: Addresses | None = None,
        message_id: Callable[[WireMessage], bytes] = author_and_seqno,
    ) -> None:
        self.params = params
        self._now_ns = now_ns
        self._message_id = message_id
        self._app = params.app_specific_score
        self._topics = dict(params.topics)
        self._peers: dict[PeerId, _Peer] = {}
        self._deliveries = Deliveries(int(params.seen_msg_ttl_s * 1e9))
        self._colocation = Colocation(
            addresses or _nowhere, params.ip_colocation_factor_threshold, params.ip_colocation_factor_whitelist
        )

    # --- scores --------------------------------------------------------------------------------------------------

    def score(self, peer: PeerId) -> float:
        """Return the score of a peer; 0 for an unknown one.

        Raises:
            OptionError: the application's score is not a finite number.
        """
        record = self._peers.get(peer)
        if record is None:
            return 0.0
        topic_score, p5, p6, p7 = self._components(peer, record)
        return topic_score + p5 + p6 + p7

    def scores(self) -> dict[PeerId, PeerSnapshot]:
        """Return the score of every known peer, with its components.

        Raises:
            OptionError: the application's score is not a finite number.
        """
        return {peer: self._snapshot(peer, record) for peer, record in self._peers.items()}

    def _components(self, peer: PeerId, record: _Peer) -> tuple[float, float, float, float]:
        params = self.params
        topic_score = 0.0
        for topic in record.topics.values():
            topic_score += topic.score()
        if 0 < params.topic_score_cap < topic_score:
            topic_score = params.topic_score_cap
        excess = max(0.0, record.behaviour_penalty - params.behaviour_penalty_threshold)
        return (
            topic_score,
            self._app_score(peer) * params.app_specific_weight,
            self._colocation.factor(peer) * params.ip_colocation_factor_weight,
            excess * excess * params.behaviour_penalty_weight,
        )

    def _app_score(self, peer: PeerId) -> float:
        if self._app is None:
            return 0.0
        score = self._app(peer)
        try:
            is_finite = math.isfinite(score)
        except TypeError:
            is_finite = False
        if not is_finite:
            raise OptionError("app_specific_score", score, "a function that returns finite numbers")
        return score

    def _snapshot(self, peer: PeerId, record: _Peer) -> PeerSnapshot:
        topic_score, p5, p6, p7 = self._components(peer, record)
        return PeerSnapshot(
            score=topic_score + p5 + p6 + p7,
            topics={name: snapshot_of(topic) for name, topic in record.topics.items()},
            topic_score=topic_score,
            p5=p5,
            p6=p6,
            p7=p7,
            app_specific_score=self._app_score(peer),
            ip_colocation_factor=self._colocation.factor(peer),
            behaviour_penalty=record.behaviour_penalty,
            is_connected=record.is_connected,
        )

    # --- timers --------------------------------------------------------------------------------------------------

    def refresh(self, now_ns: int) -> None:
        """Decay counters, update mesh times and remove expired peers, after each decay interval.

        The counters of disconnected peers do not decay, so that reconnecting does not improve a score.
        """
        to_zero = self.params.decay_to_zero
        expired = []
        for peer, record in self._peers.items():
            if not record.is_connected:
                if now_ns > record.expiry_ns:
                    expired.append(peer)
                continue
            for topic in record.topics.values():
                topic.decay(now_ns, to_zero)
            penalty = record.behaviour_penalty * self.params.behaviour_penalty_decay
            record.behaviour_penalty = penalty if penalty >= to_zero else 0.0
        for peer in expired:
            self._forget(peer)

    def refresh_ips(self) -> None:
        """Update the addresses of connected peers, every minute."""
        for peer, record in self._peers.items():
            if record.is_connected:
                self._colocation.track(peer)

    def clean_up(self, now_ns: int) -> None:
        """Remove expired delivery records, every minute."""
        self._deliveries.sweep(now_ns)

    def _forget(self, peer: PeerId) -> None:
        del self._peers[peer]
        self._colocation.forget(peer)

    # --- called by the router ------------------------------------------------------------------------------------

    def add_penalty(self, peer: PeerId, count: int) -> None:
        """Add behavioural penalties of a known peer (P7)."""
        record = self._peers.get(peer)
        if record is not None:
            record.behaviour_penalty += count

    def set_topic_params(self, topic: str, params: TopicScoreParams) -> None:
        """Set the parameters of a topic from now on; counters above a lower cap are reduced to it."""
        self._topics[topic] = params
        for record in self._peers.values():
            counters = record.topics.get(topic)
            if counters is not None:
                counters.use(params)

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """Keep only the negative parts of the score in the topic, as the peer has unsubscribed."""
        record = self._peers.get(peer)
        if record is not None and topic in record.topics:
            counters = record.topics[topic]
            counters.leave()
            if not counters.owes:
                del record.topics[topic]

    # --- hooks ---------------------------------------------------------------------------------------------------

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Add a peer, restoring its retained score if there is one."""
        record = self._peers.get(peer)
        if record is None:
            record = self._peers[peer] = _Peer()
        record.is_connected = True
        self._colocation.track(peer)

    def remove_peer(self, peer: PeerId) -> None:
        """Retain a score that is not positive, so that reconnecting does not clear it; drop a positive one."""
        record = self._peers.get(peer)
        if record is None:
            return
        if self.score(peer) > 0:
            self._forget(peer)
            return
        for topic in record.topics.values():
            topic.disconnect()
        record.is_connected = False
        record.expiry_ns = self._now_ns() + int(self.params.retain_score_s * 1e9)

    def graft(self, peer: PeerId, topic: str) -> None:
        """Start the time in mesh."""
        counters = self._of(peer, topic)
        if counters is not None:
            counters.graft(self._now_ns())

    def prune(self, peer: PeerId, topic: str) -> None:
        """End the time in mesh; a deficit of deliveries is added to P3b."""
        counters = self._of(peer, topic)
        if counters is not None:
            counters.prune()

    def validate_message(self, message: Message) -> None:
        """Start a delivery record, which collects further senders during validation."""
        self._deliveries.of(message.id, message.topic, self._now_ns())

    def deliver_message(self, message: Message) -> None:
        """Credit P2 and P3 to the first sender, and P3 to all that sent the message during its validation."""
        sender, topic = message.received_from, message.topic
        counters = self._of(sender, topic)
        if counters is not None:
            counters.bring_first()
        now_ns = self._now_ns()
        record = self._deliveries.of(message.id, topic, now_ns)
        if record.fate is not Fate.UNKNOWN:
            return
        record.fate = Fate.VALID
        record.validated_ns = now_ns
        for peer in record.peers:
            if peer != sender:
                self._credit(peer, topic, 0)

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """Count an invalid message (P4) against all its senders, unless the reason does not concern the message."""
        if reason in _CLEARLY_INVALID:
            return self._blame(peer, message.topic)
        if reason in _UNTOLD:
            return None
        topic = message.topic
        record = self._deliveries.of(self._message_id(message), topic, self._now_ns())
        if record.fate is not Fate.UNKNOWN:
            return None
        peers, record.peers = record.peers, {}
        if reason == Reason.THROTTLED:
            record.fate = Fate.THROTTLED
        elif reason == Reason.IGNORED:
            record.fate = Fate.IGNORED
        else:
            record.fate = Fate.INVALID
            self._blame(peer, topic)
            for other in peers:
                self._blame(other, topic)
        return None

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        """Count P3 for a message known as valid, P4 for one known as invalid, in the topic of the first copy."""
        now_ns = self._now_ns()
        record = self._deliveries.of(message_id, "", now_ns)
        if peer in record.peers:
            return
        if record.fate is Fate.UNKNOWN:
            record.peers[peer] = None
        elif record.fate is Fate.VALID:
            record.peers[peer] = None
            self._credit(peer, record.topic, now_ns - record.validated_ns)
        elif record.fate is Fate.INVALID:
            self._blame(peer, record.topic)

    def _of(self, peer: PeerId, topic: str) -> TopicScore | None:
        """Return the counters of a peer in a topic; None for unknown peers and unscored topics."""
        record = self._peers.get(peer)
        if record is None:
            return None
        counters = record.topics.get(topic)
        if counters is None:
            params = self._topics.get(topic)
            if params is None:
                return None
            counters = record.topics[topic] = TopicScore(params)
        return counters

    def _credit(self, peer: PeerId, topic: str, late_ns: int) -> None:
        counters = self._of(peer, topic)
        if counters is not None:
            counters.bring_again(late_ns)

    def _blame(self, peer: PeerId, topic: str) -> None:
        counters = self._of(peer, topic)
        if counters is not None:
            counters.invalid_deliveries += 1


def _nowhere(peer: PeerId) -> tuple[str, ...]:
    return ()
