"""The peer gater of gossipsub v1.1: decides whose messages are accepted when validation cannot keep up.

While messages are lost to full validation queues, a peer's messages are accepted with a probability that grows with its
deliveries and shrinks with its useless messages. Peers behind one address share their record, so a new identity does not
help.

Source of every rule: go-libp2p-pubsub (May 2024), `peer_gater.go`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionError
from pubsub_sim.protocol.router import Acceptance
from pubsub_sim.protocol.score_params import DECAY_INTERVAL_S, DECAY_TO_ZERO, decay_factor
from pubsub_sim.protocol.tracing import RawTracer
from pubsub_sim.protocol.validation import Reason

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.ports import Rng
    from pubsub_sim.protocol.colocation import Addresses
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


_NO_ROOM = frozenset({Reason.QUEUE_FULL, Reason.THROTTLED})


@dataclass(frozen=True, kw_only=True)
class PeerGaterParams:
    """The parameters of the gater; defaults are the reference's.

    Attributes:
        threshold: lost messages per validated one above which the gater is active (`DefaultPeerGaterThreshold`, 0.33).
        global_decay: factor per interval of the counts of lost and validated messages (to zero in 2 min).
        source_decay: factor per interval of the counts of a source (to zero in 1 h).
        decay_interval_s: the interval (at least 1 s).
        decay_to_zero: smaller counters become 0.
        retain_stats_s: time a source without peers is kept (`DefaultPeerGaterRetainStats`, 6 h).
        quiet_s: time without lost messages after which all peers are accepted (`DefaultPeerGaterQuiet`, 60 s).
        duplicate_weight: weight of duplicates among useless messages (0.125).
        ignore_weight: weight of ignored messages (at least 1).
        reject_weight: weight of refused messages (at least 1; 16).
        topic_delivery_weights: weight of a delivered message by topic; 1 for others and for 0.
    """

    threshold: float = 0.33
    global_decay: float = decay_factor(120)
    source_decay: float = decay_factor(3600)
    decay_interval_s: float = DECAY_INTERVAL_S
    decay_to_zero: float = DECAY_TO_ZERO
    retain_stats_s: float = 6 * 3600.0
    quiet_s: float = 60.0
    duplicate_weight: float = 0.125
    ignore_weight: float = 1.0
    reject_weight: float = 16.0
    topic_delivery_weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("threshold", "duplicate_weight"):
            self._require(name, lambda value: value > 0, "a number above 0")
        for name in ("global_decay", "source_decay", "decay_to_zero"):
            self._require(name, lambda value: 0 < value < 1, "a number between 0 and 1, both excluded")
        for name in ("decay_interval_s", "quiet_s", "ignore_weight", "reject_weight"):
            self._require(name, lambda value: value >= 1, "a number of at least 1")
        self._require("retain_stats_s", lambda value: value >= 0, "a number of at least 0")
        for topic, weight in self.topic_delivery_weights.items():
            if not _is_number(weight) or weight < 0:
                raise OptionError(f"topic_delivery_weights[{topic!r}]", weight, "a number of at least 0")

    def _require(self, name: str, holds: Callable[[float], bool], expected: str) -> None:
        value = getattr(self, name)
        if not _is_number(value) or not holds(value):
            raise OptionError(name, value, expected)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


class Source:
    """The record of one address.

    Attributes:
        connected: number of connected peers.
        deliveries: first deliveries of valid messages, weighted by topic.
        duplicates: duplicate messages.
        ignored: messages ignored by a validator.
        rejected: refused messages.
        expiry_ns: expiry of a record without peers.
    """

    __slots__ = ("connected", "deliveries", "duplicates", "expiry_ns", "ignored", "rejected")

    def __init__(self, expiry_ns: int) -> None:
        self.connected = 0
        self.deliveries = 0.0
        self.duplicates = 0.0
        self.ignored = 0.0
        self.rejected = 0.0
        self.expiry_ns = expiry_ns


class PeerGater(RawTracer):
    """The gater of one host. It must be an evaluator of a `Tracers`, and `decay` must be called periodically.

    Args:
        params: its parameters.
        now_ns: monotonic time, which the hooks do not pass.
        rng: decides on peers with a mixed record.
        addresses: returns the addresses of a peer; the first one counts. A peer without one is a separate source.

    Attributes:
        validated: decaying number of messages that began validation.
        throttled: decaying number of messages lost to full validation queues.
    """

    __slots__ = (
        "_addresses",
        "_last_throttle_ns",
        "_now_ns",
        "_peers",
        "_quiet_ns",
        "_retain_ns",
        "_rng",
        "_sources",
        "params",
        "throttled",
        "validated",
    )

    def __init__(
        self, params: PeerGaterParams, *, now_ns: Callable[[], int], rng: Rng, addresses: Addresses | None = None
    ) -> None:
        self.params = params
        self.validated = 0.0
        self.throttled = 0.0
        self._now_ns = now_ns
        self._rng = rng
        self._addresses = addresses
        self._quiet_ns = int(params.quiet_s * 1e9)
        self._retain_ns = int(params.retain_stats_s * 1e9)
        self._last_throttle_ns: int | None = None
        self._peers: dict[PeerId, Source] = {}
        self._sources: dict[str | PeerId, Source] = {}

    def accept_from(self, peer: PeerId) -> Acceptance:
        """Return whether to process the messages of a peer's RPC, or only its control part."""
        last_ns, params = self._last_throttle_ns, self.params
        if last_ns is None or not self.throttled or self._now_ns() - last_ns > self._quiet_ns:
            return Acceptance.ALL
        if self.validated and self.throttled / self.validated < params.threshold:
            return Acceptance.ALL
        source = self.source_of(peer)
        total = (
            source.deliveries
            + params.duplicate_weight * source.duplicates
            + params.ignore_weight * source.ignored
            + params.reject_weight * source.rejected
        )
        if not total:
            return Acceptance.ALL
        # one is added to both, so that one bad message does not exclude a peer and no peer is excluded for ever
        chance = (1 + source.deliveries) / (1 + total)
        return Acceptance.ALL if self._rng.random() < chance else Acceptance.CONTROL

    def source_of(self, peer: PeerId) -> Source:
        """Return the record of a peer, shared with all peers on its address."""
        source = self._peers.get(peer)
        if source is not None:
            return source
        places = () if self._addresses is None else self._addresses(peer)
        place = places[0] if places else peer
        source = self._sources.get(place)
        if source is None:
            source = self._sources[place] = Source(self._now_ns() + self._retain_ns)
        return source

    @property
    def sources(self) -> Mapping[str | PeerId, Source]:
        """Records by address, or by id of a peer without one; for inspection."""
        return self._sources

    def decay(self, now_ns: int) -> None:
        """Decay the counters after one interval, and remove expired sources."""
        params = self.params
        to_zero, factor = params.decay_to_zero, params.source_decay
        self.validated = _decay(self.validated * params.global_decay, to_zero)
        self.throttled = _decay(self.throttled * params.global_decay, to_zero)
        expired = []
        for place, source in self._sources.items():
            if source.connected:
                source.deliveries = _decay(source.deliveries * factor, to_zero)
                source.duplicates = _decay(source.duplicates * factor, to_zero)
                source.ignored = _decay(source.ignored * factor, to_zero)
                source.rejected = _decay(source.rejected * factor, to_zero)
            elif source.expiry_ns < now_ns:
                expired.append(place)
        for place in expired:
            del self._sources[place]

    # --- hooks ---------------------------------------------------------------------------------------------------

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Count a peer at its address; it keeps this record until it is removed."""
        if peer not in self._peers:
            source = self._peers[peer] = self.source_of(peer)
            source.connected += 1

    def remove_peer(self, peer: PeerId) -> None:
        """Remove a peer; the record of its address is kept."""
        source = self._peers.pop(peer, None)
        if source is not None:
            source.connected -= 1
            source.expiry_ns = self._now_ns() + self._retain_ns

    def validate_message(self, message: Message) -> None:
        """Count a message that was queued for validation."""
        self.validated += 1

    def deliver_message(self, message: Message) -> None:
        """Credit the peer that delivered the message first."""
        weight = self.params.topic_delivery_weights.get(message.topic, 0) or 1
        self.source_of(message.received_from).deliveries += weight

    def duplicate_message(self, message_id: bytes, peer: PeerId) -> None:
        """Count a duplicate against its sender."""
        self.source_of(peer).duplicates += 1

    def reject_message(self, message: WireMessage, peer: PeerId, reason: str) -> None:
        """Count a message lost to a full queue, without blame, or a useless one against its sender."""
        if reason in _NO_ROOM:
            self._last_throttle_ns = self._now_ns()
            self.throttled += 1
        elif reason == Reason.IGNORED:
            self.source_of(peer).ignored += 1
        else:
            self.source_of(peer).rejected += 1


def _decay(count: float, to_zero: float) -> float:
    return count if count >= to_zero else 0.0
