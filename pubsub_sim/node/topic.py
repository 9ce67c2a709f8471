"""The user's handles: topics, subscriptions and topic events of one node (go-libp2p-pubsub's `Topic`, `Subscription`)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import OptionError, SubscriptionCancelled, TopicClosed

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.router import Router
    from pubsub_sim.protocol.score_params import TopicScoreParams
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.signing import KeyPair

Readiness = Callable[["Router", str], bool]
"""Returns whether a router is ready to publish on a topic."""


def min_topic_size(size: int) -> Readiness:
    """Return a readiness function: whether a publish would reach at least `size` peers, excluding the publisher (`MinTopicSize`).

    Raises:
        OptionError: not a whole number >= 0.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise OptionError("size", size, "a whole number of at least 0")
    return lambda router, topic: router.has_enough_peers(topic, size)


class Subscription:
    """Messages of one topic, in order of acceptance. An async iterator.

    Args:
        topic: its name.
        buffer: maximal number of buffered messages; more are dropped for this subscription only.
        cancel: requests its end from the host.

    Attributes:
        dropped: number of messages dropped so far, as the buffer was full.
    """

    dropped = 0  # in the class: a subscription that drops nothing does nothing for it

    def __init__(self, topic: str, buffer: int, cancel: Callable[[Subscription], Awaitable[None]]) -> None:
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:
            raise OptionError("buffer", buffer, "a whole number of at least 1")
        self.topic = topic
        self._capacity = buffer
        self._cancel = cancel
        self._messages: deque[Message] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._is_over = False
        self._error: Exception | None = None  # the cause, if it was not cancelled

    async def next(self) -> Message:
        """Return the next message.

        Raises:
            SubscriptionCancelled: it was cancelled, or the node closed, and all buffered messages have been read.
            HostClosed: likewise, but the node ended with an error, which is its cause.
        """
        while not self._messages:
            if self._is_over:
                raise self._error or SubscriptionCancelled(self.topic)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # pass the wake-up on to another reader
                raise
        return self._messages.popleft()

    async def cancel(self) -> None:
        """End it; buffered messages stay readable. Further calls have no effect."""
        await self._cancel(self)

    @property
    def pending(self) -> int:
        """Number of buffered messages."""
        return len(self._messages)

    def offer(self, message: Message) -> bool:
        """Buffer a message; return False if the buffer is full (see local_topics.Sink)."""
        if len(self._messages) >= self._capacity:
            self.dropped += 1
            return False
        self._messages.append(message)
        if self._waiters:
            self._wake()
        return True

    def end(self, error: Exception | None = None) -> None:
        """Accept no more messages (see local_topics.Sink)."""
        if not self._is_over:
            self._is_over = True
            self._error = error
        while self._waiters:
            self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.next()
        except SubscriptionCancelled:
            raise StopAsyncIteration from None


@dataclass(frozen=True)
class PeerEvent:
    """A peer joined or left a topic.

    Attributes:
        peer: the peer.
        joined: True for joined, False for left.
    """

    peer: PeerId
    joined: bool


class TopicEvents:
    """Peers joining and leaving a topic, coalesced: an unread join and leave cancel out.

    An async iterator that starts with a join for every present peer. It ends on `close` and at the end of the node; if
    the node ended with an error, it raises HostClosed with that error as its cause.
    """

    def __init__(self, close: Callable[[TopicEvents], None]) -> None:
        self._close = close
        self._latest: dict[PeerId, bool] = {}
        self._arrived = asyncio.Event()
        self._is_over = False
        self._error: Exception | None = None  # the cause, if it was not closed

    def note(self, peer: PeerId, *, joined: bool) -> None:
        """Note that a peer joined or left."""
        if self._latest.setdefault(peer, joined) != joined:
            del self._latest[peer]
        else:
            self._arrived.set()

    def close(self) -> None:
        """Receive no more events. Further calls have no effect."""
        self.end(None)

    def end(self, error: Exception | None) -> None:
        """End the events (see local_topics.TopicHandle)."""
        if not self._is_over:
            self._is_over = True
            self._error = error
            self._arrived.set()
            self._close(self)

    def __aiter__(self) -> AsyncIterator[PeerEvent]:
        return self

    async def __anext__(self) -> PeerEvent:
        while not self._latest:
            if self._is_over:
                raise self._error or StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        peer = next(iter(self._latest))
        return PeerEvent(peer, self._latest.pop(peer))


