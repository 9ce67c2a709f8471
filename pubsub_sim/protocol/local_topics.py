"""The topics a host takes part in: its topic handles, subscriptions and relays.

Tables of the core, changed in turns of the host only. Source: go-libp2p-pubsub (May 2024), `pubsub.go`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import TopicInUse

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message


class Sink(Protocol):
    """A receiver of the messages of a topic."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    def offer(self, message: Message) -> bool:
        """Buffer a message; return False if there is no room. Never blocks."""

    def end(self, error: Exception | None = None) -> None:
        """Accept no more messages; buffered ones stay readable.

        Args:
            error: the error raised to later readers; None means that it was cancelled.
        """


class TopicHandle(Protocol):
    """The user's handle of a topic."""

    @property
    def name(self) -> str:
        """The topic's name."""

    @property
    def has_watchers(self) -> bool:
        """Whether event handlers are open."""

    def peer_joined(self, peer: PeerId) -> None:
        """Note that a peer announced the topic."""

    def peer_left(self, peer: PeerId) -> None:
        """Note that a peer withdrew, died or was blacklisted."""

    def end_events(self, error: Exception | None) -> None:
        """End the events; buffered ones stay readable. See `Sink.end` for the error."""


class LocalTopics:
    """Topic handles, subscriptions and relays of one host.

    Attributes:
        handles: handles by topic.
        subscriptions: subscriptions by topic, for topics with at least one.
        subscribed_or_relayed: topics with a subscription or a relay.
    """

    def __init__(self) -> None:
        self.handles: dict[str, TopicHandle] = {}
        self.subscriptions: dict[str, list[Sink]] = {}
        self.subscribed_or_relayed: set[str] = set()
        self._relays: dict[str, int] = {}

    def list_announced(self) -> list[str]:
        """List the topics of a hello: subscribed ones, then those that are only relayed."""
        return list(dict.fromkeys([*self.subscriptions, *self._relays]))

    def list_topics(self) -> list[str]:
        """Return the topics with at least one subscription (GetTopics)."""
        return list(self.subscriptions)

    def add_topic(self, handle: TopicHandle) -> TopicHandle:
        """Register a handle unless there is one, and return the registered handle (AddTopic)."""
        return self.handles.setdefault(handle.name, handle)

    def remove_topic(self, handle: TopicHandle) -> None:
        """Remove a handle (RemoveTopic). Raises TopicInUse while subscriptions, relays or event handlers are open."""
        name = handle.name
        if self.handles.get(name) is handle:
            if handle.has_watchers or name in self.subscribed_or_relayed:
                raise TopicInUse(name)
            del self.handles[name]

    def tell_joined(self, topic: str, peer: PeerId) -> None:
        """Notify the topic's handle that a peer announced it."""
        handle = self.handles.get(topic)
        if handle is not None:
            handle.peer_joined(peer)

    def tell_left(self, topic: str, peer: PeerId) -> None:
        """Notify the topic's handle that a peer left it."""
        handle = self.handles.get(topic)
        if handle is not None:
            handle.peer_left(peer)

    def is_subscribed_or_relayed(self, topic: str) -> bool:
        """Return whether a topic is subscribed or relayed. The first subscription or relay advertises, announces and joins it."""
        return topic in self.subscribed_or_relayed

    def record_subscription(self, subscription: Sink) -> None:
        """Deliver to a subscription from now on (last step of AddSubscription)."""
        topic = subscription.topic
        self.subscriptions.setdefault(topic, []).append(subscription)
        self.subscribed_or_relayed.add(topic)

    def end_subscription(self, subscription: Sink) -> bool:
        """End a subscription (first step of RemoveSubscription); return whether it was the topic's last subscription or relay."""
        topic = subscription.topic
        subscriptions = self.subscriptions.get(topic)
        if subscriptions is None or subscription not in subscriptions:
            return False
        subscription.end()
        subscriptions.remove(subscription)
        if subscriptions:
            return False
        del self.subscriptions[topic]
        return self._stop_topic(topic)

    def has_subscription(self, topic: str) -> bool:
        """Return whether a topic has a subscription."""
        return topic in self.subscriptions

    def record_relay(self, topic: str) -> None:
        """Accept and forward a topic from now on (last step of AddRelay)."""
        self._relays[topic] = self._relays.get(topic, 0) + 1
        self.subscribed_or_relayed.add(topic)

    def end_relay(self, topic: str) -> bool:
        """Remove one relay (first step of RemoveRelay); return whether it was the topic's last subscription or relay."""
        count = self._relays.get(topic, 0)
        if count == 0:
            return False
        if count > 1:
            self._relays[topic] = count - 1
            return False
        del self._relays[topic]
        return self._stop_topic(topic)

    def has_relay(self, topic: str) -> bool:
        """Return whether a topic is relayed."""
        return topic in self._relays

    def end(self, error: Exception | None) -> None:
        """End all subscriptions and events, as the host takes no more turns. See `Sink.end` for the error."""
        for subscriptions in self.subscriptions.values():
            for subscription in subscriptions:
                subscription.end(error)
        for handle in self.handles.values():
            handle.end_events(error)

    def _stop_topic(self, topic: str) -> bool:
        if topic in self.subscriptions or topic in self._relays:
            return False
        self.subscribed_or_relayed.discard(topic)
        return True
