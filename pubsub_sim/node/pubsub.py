"""The facade of one pubsub node: joins topics, publishes, lists peers, registers validators.

It connects core, streams, validation and driver; every answer comes from the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_topic
from pubsub_sim.errors import (
    HostClosed,
    MessageTooLarge,
    OnlyGossipsub,
    OptionConflict,
    OptionError,
    TopicExists,
    TopicNotAllowed,
)
from pubsub_sim.foreign import ForeignCode, ask, is_true
from pubsub_sim.ids import PeerId
from pubsub_sim.node.dialling import Dialler
from pubsub_sim.node.discovery import PeerFinder
from pubsub_sim.node.driver import Driver, HostContext
from pubsub_sim.node.lifetime import Lifetime
from pubsub_sim.node.streams import OutboundQueue, Streams
from pubsub_sim.node.topic import Readiness, Subscription, Topic, TopicEvents
from pubsub_sim.node.validation_queue import ValidationQueue
from pubsub_sim.node.view import Losses, NodeView
from pubsub_sim.protocol.core import Core
from pubsub_sim.protocol.gossipsub import GossipSub
from pubsub_sim.protocol.guards import GuardedTracer
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
    from pubsub_sim.ports import Clock, Host, Rendezvous, Rng
    from pubsub_sim.protocol.options import MessageId
    from pubsub_sim.protocol.router import Router, RouterTimer
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.wire.signing import SignPolicy


class PubSub:
    """One node.

    Args:
        host: its network.
        clock: its time.
        rng: its seeded random numbers.
        key: its identity.
        router: a fresh router.
        policy: signature policy.
        make_driver: the factory of the version's driver.
        rendezvous: a discovery service, or None.
        params: options.
        tracer: receives all events, including the node's own messages; or None.
        number: number of the host in its world.
        initial_seqno: the sequence number before the first message.
        options: further options.
        foreign: a shared counter of errors of user code; by default the node has its own.
        seals: whether RPCs are sent as objects (see `wire.sealed`), for networks that carry them.

    Attributes:
        peer_id: its peer id.
        router: its router, read-only.
        view: its tables, read-only.
        failure: the error that ended it, or None.

    Raises:
        OptionError: an invalid option.
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
        foreign: ForeignCode | None = None,
        seals: bool = False,
    ) -> None:
        self.peer_id: PeerId = key.peer_id
        self.router = router
        self.failure: BaseException | None = None
        self._is_closed = False
        self._host = host
        self._clock = clock
        self._key = key
        self._params = params
        self._foreign = ForeignCode(f"host {number}") if foreign is None else foreign
        self._lifetime = lifetime = Lifetime(f"host {number}")
        lifetime.on_failure = self._fail  # until there is a driver, which forwards it
        self._streams = Streams(host, clock, params, lifetime)
        self._validation = ValidationQueue(clock, params, lifetime, self._foreign)
        finder = None
        if rendezvous is not None:
            finder = PeerFinder(host, rendezvous, clock, params, rng, lifetime, self._foreign)
        self._dialler = Dialler(host, params, lifetime)
        options = HostOptions() if options is None else options
        self._core = Core(
            self.peer_id,
            params=params,
            policy=policy,
            router=router,
            ports=_CorePorts(self),
            rng=rng,
            initial_seqno=initial_seqno,
            options=options,
            foreign=self._foreign,
            seals=seals,
        )
        self.view = NodeView(self._core)
        theirs = [GuardedTracer(one, self._foreign) for one in options.tracers]
        self._core.set_tracer(_tracer_of(self.peer_id, tracer, (*router.evaluators, *theirs)))
        self._driver = make_driver(
            HostContext(
                core=self._core,
                clock=clock,
                params=params,
                finder=finder,
                number=number,
                on_room=host.resume_reading,
                on_failure=self._fail,
                lifetime=lifetime,
            )
        )
        self._discovery = self._driver.discovery

    def start(self) -> None:
        """Start discovery, streams and turns, in the reference's order."""
        self._driver.start()
        if self._discovery is not None:
            self._discovery.start()
        self._validation.start(self._core, self._driver)
        self._streams.start(self._core, self._driver)
        self._sweep()
        for timer in self.router.timers:
            self._schedule(timer, timer.first_s)

    async def close(self) -> None:
        """End all tasks and connections of this node; a second call waits for the first.

        It completes even if its caller is cancelled, and takes at most `lifetime.CLOSE_LIMIT_S`.

        Raises:
            ExceptionGroup: the errors, after all steps were run; TasksRemain names tasks that did not end.
        """
        self._is_closed = True
        self._validation.end()
        discovery = self._discovery
        await self._lifetime.close(
            (
                ("close of the driver", lambda: self._driver.close()),
                ("close of the discovery", lambda: None if discovery is None else discovery.close()),
                ("end of the subscriptions", lambda: self._core.local_topics.end(None)),
                ("close of the connections", lambda: self._host.close()),
                ("check of the driver", lambda: None if self.failure is not None else self._core.check_read()),
            )
        )

    @property
    def is_idle(self) -> bool:
        """Whether no input, validation, stream opening, dial or discovery is pending, or it is closed. Timers do not count."""
        return self._is_closed or (
            self._driver.is_idle
            and self._validation.is_idle
            and self._lifetime.is_idle
            and (self._discovery is None or self.failure is not None or self._discovery.is_idle)
        )

    @property
    def foreign_errors(self) -> Mapping[str, int]:
        """Number of failures of user code and services without a caller, by kind: "tracer", "message id" ...

        The affected input of a peer was dropped or refused; the first error of each kind was logged.
        """
        return self._foreign.failures

    @property
    def losses(self) -> Losses:
        """What its full queues have lost so far. A subscription counts what it drops itself (`Subscription.dropped`)."""
        return Losses(self.view.frames_lost, self._validation.refused)

    # --- public methods ------------------------------------------------------------------------------------------

    async def join(self, topic: str, message_id: MessageId | None = None) -> Topic:
        """Join a topic.

        Args:
            topic: its name.
            message_id: the message id function; None for the host's.

        Raises:
            TopicExists: it is already joined.
            TopicNotAllowed: the subscription filter refuses it.
            OptionError: the name is not a string, empty, not encodable as UTF-8, or too long for an RPC.
            HostClosed: this node is closed.
        """
        check_topic("topic", topic)
        if largest_rpc_bytes(topic) > self._params.max_message_bytes:
            limit = f"a topic name that fits into an RPC of {self._params.max_message_bytes} bytes (max_message_bytes)"
            raise OptionError("topic", topic, limit)
        if self._core.filter is not None and not self._core.filter.can_subscribe(topic):
            raise TopicNotAllowed(topic)
        handle = Topic(topic, self)
        if await self._driver.ask(AddTopic(handle)) is not handle:
            raise TopicExists(topic)
        self._core.message_ids.set_function(topic, message_id)
        return handle

    async def topics(self) -> list[str]:
        """Return the topics with at least one subscription."""
        return await self._driver.ask(GetTopics())

    async def list_peers(self, topic: str | None = None) -> list[PeerId]:
        """Return all peers, or those that announced a topic."""
        return await self._driver.ask(GetPeers(topic))

    async def blacklist(self, peer: PeerId) -> None:
        """Blacklist a peer: messages it sent or wrote are refused. The connection stays open."""
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
        """Register a validator for the messages of a topic.

        Args:
            topic: its name.
            fn: called with (peer, message); True or ACCEPT accepts, False or REJECT refuses, IGNORE drops silently.
            inline: call it where messages are checked instead of in a task; a coroutine function then occupies one of
                `HostParams.validate_workers`.
            timeout_s: timeout of a coroutine function; it is cancelled then, and the message is ignored unless it still
                returns an answer. A plain function cannot be interrupted.
            concurrency: maximal number of concurrent runs; more are throttled. No effect if inline, as in the reference.

        Raises:
            ValidatorExists: the topic has one.
            OptionError: an unusable argument.
            OptionConflict: a SeqnoValidator on a host whose messages have no author.
        """
        if isinstance(fn, SeqnoValidator) and self._core.author is None:
            raise OptionConflict("fn", fn, "has_author", False, "messages without an author have no sequence numbers")
        validator = Validator(topic=topic, function=fn, inline=inline, timeout_s=timeout_s, concurrency=concurrency)
        await self._driver.ask(AddValidator(validator))

    async def unregister_validator(self, topic: str) -> None:
        """Undo `register_validator`. Raises NoValidator."""
        await self._driver.ask(RemoveValidator(topic))

    async def add_direct_peer(self, peer: PeerId) -> None:
        """Forward all messages to a peer, outside meshes; must be done on both sides. Raises OnlyGossipsub."""
        await self._ask_gossipsub("add_direct_peer", lambda router: router.add_direct_peer(peer))

    async def remove_direct_peer(self, peer: PeerId) -> None:
        """Undo `add_direct_peer`, or remove a direct peer of the options; ignore other peers. Raises OnlyGossipsub."""
        await self._ask_gossipsub("remove_direct_peer", lambda router: router.remove_direct_peer(peer))

    # --- called by topic handles (see topic.TopicUser) -----------------------------------------------------------

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
        *,
        ready: Readiness | None,
        local: bool,
        key: KeyPair | None,
        author: PeerId | None,
    ) -> bytes:
        if not isinstance(data, bytes):
            raise OptionError("data", data, "bytes")
        self._check_alive("publish")
        message = self._make_message(topic, data, *self._choose_author(key, author, local=local), local=local)
        if not local and len(message.frame) > self._params.max_message_bytes:
            raise MessageTooLarge(len(message.frame), self._params.max_message_bytes)
        if ready is not None:
            await self._wait_until_ready(topic, ready)
            self._check_alive("publish")
        if self.router.previews and not local:
            await self._driver.ask(Eval(lambda: self.router.preprocess(self.peer_id, [message]), "Preprocess"))
        await self._validation.publish_local(message)
        return message.id

    def _choose_author(
        self, key: KeyPair | None, author: PeerId | None, *, local: bool
    ) -> tuple[PeerId | None, KeyPair | None]:
        """Return the author of a message and the signing key, if any."""
        if local or (key is None and author is None):
            return self._core.author, self._key if self._core.policy.signs else None
        if key is None:
            raise OptionConflict("author", author, "key", None, "to write for another author takes its key pair")
        if not isinstance(key, KeyPair):
            raise OptionError("key", key, "a KeyPair, or nothing")
        if author is None:
            author = key.peer_id
        if not author:
            raise OptionError("author", author, "a peer id, not an empty one")
        return author, key

    def _make_message(
        self, topic: str, data: bytes, author: PeerId | None, key: KeyPair | None, *, local: bool
    ) -> Message:
        seqno = b"" if author is None else self._core.next_seqno()
        wire = outgoing(topic, data, author=author, seqno=seqno)
        if key is not None:
            key.sign(wire)
        return self._core.new_message(
            wire,
            self.peer_id,
            source=author or PeerId(b""),
            seqno=seqno,
            topic=topic,
            id=self._core.message_ids.of(wire),
            is_local=local,
        )

    async def watch(self, topic: Topic) -> TopicEvents:
        opened: list[TopicEvents] = []

        def open_events() -> TopicEvents:
            opened.append(topic.open_events(self._core.peer_topics.list_peers(topic.name)))
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
        with suppress(HostClosed):  # nothing left to cancel
            await self._driver.ask(RemoveSubscription(subscription))

    async def _wait_until_ready(self, topic: str, ready: Readiness) -> None:
        def is_ready() -> bool:
            return ask("readiness", ready, is_true, self.router, topic)

        if self._discovery is not None:
            await self._discovery.bootstrap(topic, is_ready)
            return
        while not await self._driver.ask(Eval(is_ready, "Topic.Publish")):
            await self._clock.wait(self._params.readiness_poll_s)

    # --- what the core asks for (see core_ports.Ports) -----------------------------------------------------------

    def retry_announcement(self, peer: PeerId, topic: str, delay_ms: int, *, subscribe: bool) -> None:
        def retry() -> None:
            self._driver.submit(
                Eval(lambda: self._core.announcer.announce_again(peer, topic, subscribe=subscribe), "announceRetry")
            )

        self._lifetime.call_later(self._clock, delay_ms / 1000, retry)

    # --- internals -----------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        self._core.clean_up()
        self._lifetime.call_later(self._clock, self._params.seen_sweep_s, self._sweep)

    def _schedule(self, timer: RouterTimer, delay_s: float) -> None:
        """Schedule a timer of the router, taken in a turn like any other input, once or periodically."""
        operation = Heartbeat(timer.action)

        def beat() -> None:
            self._driver.submit(operation)
            if timer.every_s is not None:
                self._lifetime.call_later(self._clock, timer.every_s, beat)

        self._lifetime.call_later(self._clock, delay_s, beat)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._validation.end()
            self._lifetime.cancel()
            closed = HostClosed("reading")
            closed.__cause__ = error
            self._core.local_topics.end(closed)

    def _check_alive(self, operation: str) -> None:
        if self._is_closed or self.failure is not None:
            raise HostClosed(operation) from self.failure


def _tracer_of(own_id: PeerId, watcher: RawTracer | None, evaluators: Sequence[RawTracer]) -> RawTracer | None:
    """Return one tracer for all; without evaluators it is the watcher itself."""
    if not evaluators:
        return watcher
    return Tracers(own_id, watchers=() if watcher is None else (watcher,), evaluators=evaluators)


class _CorePorts:
    """The core's ports; bound methods, so that calls are direct."""

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
        self.retry_announcement = node.retry_announcement
        self.enqueue_validation: Callable[[Message], bool] = node._validation.enqueue
        self.now_ns: Callable[[], int] = node._clock.now_ns
