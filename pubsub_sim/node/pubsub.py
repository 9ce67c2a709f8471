"""The facade of one pubsub node: joins topics, publishes, lists peers, registers validators.

Puts core, streams, validation and driver together; every answer comes from the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_topic, read_truth
from pubsub_sim.errors import HostClosed, MessageTooLarge, OnlyGossipsub, OptionError, TopicExists, TopicNotAllowed
from pubsub_sim.ids import PeerId
from pubsub_sim.node.dialling import Dialler
from pubsub_sim.node.discovery import PeerFinder
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.node.streams import OutboundQueue, Streams
from pubsub_sim.node.topic import Readiness, Subscription, Topic, TopicEvents
from pubsub_sim.node.validation_queue import ValidationQueue
from pubsub_sim.protocol.core import Core
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.operations import (
    AddRelay,
    AddSubscription,
    AddTopic,
    AddValidator,
    BlacklistPeer,
    Eval,
    GetPeers,
    GetTopics,
    Heartbeat,
    RemoveRelay,
    RemoveSubscription,
    RemoveTopic,
    RemoveValidator,
)
from pubsub_sim.protocol.options import HostOptions
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.score_params import TopicScoreParams
from pubsub_sim.protocol.seqno_validator import SeqnoValidator
from pubsub_sim.protocol.tracing import Tracers
from pubsub_sim.protocol.validation import Validator, ValidatorFunction
from pubsub_sim.wire.codec import largest_rpc_bytes
from pubsub_sim.wire.message import Message, outgoing
from pubsub_sim.wire.signing import KeyPair

if TYPE_CHECKING:
    from pubsub_sim.ports import Clock, Host, Rendezvous, Rng, Timer
    from pubsub_sim.protocol.options import MessageId
    from pubsub_sim.protocol.router import Router, RouterTimer
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.wire.signing import SignPolicy


class PubSub:
    """One node.

    Args:
        host: its network.
        clock: its time.
        rng: its seeded chance.
        key: its identity.
        router: a fresh router.
        policy: signature policy.
        make_driver: the version: how this node takes turns.
        rendezvous: a discovery service, or None.
        params: options.
        tracer: is told of everything, the node's own messages included; or None.
        number: which host of its world this is.
        initial_seqno: the sequence number before the first message.
        options: what else was chosen for it.

    Attributes:
        peer_id: who it is.
        router: its router, to be read only.
        failure: the error that ended its turns, or None.

    Raises:
        OptionError: an option that cannot be.
    """

    def __init__(
        self,
        host: Host,
        clock: Clock,
        rng: Rng,
        *,
        key: KeyPair,
        router: Router,
        policy: SignPolicy,
        make_driver: Callable[[HostContext], Driver],
        rendezvous: Rendezvous | None,
        params: HostParams,
        tracer: RawTracer | None,
        number: int,
        initial_seqno: int,
        options: HostOptions | None = None,
    ) -> None:
        self.peer_id: PeerId = key.peer_id
        self.router = router
        self.failure: BaseException | None = None
        self._is_closed = False
        self._host = host
        self._clock = clock
        self._key = key
        self._params = params
        self._streams = Streams(host, clock, params)
        self._validation = ValidationQueue(clock, params)
        self._finder = None if rendezvous is None else PeerFinder(host, rendezvous, clock, params, rng)
        self._dialler = Dialler(host, params)
        self._retries: set[Timer] = set()
        self._beats: dict[int, Timer] = {}  # by place among the router's timers
        self._sweeper: Timer | None = None
        self._core = Core(
            self.peer_id,
            params=params,
            policy=policy,
            router=router,
            ports=_CorePorts(self),
            rng=rng,
            initial_seqno=initial_seqno,
            options=options or HostOptions(),
        )
        self._core.tracer = _tracer_of(
            self.peer_id, tracer, (*router.judges, *(() if options is None else options.tracers))
        )
        self._driver = make_driver(
            HostContext(
                core=self._core,
                clock=clock,
                params=params,
                finder=self._finder,
                number=number,
                on_room=host.resume_reading,
                on_failure=self._fail,
            )
        )
        self._discovery = self._driver.discovery

    def start(self) -> None:
        """Begin: discovery, streams, turns, in the reference's order."""
        self._driver.start()
        if self._discovery is not None:
            self._discovery.start()
        self._validation.start(self._core, self._driver)
        self._streams.start(self._core, self._driver)
        self._sweep()
        for place, timer in enumerate(self.router.timers):
            self._schedule(place, timer, timer.first_s)

    async def close(self) -> None:
        """End all tasks and connections of this node."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for timer in (*self._retries, *self._beats.values()):
            timer.cancel()
        if self._discovery is not None:
            await self._discovery.close()
        if self._finder is not None:
            await self._finder.close()
        await self._dialler.close()
        await self._streams.close()
        await self._validation.close()
        await self._driver.close()
        self._core.interest.end(None)
        self._host.close()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting, being checked, opened, dialled or looked for; or it is closed. Timers do not count."""
        return self._is_closed or (
            self._driver.is_idle
            and self._validation.is_idle
            and self._streams.is_idle
            and self._dialler.is_idle
            and (self._finder is None or self._finder.is_idle)
            and (self._discovery is None or self.failure is not None or self._discovery.is_idle)
        )

    # --- the user's calls ----------------------------------------------------------------------------------------

    async def join(self, topic: str, message_id: MessageId | None = None) -> Topic:
        """Take up a topic.

        Args:
            topic: its name.
            message_id: the id of its messages; None for the host's.

        Raises:
            TopicExists: it is joined already.
            TopicNotAllowed: the subscription filter says so.
            OptionError: the name is no string, empty, cannot be encoded as UTF-8, or fits into no RPC.
            HostClosed: this node is closed.
        """
        check_topic("topic", topic)
        if largest_rpc_bytes(topic) > self._params.max_message_bytes:
            limit = f"a topic name that fits into an RPC of {self._params.max_message_bytes} bytes (max_message_bytes)"
            raise OptionError("topic", topic, limit)
        filter_ = self._core.filter
        if filter_ is not None and not read_truth("can_subscribe", filter_.can_subscribe(topic)):
            raise TopicNotAllowed(topic)
        handle = Topic(topic, self)
        if await self._driver.ask(AddTopic(handle)) is not handle:
            raise TopicExists(topic)
        self._core.set_topic_id(topic, message_id)
        return handle

    async def topics(self) -> list[str]:
        """Topics with at least one subscription."""
        return await self._driver.ask(GetTopics())

    async def list_peers(self, topic: str | None = None) -> list[PeerId]:
        """All peers, or those that announced a topic."""
        return await self._driver.ask(GetPeers(topic))

    async def blacklist(self, peer: PeerId) -> None:
        """Have nothing to do with a peer: its messages, and those it wrote, are refused. The connection stays."""
        await self._driver.ask(BlacklistPeer(peer))

    async def register_validator(
        self,
        topic: str,
        fn: ValidatorFunction,
        *,
        inline: bool = False,
        timeout_s: float | None = None,
        concurrency: int = 1024,
    ) -> None:
        """Have every message of a topic judged.

        Args:
            topic: its name.
            fn: called with (peer, message); True or ACCEPT accepts, False or REJECT refuses, IGNORE drops silently.
            inline: call it where messages are checked and not in a task; a coroutine function then keeps one of
                `HostParams.validate_workers` busy.
            timeout_s: longest run of a coroutine function; it is cancelled then, and unless it answers all the same the
                message is ignored. A plain function cannot be interrupted.
            concurrency: runs under way at once; more are throttled. Without effect if it is inline, as in the reference.

        Raises:
            ValidatorExists: the topic has one.
            OptionError: an unusable argument; or a SeqnoValidator on a host that takes no sequence numbers.
        """
        if isinstance(fn, SeqnoValidator) and self._core.author is None:
            raise OptionError("fn", fn, "no SeqnoValidator, as messages without an author have no sequence numbers")
        validator = Validator(topic=topic, function=fn, inline=inline, timeout_s=timeout_s, concurrency=concurrency)
        await self._driver.ask(AddValidator(validator))

    async def unregister_validator(self, topic: str) -> None:
        """Undo `register_validator`; raises NoValidator."""
        await self._driver.ask(RemoveValidator(topic))

    async def add_direct_peer(self, peer: PeerId) -> None:
        """Give a peer everything, outside meshes, from now on; must be done on both sides. Raises OnlyGossipsub."""
        await self._ask_gossipsub("add_direct_peer", lambda router: router.add_direct_peer(peer))

    async def remove_direct_peer(self, peer: PeerId) -> None:
        """Undo `add_direct_peer`, or a direct peer of the options; nothing if it is none. Raises OnlyGossipsub."""
        await self._ask_gossipsub("remove_direct_peer", lambda router: router.remove_direct_peer(peer))

    # --- what topic handles ask for (see topic.TopicUser) --------------------------------------------------------

    async def subscribe(self, topic: str, buffer: int | None) -> Subscription:
        subscription = Subscription(
            topic, self._params.subscription_buffer if buffer is None else buffer, self._cancel_subscription
        )
        if self._discovery is not None:
            self._discovery.discover(topic)
        await self._driver.ask(AddSubscription(subscription))
        return subscription

    async def relay(self, topic: str) -> Callable[[], Awaitable[None]]:
        if self._discovery is not None:
            self._discovery.discover(topic)
        await self._driver.ask(AddRelay(topic))
        is_cancelled = False

        async def cancel() -> None:
            nonlocal is_cancelled
            if not is_cancelled:
                is_cancelled = True
                with suppress(HostClosed):
                    await self._driver.ask(RemoveRelay(topic))

        return cancel

    async def publish(
        self,
        topic: str,
        data: bytes,
        ready: Readiness | None,
        local: bool,
        key: KeyPair | None,
        author: PeerId | None,
    ) -> bytes:
        if not isinstance(data, bytes):
            raise OptionError("data", data, "bytes")
        self._check_alive("publish")
        message = self._written(topic, data, local, *self._writer(local, key, author))
        if not local and len(message.frame) > self._params.max_message_bytes:
            raise MessageTooLarge(len(message.frame), self._params.max_message_bytes)
        if ready is not None:
            await self._wait_until_ready(topic, ready)
            self._check_alive("publish")
        if self.router.previews and not local:
            await self._driver.ask(Eval(lambda: self.router.preprocess(self.peer_id, [message]), "Preprocess"))
        await self._validation.publish_local(message)
        return message.id

    def _writer(self, local: bool, key: KeyPair | None, author: PeerId | None) -> tuple[PeerId | None, KeyPair | None]:
        """Who writes a message, and with what it is signed, if at all."""
        if local or (key is None and author is None):
            return self._core.author, self._key if self._core.policy.signs else None
        if not isinstance(key, KeyPair):
            raise OptionError("key", key, "a key pair, to sign for another author")
        if author is None:
            author = key.peer_id
        if not author:
            raise OptionError("author", author, "a peer id, not an empty one")
        return author, key

    def _written(self, topic: str, data: bytes, local: bool, author: PeerId | None, key: KeyPair | None) -> Message:
        seqno = b"" if author is None else self._core.next_seqno()
        wire = outgoing(topic, data, author=author, seqno=seqno)
        if key is not None:
            key.sign(wire)
        return Message(
            wire,
            self.peer_id,
            source=author or PeerId(b""),
            seqno=seqno,
            topic=topic,
            id=self._core.message_id_of(wire),
            is_local=local,
        )

    async def watch(self, topic: Topic) -> TopicEvents:
        opened: list[TopicEvents] = []

        def open_events() -> TopicEvents:
            opened.append(topic.open_events(self._core.peers_announcing(topic.name)))
            return opened[0]

        try:
            return await self._driver.ask(Eval(open_events, "Topic.EventHandler"))
        except asyncio.CancelledError:
            for events in opened:
                events.close()
            raise

    async def set_score_params(self, topic: str, params: TopicScoreParams) -> None:
        if not isinstance(params, TopicScoreParams):
            raise OptionError("params", params, "TopicScoreParams")
        await self._ask_gossipsub("set_score_params", lambda router: router.set_score_params(topic, params))

    async def _ask_gossipsub(self, operation: str, change: Callable[[GossipSub], None]) -> None:
        def apply() -> None:
            if not isinstance(self.router, GossipSub):
                raise OnlyGossipsub(operation)
            change(self.router)

        await self._driver.ask(Eval(apply, operation))

    async def close_topic(self, topic: Topic) -> None:
        await self._driver.ask(RemoveTopic(topic))

    async def _cancel_subscription(self, subscription: Subscription) -> None:
        with suppress(HostClosed):  # nothing is left to cancel
            await self._driver.ask(RemoveSubscription(subscription))

    async def _wait_until_ready(self, topic: str, ready: Readiness) -> None:
        def is_ready() -> bool:
            answer = ready(self.router, topic)
            return answer if isinstance(answer, bool) else read_truth("ready", answer)

        if self._discovery is not None:
            await self._discovery.bootstrap(topic, is_ready)
            return
        while not await self._driver.ask(Eval(is_ready, "Topic.Publish")):
            await self._clock.wait(self._params.readiness_poll_s)

    # --- what the core asks for (see core.Ports) -----------------------------------------------------------------

    def retry_announcement(self, peer: PeerId, topic: str, subscribe: bool, delay_ms: int) -> None:
        def retry() -> None:
            self._retries.discard(timer)
            self._driver.submit(
                Eval(lambda: self._core.announce_again(peer, topic, subscribe=subscribe), "announceRetry")
            )

        timer = self._clock.call_later(delay_ms / 1000, retry)
        self._retries.add(timer)

    # --- inside --------------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        self._core.clean_up()
        self._sweeper = self._clock.call_later(self._params.seen_sweep_s, self._sweep)

    def _schedule(self, place: int, timer: RouterTimer, delay_s: float) -> None:
        """Have a timer of the router taken in a turn, like any other input, once or again and again."""

        def beat() -> None:
            self._driver.submit(Heartbeat(timer.action))
            if timer.every_s is not None:
                self._beats[place] = self._clock.call_later(timer.every_s, beat)

        self._beats[place] = self._clock.call_later(delay_s, beat)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._validation.end()
            closed = HostClosed("reading")
            closed.__cause__ = error
            self._core.interest.end(closed)

    def _check_alive(self, operation: str) -> None:
        if self._is_closed or self.failure is not None:
            raise HostClosed(operation) from self.failure


