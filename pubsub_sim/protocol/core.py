"""The decisions of a pubsub host: one synchronous method per operation, on tables that only the core changes.

The core is given the operation and the time, changes its tables and acts on the world through `Ports`. It does not
know who calls it: both versions do, each in its own way, and that is the only thing they do differently. Methods
marked "any time" may be called outside a turn of the host.

A message goes through the core in three calls. `handle_rpc` looks at its envelope and puts it on the validation queue.
`check` verifies its signature, remembers its id and gives the validators it has to pass. `publish_message` delivers it
and passes it on. A message without signature and validators skips the queue: `handle_rpc` stops at it and gives a
`Pending`, so that its caller publishes it in whatever way it publishes messages, before the rest of the RPC is read.

Source of every rule: go-libp2p-pubsub (May 2024), `pubsub.go`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pubsub_sim.errors import MessageRejected, PendingIgnored
from pubsub_sim.foreign import ForeignCode, as_bytes, ask
from pubsub_sim.ids import PeerId, short
from pubsub_sim.protocol.backoff import DeadPeerBackoff
from pubsub_sim.protocol.blacklist import MapBlacklist
from pubsub_sim.protocol.guards import GuardedBlacklist, GuardedFilter, guarded_inspection
from pubsub_sim.protocol.local_topics import LocalTopics
from pubsub_sim.protocol.peer_topics import PeerTopics
from pubsub_sim.protocol.router import Acceptance
from pubsub_sim.protocol.seen import seen_cache
from pubsub_sim.protocol.tracing import hook_of
from pubsub_sim.protocol.validation import Reason, Validators, policy_check, refused_by_signature
from pubsub_sim.wire.codec import encode_hello, encode_subscriptions, is_text
from pubsub_sim.wire.message import Message, author_and_seqno
from pubsub_sim.wire.rpc_pb2 import RPC
from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
from pubsub_sim.wire.sealed import Frame, SealedIHave, SealedMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pubsub_sim.ports import Inbound, Rng
    from pubsub_sim.protocol.blacklist import Blacklist
    from pubsub_sim.protocol.core_ports import Ports
    from pubsub_sim.protocol.operations import Outbox
    from pubsub_sim.protocol.options import HostOptions, MessageId
    from pubsub_sim.protocol.params import HostParams
    from pubsub_sim.protocol.router import Router
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.protocol.validation import Validator
    from pubsub_sim.wire.sealed import ReceivedRPC
    from pubsub_sim.wire.signing import SignPolicy

_log = logging.getLogger("pubsub_sim.core")


class Pending:
    """An RPC that has been read up to a message which has to be published before the rest is read.

    The core notes whether that is done, and takes no other before: a message would be lost. See `Core.check_read`.

    Attributes:
        message: the message; it is accepted and needs no validation.
        is_last: nothing of the RPC is left to be read; `resume` may be left out.
        is_published: whether the core has published it.
    """

    __slots__ = ("_core", "_peer", "_rest", "_rpc", "is_last", "is_published", "message")

    def __init__(
        self, message: Message, core: Core, peer: PeerId, rpc: RPC | None, rest: Iterator[WireMessage | Message] | None
    ) -> None:
        self.message = message
        self.is_last = rpc is None
        self.is_published = False
        self._core = core
        self._peer = peer
        self._rpc = rpc
        self._rest = rest
        if core.pending is not None:
            core.check_read()
        core.pending = self

    def resume(self) -> Pending | None:
        """Read on, once the message has been published; gives what is pending next, as `Core.handle_rpc` does.

        Raises:
            PendingIgnored: it has not been published.
        """
        if not self.is_published:
            self._core.check_read()
        self._core.pending = None
        if self._rpc is None or self._rest is None:
            return None
        return self._core._read(self._peer, self._rpc, self._rest)


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
        peers: peers we have, or are opening, an outbound stream to.
        topics: topic -> peers that announced it, in the order they did.
        local_topics: the topics we take part in.
        policy: signature policy.
        refused_by_policy: why it refuses a message, if it does.
        author: who writes our messages; None without an author.
        filter: which topics may be joined; None for all.
        seals: whether RPCs are sent as objects.
        tracer: raw tracer hooks, or None.
        trace_sending, trace_drop: those of its hooks that are told of frames; None if nobody hears of them.
        rng: seeded chance, for the router.
        foreign: keeps account of what users' functions raise.
        pending: what `handle_rpc` gave last, and is not published and read to its end yet.
        has_seen: whether a message id is remembered.
        not_seen: those of some message ids that are not.
        now_ns, is_outbound, addresses, dial: the ports of these names, for the router.
    """

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
        self._reads_whole_rpcs = router.previews or options.inspect_rpc is not None  # which a sealed message is not
        reads_sealed = vars(type(router)).get("reads_sealed", False)  # of this very class: another one may read more
        self._opens_all = options.inspect_rpc is not None or router.previews or not reads_sealed
        self.tracer = None
        self.peers: dict[PeerId, Outbox] = {}
        self._peer_topics = PeerTopics(params.announced_frames * params.max_message_bytes)
        self.topics = self._peer_topics.topics
        self.validators = Validators(options.default_validators)
        self._validators_of = self.validators.by_topic.get  # asked for every message
        self.local_topics = LocalTopics()
        self._subscribed_or_relayed = self.local_topics.subscribed_or_relayed  # asked for every message
        self._subscriptions = self.local_topics.subscriptions
        self._handles = self.local_topics.handles
        self.refused_by_policy = policy_check(self.policy, has_author=self.author is not None)
        looks = options.inspect_rpc
        self._inspect_rpc = None if looks is None else guarded_inspection(looks, self.foreign)
        self._message_id = options.message_id
        self._topic_ids: dict[str, MessageId] = {}
        self._has_own_ids = options.message_id is not None  # whether any message has an id other than author and number
        self._blacklist: Blacklist = MapBlacklist()
        if options.blacklist is not None:
            self._blacklist = GuardedBlacklist(options.blacklist, self.foreign)
        self._may_be_blacklisted = options.blacklist is not None  # False while we know that nobody is
        self._seen = seen_cache(options.seen_strategy, int(params.seen_ttl_s * 1e9), ports.now_ns)
        self._pending: dict[PeerId, None] = {}
        self._dead: dict[PeerId, Outbox] = {}
        self._inbound: dict[PeerId, Inbound] = {}
        self._backoff = DeadPeerBackoff(rng)
        self._ports = ports
        self._rng = self.rng = rng
        self._seqno = initial_seqno
        self.has_seen: Callable[[bytes], bool] = self._seen.has
        self.not_seen: Callable[[Sequence[bytes]], list[bytes]] = self._seen.lacks
        self.now_ns: Callable[[], int] = ports.now_ns
        self.is_outbound: Callable[[PeerId], bool] = ports.is_outbound
        self.addresses: Callable[[PeerId], Sequence[str]] = ports.addresses
        self.dial: Callable[[PeerId], bool] = ports.dial
        self._previews = router.previews
        router.attach(self)

    @property
    def tracer(self) -> RawTracer | None:
        """Raw tracer hooks, or None."""
        return self._tracer

    @tracer.setter
    def tracer(self, tracer: RawTracer | None) -> None:
        """Take a tracer; the hooks of what happens for every RPC are looked up here, once."""
        self._tracer = tracer
        self.trace_sending: Callable[[PeerId, bytes], object] | None = hook_of(tracer, "send_rpc")
        self.trace_drop: Callable[[PeerId, bytes], object] | None = hook_of(tracer, "drop_rpc")
        self._trace_receipt: Callable[[PeerId, RPC], object] | None = hook_of(tracer, "recv_rpc")
        self._takes_messages = not self._reads_whole_rpcs and self._trace_receipt is None
        self._takes_ihaves = not self._opens_all and self._trace_receipt is None
        self._trace_delivery: Callable[[Message], object] | None = hook_of(tracer, "deliver_message")
        self._trace_duplicate: Callable[[bytes, PeerId], object] | None = hook_of(tracer, "duplicate_message")

    # --- any time ------------------------------------------------------------------------------------------------

    def note_connected(self, peer: PeerId) -> None:
        """Any time: a connection to `peer` is up; a PeersPending turn must follow."""
        self._pending[peer] = None

    def note_dead(self, peer: PeerId, outbox: Outbox) -> None:
        """Any time: the outbound stream to `peer` ended; a PeersDead turn must follow."""
        self._dead[peer] = outbox

    @property
    def has_dead_peers(self) -> bool:
        """Any time: whether a PeersDead turn has something to do."""
        return bool(self._dead)

    def next_seqno(self) -> bytes:
        """Any time: the next sequence number, 8 bytes big-endian."""
        self._seqno += 1
        return self._seqno.to_bytes(8, "big")

    def mark_seen(self, message_id: bytes) -> bool:
        """Any time: remember a message id; False if it was known."""
        return self._seen.add(message_id, self._ports.now_ns())

    def message_id_of(self, wire: WireMessage) -> bytes:
        """Any time: the id of a message; a topic's own function comes before the host's (`WithMessageIdFn`).

        Raises:
            UnusableAnswer: the function gives no bytes.
            whatever else it raises.
        """
        function = self._topic_ids.get(wire.topic, self._message_id)
        return wire.author + wire.seqno if function is None else ask("message id", function, as_bytes, wire)

    def id_of_received(self, wire: WireMessage) -> bytes | None:
        """Any time: the id of a peer's message; None if the function that gives it fails on it."""
        try:
            return self.message_id_of(wire)
        except Exception as error:  # the function is the application's, and so are its errors
            self.foreign.note("message id", error, "the message is dropped")
            return None

    def id_for_evaluation(self, wire: WireMessage) -> bytes:
        """Any time: the id of a peer's message for those who evaluate peers; author and number if there is no other."""
        message_id = self.id_of_received(wire)
        return author_and_seqno(wire) if message_id is None else message_id

    def check_read(self) -> None:
        """Any time between turns: whether all RPCs were read to their end.

        Raises:
            PendingIgnored: a `Pending` was not published, or its RPC not read to its end.
        """
        if self.pending is not None:
            raise PendingIgnored(self.pending.message.topic, self.pending.message.id)

    def set_topic_id(self, topic: str, function: MessageId | None) -> None:
        """Any time: from now on, the ids of a topic's messages come from this function; None for the host's."""
        self._topic_ids.pop(topic, None)
        if function is not None:
            self._topic_ids[topic] = function
        self._has_own_ids = self._message_id is not None or bool(self._topic_ids)

    def clean_up(self) -> None:
        """Any time: forget expired message ids and old back-offs; called once per sweep period."""
        now_ns = self._ports.now_ns()
        self.check_read()
        self._seen.sweep(now_ns)
        self._backoff.clean_up(now_ns)

    def accept_inbound(self, peer: PeerId, stream: Inbound) -> None:
        """Any time: a peer opened a stream to us; an older one is reset."""
        older = self._inbound.get(peer)
        self._inbound[peer] = stream
        if older is not None:
            older.reset()

    # --- peers ---------------------------------------------------------------------------------------------------

    def take_pending_peers(self) -> None:
        """PeersPending: open an outbound queue, with the hello, to each connected peer we do not have yet."""
        pending, self._pending = self._pending, {}
        for peer in pending:
            if not self._ports.is_connected(peer) or peer in self.peers:
                continue
            if peer in self._blacklist:
                _log.info("no stream to %s: it is blacklisted", short(peer))
                continue
            self.peers[peer] = self._ports.open_outbox(peer, self._hello(), 0)

    def add_stream(self, peer: PeerId, protocol: str, outbox: Outbox) -> None:
        """PeerNewStream: tell the router of a peer whose outbound stream is open."""
        if self.peers.get(peer) is not outbox:
            _log.info("a stream to %s is closed: it is not a peer any more", short(peer))
            outbox.close()
        elif peer in self._blacklist:
            _log.info("a stream to %s is closed: it is blacklisted", short(peer))
            del self.peers[peer]
            outbox.close()
            self._forget_stranger(peer)
        else:
            if self._tracer is not None:
                self._tracer.add_peer(peer, protocol)
            self.router.add_peer(peer, protocol)

    def forget_peer(self, peer: PeerId, outbox: Outbox) -> None:
        """PeerError: the outbound stream could not be opened; nothing is tried until the peer connects again."""
        if self.peers.get(peer) is outbox:
            del self.peers[peer]
            self._forget_stranger(peer)

    def take_dead_peers(self) -> None:
        """PeersDead: drop peers whose outbound stream ended; try again, with back-off, those still connected."""
        dead, self._dead = self._dead, {}
        for peer, outbox in dead.items():
            if self.peers.get(peer) is not outbox:
                continue
            self._drop_peer(peer)
            if self._ports.is_connected(peer):
                delay_ms = self._backoff.next_delay_ms(peer, self._ports.now_ns())
                if delay_ms is not None:
                    self.peers[peer] = self._ports.open_outbox(peer, self._hello(), delay_ms)

    def close_inbound(self, peer: PeerId, stream: object) -> None:
        """PeerCloseStream: forget the inbound stream of a peer, if it is still this one."""
        if self._inbound.get(peer) is stream:
            del self._inbound[peer]
            self._forget_stranger(peer)

    def blacklist_peer(self, peer: PeerId) -> None:
        """BlacklistPeer: drop a peer and refuse what comes from it or is written by it; the connection stays."""
        self._blacklist.add(peer)
        self._may_be_blacklisted = True
        if peer in self.peers:
            self._drop_peer(peer)

    def list_peers(self, topic: str | None) -> list[PeerId]:
        """GetPeers: all peers, or those that announced a topic."""
        if topic is None:
            return list(self.peers)
        return [peer for peer in self.topics.get(topic, ()) if peer in self.peers]

    def _drop_peer(self, peer: PeerId) -> None:
        self.peers.pop(peer).close()
        self._forget_topics(peer)
        if self._tracer is not None:
            self._tracer.remove_peer(peer)
        self.router.remove_peer(peer)

    def _forget_stranger(self, peer: PeerId) -> None:
        """Keep nothing of a peer without streams, its places in meshes included (in the reference, since 2026)."""
        if not self._is_heard(peer):
            self._forget_topics(peer)
            self.router.remove_peer(peer)

    def _forget_topics(self, peer: PeerId) -> None:
        for topic in self._peer_topics.forget(peer):
            self.local_topics.tell_left(topic, peer)

    def _is_heard(self, peer: PeerId) -> bool:
        """Whether a stream to or from a peer is there; its last RPCs may be handled after its end, and change nothing."""
        return peer in self.peers or peer in self._inbound

    def _hello(self) -> list[bytes]:
        return encode_hello(self.local_topics.list_announced(), self.params.max_message_bytes)

    # --- announcing, joining, leaving ------------------------------------------------------------------------------

    def announce(self, topic: str, *, subscribe: bool) -> None:
        """AnnouncingTopic: tell every peer; a full queue is tried again after a random pause."""
        frame = encode_subscriptions((topic,), subscribe=subscribe)
        for peer in list(self.peers):
            self._announce_to(peer, topic, frame, subscribe=subscribe)

    def announce_again(self, peer: PeerId, topic: str, *, subscribe: bool) -> None:
        """Try one announcement again, if the peer is still there and the wish still holds."""
        if peer in self.peers and (topic in self._subscribed_or_relayed) == subscribe:
            frame = encode_subscriptions((topic,), subscribe=subscribe)
            self._announce_to(peer, topic, frame, subscribe=subscribe)

    def _announce_to(self, peer: PeerId, topic: str, frame: bytes, *, subscribe: bool) -> None:
        if not self.send(peer, frame):
            delay_ms = self._rng.randint(1, self.params.announce_retry_ms)
            self._ports.retry_announcement(peer, topic, delay_ms, subscribe=subscribe)

    def join(self, topic: str) -> None:
        """Take part in a topic, after it was announced."""
        if self._tracer is not None:
            self._tracer.join(topic)
        self.router.join(topic)

    def leave(self, topic: str) -> None:
        """No longer take part in a topic, after that was announced."""
        if self._tracer is not None:
            self._tracer.leave(topic)
        self.router.leave(topic)

    def topics_lacking_peers(self) -> list[str]:
        """Joined topics for which discovery should look for peers."""
        return [topic for topic in self._handles if not self.router.has_enough_peers(topic, 0)]

    def peers_announcing(self, topic: str) -> list[PeerId]:
        """Who announced a topic, known outbound stream or not: what a new event handler starts from."""
        return list(self.topics.get(topic, ()))

    # --- RPCs and messages ---------------------------------------------------------------------------------------

    def send(self, peer: PeerId, frame: Frame) -> bool:
        """Queue a frame to a peer we have; False (and lost) if its queue is full."""
        if self.peers[peer].push(frame):
            if self.trace_sending is not None:
                self.trace_sending(peer, frame if isinstance(frame, bytes) else frame.to_bytes())
            return True
        self.report_drop(peer, frame)
        return False

    def send_urgent(self, peer: PeerId, frame: Frame) -> bool:
        """Like `send`, but ahead of what waits and is not urgent."""
        if self.peers[peer].push_urgent(frame):
            if self.trace_sending is not None:
                self.trace_sending(peer, frame if isinstance(frame, bytes) else frame.to_bytes())
            return True
        self.report_drop(peer, frame)
        return False

    def report_drop(self, peer: PeerId, frame: Frame) -> None:
        """An RPC to a peer is lost."""
        if self.trace_drop is not None:
            self.trace_drop(peer, frame if isinstance(frame, bytes) else frame.to_bytes())

    def handle_rpc(self, peer: PeerId, rpc: ReceivedRPC) -> Pending | None:
        """One RPC of a peer: its subscriptions, then its messages, then its control part.

        An RPC that is nothing but a message may come as that message.

        Returns:
            None once all of it is read. Otherwise the message to be published now, by `publish_message`, and the rest of
            the RPC, to be read by `Pending.resume` after that and before any other RPC.
        """
        kind = type(rpc)
        if kind is RPC:
            return self._handle_parts(peer, rpc)  # type: ignore[arg-type] # the line above is the check
        if kind is SealedIHave:
            if self._takes_ihaves:
                acceptance = self.router.accept_from(peer)
                if acceptance is Acceptance.CONTROL:
                    self._trace_throttle(peer)
                if acceptance is not Acceptance.NONE and (peer in self.peers or peer in self._inbound):
                    self.router.handle_control(peer, rpc, self._ports.now_ns())  # type: ignore[arg-type] # likewise
                return None
        elif self._takes_messages:
            acceptance = self.router.accept_from(peer)
            if acceptance is Acceptance.ALL:
                message = self._examine(peer, rpc)  # type: ignore[arg-type] # likewise
                if message is not None and self._push(message):
                    return Pending(message, self, peer, None, None)
            elif acceptance is Acceptance.CONTROL:
                self._trace_throttle(peer)
            return None
        elif kind is WireMessage:
            return self._handle_parts(peer, RPC(publish=(rpc,)))  # type: ignore[arg-type] # likewise
        # opened, so that whoever is told of it may keep it, and change what is his own
        return self._handle_parts(peer, rpc.open())  # type: ignore[union-attr] # likewise

    def _trace_throttle(self, peer: PeerId) -> None:
        if self._tracer is not None:
            self._tracer.throttle_peer(peer)

    def _handle_parts(self, peer: PeerId, rpc: RPC) -> Pending | None:
        if self._inspect_rpc is not None and not self._inspect_rpc(peer, rpc):
            return None
        if self._trace_receipt is not None:
            self._trace_receipt(peer, rpc)
        if rpc.subscriptions and not self._apply_subscriptions(peer, rpc):
            return None
        acceptance = self.router.accept_from(peer)
        if acceptance is Acceptance.ALL:
            return self._read(peer, rpc, iter(self._preview(peer, rpc) if self._previews else rpc.publish))
        if acceptance is Acceptance.CONTROL:
            self._trace_throttle(peer)
        if acceptance is not Acceptance.NONE:
            return self._read(peer, rpc, iter(()))
        return None

    def _read(self, peer: PeerId, rpc: RPC, messages: Iterator[WireMessage | Message]) -> Pending | None:
        """An RPC's messages, then its control part."""
        for one in messages:
            message = one if isinstance(one, Message) else self._examine(peer, one)
            if message is not None and self._push(message):
                return Pending(message, self, peer, rpc, messages)
        if rpc.HasField("control") and self._is_heard(peer):
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
            if not subscription.offer(message) and self._tracer is not None:
                self._tracer.undeliverable_message(message)
        if not message.is_local:
            self.router.publish(message)

    def check(self, message: Message) -> Sequence[Validator] | None:
        """Any time: verify the signature of a peer's message and remember its id.

        Returns:
            The validators it has to pass, in order; None if it is refused or known, which has been traced.
        """
        wire = message.wire
        refusal = refused_by_signature(wire)
        if refusal is not None:
            self.reject(wire, message.received_from, refusal)
            return None
        return self._remember(message)

    def check_own(self, message: Message) -> Sequence[Validator] | None:
        """Any time: like `check`, for a message of our own, which the signature policy must allow.

        Raises:
            MessageRejected: policy or signature refuse it.
        """
        if self._tracer is not None:
            self._tracer.publish_message(message)
        wire = message.wire
        refusal = self.refused_by_policy(wire) or refused_by_signature(wire)
        if refusal is not None:
            raise self.reject_own(message, refusal)
        return self._remember(message)

    def _remember(self, message: Message) -> Sequence[Validator] | None:
        """Remember a message's id, unless it is known; see `check`."""
        if not self.mark_seen(message.id):
            self.duplicate(message.id, message.received_from)
            return None
        if self._tracer is not None:
            self._tracer.validate_message(message)
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
        if self._tracer is not None:
            self._tracer.reject_message(wire, peer, reason)

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
        if self._is_heard(peer):
            for option in subscriptions:
                topic = option.topicid
                if not option.subscribe:
                    if self._peer_topics.remove(peer, topic):
                        self.router.peer_left(peer, topic)
                        self.local_topics.tell_left(topic, peer)
                elif self._peer_topics.add(peer, topic):
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
        refusal = self._check_blacklist(peer, source) if self._may_be_blacklisted else None
        refusal = refusal or self.refused_by_policy(wire)
        if refusal is None and source == self.peer_id and peer != source:
            refusal = Reason.SELF_ORIGIN
        if refusal is not None:
            self.reject(wire if isinstance(wire, WireMessage) else wire.open_message(), peer, refusal)
            return None
        seqno = wire.seqno
        if not self._has_own_ids:
            message_id: bytes | None = source + seqno
        else:
            wire = own = wire if isinstance(wire, WireMessage) else wire.open_message()
            message_id = self.id_of_received(own)
        if message_id is None:
            return None
        if self.has_seen(message_id):
            if self._trace_duplicate is not None:
                self._trace_duplicate(message_id, peer)
            return None
        return Message(wire, peer, source=PeerId(source), seqno=seqno, topic=topic, id=message_id)

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
