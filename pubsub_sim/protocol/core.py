"""The decisions of a pubsub host: one synchronous method per operation, on tables that only the core changes.

The core is given the operation and the time, changes its tables and acts on the world through `Ports`. It does not
know who calls it: both versions do, each in its own way, and that is the only thing they do differently. Methods
marked "any time" may be called outside a turn of the host.

Four tables have the operations on them as methods of their own: `peer_streams` (streams to and from peers), `peer_topics`
(what peers announced), `local_topics` (what we take part in) and `validators`; `announcer` tells peers of our topics. The
core joins them: what a peer, a topic or a message means for the router and the tracer, and the course of each message.

A message goes through the core in three calls. `handle_rpc` looks at its envelope and puts it on the validation queue.
`check` verifies its signature, remembers its id and gives the validators it has to pass. `publish_message` delivers it
and passes it on. A message without signature and validators skips the queue: `handle_rpc` stops at it and gives a
`Pending`, so that its caller publishes it in whatever way it publishes messages, before the rest of the RPC is read.

Source of every rule: go-libp2p-pubsub (May 2024), `pubsub.go`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pubsub_sim.errors import MessageRejected, PendingIgnored
from pubsub_sim.foreign import ForeignCode
from pubsub_sim.ids import PeerId, short
from pubsub_sim.protocol.announcing import Announcer
from pubsub_sim.protocol.blacklist import MapBlacklist
from pubsub_sim.protocol.guards import GuardedBlacklist, GuardedFilter, guarded_inspection
from pubsub_sim.protocol.local_topics import LocalTopics
from pubsub_sim.protocol.message_ids import MessageIds
from pubsub_sim.protocol.peer_streams import PeerStreams
from pubsub_sim.protocol.peer_topics import PeerTopics
from pubsub_sim.protocol.pending import Pending
from pubsub_sim.protocol.router import Acceptance
from pubsub_sim.protocol.seen import WHOLE_BYTES, SeenCache, seen_cache
from pubsub_sim.protocol.tracing import hook_of
from pubsub_sim.protocol.validation import (
    Reason,
    Validators,
    policy_check,
    refused_by_sealed_signature,
    refused_by_signature,
)
from pubsub_sim.wire.codec import is_text
from pubsub_sim.wire.message import Message, ObjectMessage
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.sealed import SealedIHave, SealedMessage, as_encoded, as_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pubsub_sim.ports import Rng
    from pubsub_sim.protocol.blacklist import Blacklist
    from pubsub_sim.protocol.core_ports import Ports
    from pubsub_sim.protocol.operations import Outbox
    from pubsub_sim.protocol.options import HostOptions
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.protocol.router import Router
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.protocol.validation import Validator
    from pubsub_sim.wire.sealed import Frame, ReceivedRPC
    from pubsub_sim.wire.signing import SignPolicy

_log = logging.getLogger("pubsub_sim.core")
_ALL = Acceptance.ALL  # looked up once, as it is compared for every RPC


class Core:
    """The tables of one host and the decisions on them.

    Args:
        peer_id: who we are.
        params: the host's options.
        policy: signature policy.
        router: where messages go.
        ports: how to act on the world.
        rng: seeded chance.
        initial_seqno: the sequence number before the first message (the reference takes the time in ns).
        options: what else was chosen.
        foreign: keeps account of what users' functions raise.
        seals: RPCs are sent as objects, where they can be (see `wire.sealed`).

    Raises:
        OptionError: messages are to be signed for an author whose key we do not have.

    Attributes:
        local_topics: the topics we take part in.
        announcer: tells peers of them.
        peer_topics: the topics that peers take part in.
        peer_streams: the streams to and from peers.
        message_ids: gives the ids of messages.
        policy: signature policy.
        refused_by_policy: why it refuses a message, if it does.
        author: who writes our messages; None without an author.
        filter: which topics may be joined; None for all.
        pending: what `handle_rpc` gave last, and is not published and read to its end yet.
        new_message: makes a message: an ObjectMessage if RPCs are sent as objects.

    All others are described by `RouterContext`: the core is the context of its router.
    """

    # Beyond 30 attributes CPython 3.11 looks instance attributes up in a dict of each instance (SHARED_KEYS_MAX_SIZE in
    # dictobject.c), which costs 3 % of a measured run; with the dict, methods of one host's core can still be replaced.
    __slots__ = (
        "__dict__", "_accepts_all", "_blacklist", "_handle_offer", "_inspect_rpc", "_known", "_may_be_blacklisted", "_ports",
        "_prepares", "_previews", "_reads_whole_rpcs", "_refused_by_signature", "_sealed_ihave", "_sealed_message", "_seen",
        "_seqno", "_settle_offer", "_subscribed_or_relayed", "_subscriptions", "_takes_offers", "_trace_delivery", "_trace_drop",
        "_trace_duplicate", "_trace_receipt", "_trace_rejection", "_validators_of", "_whole_message", "addresses", "announcer",
        "author", "dial", "filter", "foreign", "has_seen", "id_for_evaluation", "is_outbound", "local_topics", "message_ids",
        "new_message", "not_seen", "now_ns", "params", "peer_id", "peer_streams", "peer_topics", "peers", "pending", "policy",
        "refused_by_policy", "rng", "router", "seals", "topics", "trace_sending", "tracer", "validators",
    )  # fmt: skip

    def __init__(
        self,
        peer_id: PeerId,
        *,
        params: HostParams,
        policy: SignPolicy,
        router: Router,
        ports: Ports,
        rng: Rng,
        initial_seqno: int,
        options: HostOptions,
        foreign: ForeignCode | None = None,
        seals: bool = False,
    ) -> None:
        self.seals = seals
        self.foreign = ForeignCode() if foreign is None else foreign
        self.pending: Pending | None = None
        self.peer_id = peer_id
        self.params = params
        self.policy = options.policy_in(policy)
        self.author = options.author_of(peer_id, self.policy)
        chosen = options.subscription_filter
        self.filter = None if chosen is None else GuardedFilter(chosen, self.foreign)
        self.router = router
        self.peer_topics = PeerTopics(params.announced_frames * params.max_message_bytes)
        self.topics = self.peer_topics.topics
        self.validators = Validators(options.default_validators)
        self._validators_of = self.validators.by_topic.get  # asked for every message
        self.local_topics = LocalTopics()
        self.peers: dict[PeerId, Outbox] = {}
        self.announcer = Announcer(self.local_topics, self.peers, self.send, params=params, ports=ports, rng=rng)
        self._subscribed_or_relayed = self.local_topics.subscribed_or_relayed  # asked for every message
        self._subscriptions = self.local_topics.subscriptions
        self.refused_by_policy = policy_check(self.policy, has_author=self.author is not None)
        looks = options.inspect_rpc
        self._inspect_rpc = None if looks is None else guarded_inspection(looks, self.foreign)
        self.message_ids = MessageIds(options.message_id, self.foreign)
        listed = options.blacklist
        self._blacklist: Blacklist = MapBlacklist() if listed is None else GuardedBlacklist(listed, self.foreign)
        self._may_be_blacklisted = options.blacklist is not None  # False while we know that nobody is
        self.peer_streams = PeerStreams(
            self.peers,
            ports=ports,
            rng=rng,
            blacklist=self._blacklist,
            make_hello=self.announcer.make_hello,
            watcher=self,
        )
        self._seen = seen_cache(options.seen_strategy, int(params.seen_ttl_s * 1e9), ports.now_ns)
        self._ports = ports
        self.rng = rng
        self._seqno = initial_seqno
        self.has_seen: Callable[[bytes], bool] = self._seen.has
        self.id_for_evaluation = self.message_ids.for_evaluation
        self.now_ns: Callable[[], int] = ports.now_ns
        self.is_outbound: Callable[[PeerId], bool] = ports.is_outbound
        self.addresses: Callable[[PeerId], Sequence[str]] = ports.addresses
        self.dial: Callable[[PeerId], bool] = ports.dial
        self.not_seen: Callable[[Sequence[bytes]], list[bytes]] = self._seen.lacks
        self.new_message: type[Message] = ObjectMessage if seals else Message
        self._refused_by_signature: Callable[[Any], Reason | None] = (
            refused_by_sealed_signature if seals else refused_by_signature
        )
        self._previews = router.previews
        self._reads_whole_rpcs = router.previews or options.inspect_rpc is not None
        # Of this very class: a subclass may read more.
        self._takes_offers = vars(type(router)).keys() >= {"handle_offer", "handle_control"}
        self.set_tracer(None)
        router.attach(self)
        self._settle_offer: Callable[[PeerId, Any], bool] | None = None
        if type(self._seen) is SeenCache and "settle_offer" in vars(type(router)):
            self._settle_offer = router.settle_offer  # type: ignore[attr-defined] # just found
        self._handle_offer: Callable[[PeerId, Any], None] = getattr(router, "handle_offer", _take_no_offers)
        self._accepts_all = bool(getattr(router, "accepts_all", False))  # no call for each RPC to be told so

    def set_tracer(self, tracer: RawTracer | None) -> None:
        """Set the raw tracer hooks; None for none. Those of frequent events are looked up here, once."""
        self.tracer = tracer
        self.trace_sending = hook_of(tracer, "send_rpc")
        self._trace_drop = hook_of(tracer, "drop_rpc")
        self._trace_receipt = hook_of(tracer, "recv_rpc")
        self._trace_delivery = hook_of(tracer, "deliver_message")
        self._trace_duplicate = hook_of(tracer, "duplicate_message")
        self._trace_rejection = hook_of(tracer, "reject_message")
        hears_of_rpcs = self._trace_receipt is not None or hook_of(tracer, "throttle_peer") is not None
        takes_parts = not self._reads_whole_rpcs and not hears_of_rpcs
        # A message of this class comes without an RPC around it, and is taken as it is.
        self._whole_message = WireMessage if takes_parts and not self.seals else None
        self._sealed_message = SealedMessage if takes_parts and self.seals else None
        self._sealed_ihave = SealedIHave if takes_parts and self._takes_offers else None
        # Whether an RPC may come otherwise than decoded, or is looked at.
        self._prepares = self.seals or not takes_parts
        # Ids of messages of which a further copy changes nothing and is told nobody, whatever else is wrong with it.
        is_told = self._trace_duplicate is not None or self._trace_rejection is not None
        self._known: Mapping[bytes, object] = self._seen.ids if type(self._seen) is SeenCache and not is_told else {}

    # --- any time ------------------------------------------------------------------------------------------------

    def next_seqno(self) -> bytes:
        """Any time: the next sequence number, 8 bytes big-endian."""
        self._seqno += 1
        return self._seqno.to_bytes(8, "big")

    def mark_seen(self, message_id: bytes) -> bool:
        """Any time: remember a message id; False if it was known."""
        now_ns = self.now_ns
        return self._seen.add(message_id, now_ns())

    def check_read(self) -> None:
        """Any time between turns: whether all RPCs were read to their end.

        Raises:
            PendingIgnored: a `Pending` was not published, or its RPC not read to its end.
        """
        if self.pending is not None:
            raise PendingIgnored(self.pending.message.topic, self.pending.message.id)

    def clean_up(self) -> None:
        """Any time: forget expired message ids and old back-offs; called once per sweep period."""
        now_ns = self._ports.now_ns()
        self.check_read()
        self._seen.sweep(now_ns)
        self.peer_streams.clean_up(now_ns)

    # --- peers ---------------------------------------------------------------------------------------------------

    def blacklist_peer(self, peer: PeerId) -> None:
        """BlacklistPeer: drop a peer and refuse what comes from it or is written by it; the connection stays."""
        self._blacklist.add(peer)
        self._may_be_blacklisted = True
        self.peer_streams.drop_peer(peer)

    def list_peers(self, topic: str | None) -> list[PeerId]:
        """GetPeers: all peers, or those that announced a topic."""
        if topic is None:
            return list(self.peers)
        return [peer for peer in self.topics.get(topic, ()) if peer in self.peers]

    def peer_added(self, peer: PeerId, protocol: str) -> None:
        """A peer whose outbound stream is open."""
        if self.tracer is not None:
            self.tracer.add_peer(peer, protocol)
        self.router.add_peer(peer, protocol)

    def peer_dropped(self, peer: PeerId) -> None:
        """A peer whose outbound queue is closed; it may still have a stream to us."""
        self._forget_topics(peer)
        if self.tracer is not None:
            self.tracer.remove_peer(peer)
        self.router.remove_peer(peer)

    def stranger_left(self, peer: PeerId) -> None:
        """Keep nothing of a peer without streams, its places in meshes included (in the reference, since 2026)."""
        self._forget_topics(peer)
        self.router.remove_peer(peer)

    def _forget_topics(self, peer: PeerId) -> None:
        for topic in self.peer_topics.forget(peer):
            self.local_topics.tell_left(topic, peer)

    # --- joining and leaving topics ------------------------------------------------------------------------------

    def join(self, topic: str) -> None:
        """Take part in a topic, after it was announced."""
        if self.tracer is not None:
            self.tracer.join(topic)
        self.router.join(topic)

    def leave(self, topic: str) -> None:
        """No longer take part in a topic, after that was announced."""
        if self.tracer is not None:
            self.tracer.leave(topic)
        self.router.leave(topic)

    def topics_lacking_peers(self) -> list[str]:
        """Joined topics for which discovery should look for peers."""
        return [topic for topic in self.local_topics.handles if not self.router.has_enough_peers(topic, 0)]

    # --- RPCs and messages ---------------------------------------------------------------------------------------

    def send(self, peer: PeerId, frame: Frame) -> bool:
        """Queue a frame to a peer we have; False (and lost) if its queue is full."""
        if not self.peers[peer].push(frame):
            return self.report_drop(peer, frame)
        if self.trace_sending is not None:
            self.trace_sending(peer, frame if isinstance(frame, bytes) else frame.to_bytes())
        return True

    def send_urgent(self, peer: PeerId, frame: Frame) -> bool:
        """Like `send`, but ahead of what waits and is not urgent."""
        if not self.peers[peer].push_urgent(frame):
            return self.report_drop(peer, frame)
        if self.trace_sending is not None:
            self.trace_sending(peer, frame if isinstance(frame, bytes) else frame.to_bytes())
        return True

    def report_drop(self, peer: PeerId, frame: Frame) -> bool:
        """Tell of a frame that is lost; gives False."""
        if self._trace_drop is not None:
            self._trace_drop(peer, as_encoded(frame))
        return False

    def handle_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> Pending | None:
        """One RPC of a peer: its subscriptions, then its messages, then its control part.

        An RPC that is nothing but a message may come as that message, and sealed ones may come as they are.

        Returns:
            None once all of it is read. Otherwise the message to be published now, by `publish_message`, and the rest of
            the RPC, to be read by `Pending.resume` after that and before any other RPC.
        """
        if type(rpc) is self._whole_message:
            if self._accepts_all or self.router.accept_from(peer) is _ALL:
                message = self._examine(peer, rpc)
                if message is not None and self._push(message):
                    return Pending(message, self, peer, None, None)
            return None
        decoded: RPC = rpc  # type: ignore[assignment] # anything else is prepared
        if self._prepares:
            kind = type(rpc)
            if kind is self._sealed_message:
                return self._handle_sealed(peer, rpc)  # type: ignore[arg-type] # by its type
            if kind is self._sealed_ihave:
                if (self._accepts_all or self.router.accept_from(peer) is not Acceptance.NONE) and (
                    peer in self.peers or self.peer_streams.is_heard(peer)
                ):
                    handle_offer = (
                        self._handle_offer
                    )  # called at once, CPython 3.11 would search the class for a method
                    handle_offer(peer, rpc)
                return None
            prepared = self._prepare(peer, rpc)
            if prepared is None:
                return None
            decoded = prepared
        if decoded.subscriptions and not self._apply_subscriptions(peer, decoded):
            return None
        acceptance = self.router.accept_from(peer)
        if acceptance is _ALL:
            messages = self._preview(peer, decoded) if self._previews else decoded.publish
            return self.read_messages(peer, decoded, iter(messages))
        if acceptance is Acceptance.CONTROL:
            if self.tracer is not None:
                self.tracer.throttle_peer(peer)
            return self.read_messages(peer, decoded, iter(()))
        return None

    def _handle_sealed(self, peer: PeerId, sealed: SealedMessage) -> Pending | None:
        """A message without an RPC around it, as `handle_rpc` takes it; most are copies of known ones."""
        message_id = sealed.id
        if self._accepts_all:
            if message_id in self._known and self._is_settled(message_id):
                return None
        elif self.router.accept_from(peer) is not _ALL:
            return None
        message = self._examine(peer, sealed)
        if message is None:
            return None
        if message.id == message_id:
            message.id = message_id  # one object for all hosts: their tables find it without comparing bytes
        return Pending(message, self, peer, None, None) if self._push(message) else None

    def settle_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> bool:
        """Any time, if no RPC waits for a turn: take an RPC of a peer if no more comes of it than a count.

        That is a copy of a known message, of which nobody wants to be told, or an IHAVE of known messages.

        Returns:
            False if `handle_rpc` has to take it.
        """
        if not self._accepts_all:
            return False
        kind = type(rpc)
        if kind is self._sealed_message:
            message_id: bytes = rpc.id  # type: ignore[union-attr] # by its type
            return message_id in self._known and self._is_settled(message_id)
        if kind is self._sealed_ihave and peer in self.peers:
            settle_offer = self._settle_offer
            return settle_offer is not None and settle_offer(peer, rpc)
        return False

    def _is_settled(self, message_id: bytes) -> bool:
        """Whether a message with a known id is a copy, whatever else is in it."""
        return len(message_id) <= WHOLE_BYTES and not (self._may_be_blacklisted or self.message_ids.are_chosen)

    def _prepare(self, peer: PeerId, rpc: ReceivedRPC) -> RPC | None:
        """Decode what is not decoded yet, and show it to those who look at RPCs.

        Returns:
            An RPC of our own, which they may keep and change; None if it is refused.
        """
        if isinstance(rpc, WireMessage):
            decoded = RPC(publish=(rpc,))
        elif isinstance(rpc, RPC):
            decoded = rpc
        else:
            decoded = rpc.open()
        if self._inspect_rpc is not None and not self._inspect_rpc(peer, decoded):
            return None
        if self._trace_receipt is not None:
            self._trace_receipt(peer, decoded)
        return decoded

    def read_messages(self, peer: PeerId, rpc: RPC, messages: Iterator[WireMessage | Message]) -> Pending | None:
        """The messages of an RPC that are left, then its control part; for `handle_rpc` and `Pending`."""
        for one in messages:
            message = one if isinstance(one, Message) else self._examine(peer, one)
            if message is not None and self._push(message):
                return Pending(message, self, peer, rpc, messages)
        if rpc.HasField("control") and self.peer_streams.is_heard(peer):
            self.router.handle_control(peer, rpc, self._ports.now_ns())
        return None

    def publish_message(self, message: Message) -> None:
        """PublishMessage: deliver an accepted message here and pass it to the router."""
        pending = self.pending
        if pending is not None and pending.message is message:
            pending.is_published = True
            if pending.is_last:
                self.pending = None
        if self._trace_delivery is not None:
            self._trace_delivery(message)
        for subscription in self._subscriptions.get(message.topic, ()):
            if not subscription.offer(message) and self.tracer is not None:
                self.tracer.undeliverable_message(message)
        if not message.is_local:
            self.router.publish(message)

    def check(self, message: Message) -> Sequence[Validator] | None:
        """Any time: verify the signature of a peer's message and remember its id.

        Returns:
            The validators it has to pass, in order; None if it is refused or known, which has been traced.
        """
        refusal = self._refused_by_signature(message.envelope)
        if refusal is not None:
            self.reject(message.wire, message.received_from, refusal)
            return None
        return self._remember(message)

    def check_own(self, message: Message) -> Sequence[Validator] | None:
        """Any time: like `check`, for a message of our own, which the signature policy must allow.

        Raises:
            MessageRejected: policy or signature refuse it.
        """
        if self.tracer is not None:
            self.tracer.publish_message(message)
        refusal = self.refused_by_policy(message.envelope) or self._refused_by_signature(message.envelope)
        if refusal is not None:
            raise self.reject_own(message, refusal)
        return self._remember(message)

    def _remember(self, message: Message) -> Sequence[Validator] | None:
        """Remember a message's id, unless it is known; see `check`."""
        if not self.mark_seen(message.id):
            self.duplicate(message.id, message.received_from)
            return None
        if self.tracer is not None:
            self.tracer.validate_message(message)
        return self._validators_of(message.topic, self.validators.defaults)

    def forget_message(self, message: Message) -> None:
        """Any time: forget the id of a message of our own that passed `check_own` and will not be published."""
        self._seen.forget(message.id)

    def reject_own(self, message: Message, reason: Reason) -> MessageRejected:
        """Any time: a message of our own is refused; gives the error for its publisher."""
        self.reject(message.wire, self.peer_id, reason)
        return MessageRejected(reason, message.topic)

    def reject(self, wire: WireMessage, peer: PeerId, reason: Reason) -> None:
        """Any time: a message from `peer` is refused."""
        if self._trace_rejection is not None:
            self._trace_rejection(wire, peer, reason)

    def duplicate(self, message_id: bytes, peer: PeerId) -> None:
        """Any time: a message from `peer` was seen before."""
        if self._trace_duplicate is not None:
            self._trace_duplicate(message_id, peer)

    def _apply_subscriptions(self, peer: PeerId, rpc: RPC) -> bool:
        """Note what a peer announces; False if the filter drops the whole RPC."""
        subscriptions = [option for option in rpc.subscriptions if is_text(option.topicid)]
        if self.filter is not None:
            kept = self.filter.filter_incoming(peer, subscriptions)
            if kept is None:
                _log.debug("an RPC of %s is dropped by the subscription filter", short(peer))
                return False
            subscriptions = kept
        if self.peer_streams.is_heard(peer):
            for option in subscriptions:
                topic = option.topicid
                if not option.subscribe:
                    if self.peer_topics.remove(peer, topic):
                        self.router.peer_left(peer, topic)
                        self.local_topics.tell_left(topic, peer)
                elif self.peer_topics.add(peer, topic):
                    self.local_topics.tell_joined(topic, peer)
        return True

    def _check_blacklist(self, peer: PeerId, source: bytes) -> Reason | None:
        if peer in self._blacklist:
            return Reason.BLACKLISTED_PEER
        return Reason.BLACKLISTED_SOURCE if source in self._blacklist else None

    def _preview(self, peer: PeerId, rpc: RPC) -> list[Message]:
        """The messages of one RPC, all shown to the router before the first is validated."""
        messages = [m for m in (self._examine(peer, wire) for wire in rpc.publish) if m is not None]
        self.router.preprocess(peer, messages)
        return messages

    def _examine(self, peer: PeerId, wire: WireMessage | SealedMessage) -> Message | None:
        """The checks before validation, in the reference's order; each protobuf field is read once."""
        topic = wire.topic
        if topic not in self._subscribed_or_relayed:
            return None
        source = wire.author
        refused_by_policy = self.refused_by_policy  # called at once, CPython 3.11 would search the class for a method
        refusal = refused_by_policy(wire)
        if self._may_be_blacklisted:
            refusal = self._check_blacklist(peer, source) or refusal
        if source == self.peer_id and peer != source:
            refusal = refusal or Reason.SELF_ORIGIN
        if refusal is not None:
            self.reject(as_message(wire), peer, refusal)
            return None
        seqno = wire.seqno
        message_id = source + seqno
        if self.message_ids.are_chosen:
            wire = as_message(wire)
            chosen = self.message_ids.of_received(wire)
            if chosen is None:
                return None
            message_id = chosen
        has_seen = self.has_seen
        if has_seen(message_id):
            if self._trace_duplicate is not None:
                self._trace_duplicate(message_id, peer)
            return None
        return self.new_message(wire, peer, source=PeerId(source), seqno=seqno, topic=topic, id=message_id)

    def _push(self, message: Message) -> bool:
        """Have a message validated; True for a new one that needs no validation: it is to be published now."""
        if message.envelope.signature or self.validators.of(message.topic):
            if not self._ports.enqueue_validation(message):
                self.reject(message.wire, message.received_from, Reason.QUEUE_FULL)
        elif self.mark_seen(message.id):
            return True
        else:
            self.duplicate(message.id, message.received_from)
        return False


def _take_no_offers(peer: PeerId, offer: object) -> None:
    raise AssertionError("this router is given decoded RPCs only")