def _tracer_of(own_id: PeerId, watcher: RawTracer | None, judges: Sequence[RawTracer]) -> RawTracer | None:
    """One tracer for all; a node without judges calls its watcher directly."""
    if not judges:
        return watcher
    return Tracers(own_id, watchers=() if watcher is None else (watcher,), judges=judges)


class _CorePorts:
    """How the core acts on this node's world; bound methods, so that a call goes straight to its place."""

    __slots__ = (
        "_node",
        "addresses",
        "dial",
        "enqueue_validation",
        "is_connected",
        "is_outbound",
        "now_ns",
        "open_outbox",
        "retry_announcement",
    )

    def __init__(self, node: PubSub) -> None:
        self._node = node
        self.is_connected: Callable[[PeerId], bool] = node._host.is_connected
        self.is_outbound: Callable[[PeerId], bool] = node._host.is_outbound
        self.addresses: Callable[[PeerId], Sequence[str]] = node._host.addresses
        self.dial: Callable[[PeerId], bool] = node._dialler.dial
        self.open_outbox: Callable[[PeerId, Sequence[bytes], int], OutboundQueue] = node._streams.open_outbox
        self.retry_announcement: Callable[[PeerId, str, bool, int], None] = node.retry_announcement
        self.enqueue_validation: Callable[[Message], bool] = node._validation.enqueue
        self.now_ns: Callable[[], int] = node._clock.now_ns
