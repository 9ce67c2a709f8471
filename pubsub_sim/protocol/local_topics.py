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
    """Where messages of a topic are delivered."""

    @property
    def topic(self) -> str:
        """The topic's name."""

    def offer(self, message: Message) -> bool:
        """Buffer a message; False if there is no room. Never waits."""

    def end(self, error: Exception | None = None) -> None:
        """No more messages; what is buffered stays readable.

        Args:
            error: what whoever reads on is told; None: that it was cancelled.
        """


class TopicHandle(Protocol):
    """A topic as its user holds it."""

    @property
    def name(self) -> str:
        """The topic's name."""

    @property
    def has_watchers(self) -> bool:
        """Whether event handlers are open."""

    def peer_joined(self, peer: PeerId) -> None:
        """A peer announced the topic."""

    def peer_left(self, peer: PeerId) -> None:
        """A peer withdrew, died or was blacklisted."""

    def end_events(self, error: Exception | None) -> None:
        """There are no more events; what waits stays readable. See `Sink.end` for the error."""


class LocalTopics:
    """Topic handles, subscriptions and relays of one host.

    Attributes:
        handles: topic -> its handle.
        subscriptions: topic -> its subscriptions; a topic without one is not in it.
        subscribed_or_relayed: topics with a subscription or a relay.
    """

    def __init__(self) -> None:
        self.handles: dict[str, TopicHandle] = {}
        self.subscriptions: dict[str, list[Sink]] = {}
        self.subscribed_or_relayed: set[str] = set()
        self._relays: dict[str, int] = {}

    def list_announced(self) -> list[str]:
        """List what a hello announces: subscribed topics, then those that are only relayed."""
        return list(dict.fromkeys([*self.subscriptions, *self._relays]))

    def list_topics(self) -> list[str]:
        """GetTopics: topics with at least one subscription."""
        return list(self.subscriptions)

    def add_topic(self, handle: TopicHandle) -> TopicHandle:
        """AddTopic: the handle that is registered now, an older one if there was one."""
        return self.handles.setdefault(handle.name, handle)

    def remove_topic(self, handle: TopicHandle) -> None:
        """RemoveTopic: raises TopicInUse while subscriptions, relays or event handlers are open."""
        name = handle.name
        if self.handles.get(name) is handle:
            if handle.has_watchers or name in self.subscribed_or_relayed:
                raise TopicInUse(name)
            del self.handles[name]

    def tell_joined(self, topic: str, peer: PeerId) -> None:
        """A peer announced a topic: tell those who watch it here."""
        handle = self.handles.get(topic)
        if handle is not None:
            handle.peer_joined(peer)

    def tell_left(self, topic: str, peer: PeerId) -> None:
        """A peer takes part in a topic no longer: tell those who watch it here."""
        handle = self.handles.get(topic)
        if handle is not None:
            handle.peer_left(peer)

    def is_subscribed_or_relayed(self, topic: str) -> bool:
        """Whether we subscribe or relay a topic. The first subscription or relay advertises, announces and joins it."""
        return topic in self.subscribed_or_relayed

    def record_subscription(self, subscription: Sink) -> None:
        """AddSubscription, last step: deliver to it from now on."""
        topic = subscription.topic
        self.subscriptions.setdefault(topic, []).append(subscription)
        self.subscribed_or_relayed.add(topic)

    def end_subscription(self, subscription: Sink) -> bool:
        """RemoveSubscription, first step: end it; whether it was the last subscription or relay of the topic."""
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
        """Whether anybody here subscribes to a topic."""
        return topic in self.subscriptions

    def record_relay(self, topic: str) -> None:
        """AddRelay, last step: accept and forward the topic from now on."""
        self._relays[topic] = self._relays.get(topic, 0) + 1
        self.subscribed_or_relayed.add(topic)

    def end_relay(self, topic: str) -> bool:
        """RemoveRelay, first step: count down; whether it was the last subscription or relay of the topic."""
        count = self._relays.get(topic, 0)
        if count == 0:
            return False
        if count > 1:
            self._relays[topic] = count - 1
            return False
        del self._relays[topic]
        return self._stop_topic(topic)

    def has_relay(self, topic: str) -> bool:
        """Whether a topic is relayed."""
        return topic in self._relays

    def end(self, error: Exception | None) -> None:
        """The host takes no more turns: nobody is to wait for a message or an event of it. See `Sink.end` for the error."""
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