class TopicUser(Protocol):
    """The interface of a node to its topic handles."""

    async def subscribe(self, topic: str, buffer: int | None) -> Subscription:
        """Start a subscription."""

    async def relay(self, topic: str) -> Callable[[], Awaitable[None]]:
        """Start relaying; return the function that stops it."""

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
        """Publish; return the message id."""

    async def watch(self, topic: Topic) -> TopicEvents:
        """Open an event handler that starts with the present peers."""

    async def list_peers(self, topic: str | None = None) -> list[PeerId]:
        """Return the peers of a topic."""

    async def set_score_params(self, topic: str, params: TopicScoreParams) -> None:
        """Set the score parameters of a topic."""

    async def close_topic(self, topic: Topic) -> None:
        """Unregister the handle."""


class Topic:
    """A joined topic.

    Attributes:
        name: the topic's name.
    """

    def __init__(self, name: str, node: TopicUser) -> None:
        self.name = name
        self._node = node
        self._watchers: list[TopicEvents] = []
        self._is_closed = False

    def __str__(self) -> str:
        return self.name

    async def subscribe(self, buffer: int | None = None) -> Subscription:
        """Receive the topic's messages; several subscriptions get them independently.

        Args:
            buffer: maximal number of buffered messages; None for the host's `subscription_buffer`.

        Raises:
            TopicClosed: this handle is closed.
            OptionError: an invalid buffer.
        """
        self._check_open()
        return await self._node.subscribe(self.name, buffer)

    async def relay(self) -> Callable[[], Awaitable[None]]:
        """Accept and forward the topic without reading it; return an idempotent function that stops it.

        Raises:
            TopicClosed: this handle is closed.
        """
        self._check_open()
        return await self._node.relay(self.name)

    async def publish(
        self,
        data: bytes,
        *,
        ready: Readiness | None = None,
        local: bool = False,
        key: KeyPair | None = None,
        author: PeerId | None = None,
    ) -> bytes:
        """Publish a message; return once the host has accepted it, before delivery.

        Args:
            data: the payload.
            ready: condition to wait for, e.g. `min_topic_size(3)`.
            local: deliver to this host's own subscriptions only.
            key: sign with this key, regardless of the policy, as its owner; ignored for a local message.
            author: an author other than the owner of `key`.

        Returns:
            The message id.

        Raises:
            TopicClosed: this handle is closed.
            OptionError: the payload is not bytes, or the author is empty or lacks a key.
            HostClosed: this node is closed.
            MessageTooLarge: it does not fit into an RPC.
            MessageRejected: a validator refused it.
        """
        self._check_open()
        return await self._node.publish(self.name, data, ready=ready, local=local, key=key, author=author)

    async def events(self) -> TopicEvents:
        """Return the peers joining and leaving from now on, preceded by those present.

        Raises:
            TopicClosed: this handle is closed.
        """
        self._check_open()
        return await self._node.watch(self)

    async def list_peers(self) -> list[PeerId]:
        """Return the peers of this topic; none once the handle is closed."""
        return [] if self._is_closed else await self._node.list_peers(self.name)

    async def set_score_params(self, params: TopicScoreParams) -> None:
        """Set the score parameters of this topic from now on; counters above a lower cap are reduced to it.

        Raises:
            OptionError: not parameters of a topic.
            TopicClosed: this handle is closed.
            OnlyGossipsub: another router does not score.
            ScoringDisabled: the host has no `GossipsubParams.score`.
        """
        self._check_open()
        await self._node.set_score_params(self.name, params)

    async def close(self) -> None:
        """Leave the topic. Further calls have no effect.

        Raises:
            TopicInUse: subscriptions, relays or event handlers are open.
        """
        if not self._is_closed:
            await self._node.close_topic(self)
            self._is_closed = True

    # --- called by the core (see local_topics.TopicHandle) ---------------------------------------------------------------

    @property
    def has_watchers(self) -> bool:
        """Whether event handlers are open."""
        return bool(self._watchers)

    def peer_joined(self, peer: PeerId) -> None:
        """Note that a peer announced the topic."""
        for watcher in self._watchers:
            watcher.note(peer, joined=True)

    def peer_left(self, peer: PeerId) -> None:
        """Note that a peer withdrew, died or was blacklisted."""
        for watcher in self._watchers:
            watcher.note(peer, joined=False)

    def end_events(self, error: Exception | None) -> None:
        """End all event handlers, as the node takes no more turns."""
        for watcher in tuple(self._watchers):
            watcher.end(error)

    def open_events(self, present: list[PeerId]) -> TopicEvents:
        """Return a new event handler that starts with the present peers; called in a turn of the host."""
        events = TopicEvents(self._watchers.remove)
        for peer in present:
            events.note(peer, joined=True)
        self._watchers.append(events)
        return events

    def _check_open(self) -> None:
        if self._is_closed:
            raise TopicClosed(self.name)
