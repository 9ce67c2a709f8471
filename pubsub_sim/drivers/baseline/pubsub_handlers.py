"""The event loop's handlers of operations: one function per type, looked up in a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pubsub_sim.protocol import operations as op
from pubsub_sim.protocol.pending import Pending

if TYPE_CHECKING:
    from pubsub_sim.node.driver import Discovery
    from pubsub_sim.protocol.core import Core

Handlers = dict[type[Any], Callable[[Any], None]]


def handlers_of(core: Core, discovery: Discovery | None) -> Handlers:
    """Return the table of one host.

    The handlers of `PublishMessage` and of `Pending`, whose message is published during a turn, take the message; all
    others take the operation.

    Args:
        core: the host's decisions.
        discovery: advertises topics; or None.
    """

    def remove_topic(request: op.RemoveTopic) -> None:
        core.local_topics.remove_topic(request.topic)
        request.answer(None)

    def add_subscription(request: op.AddSubscription) -> None:
        subscription = request.subscription
        if not core.local_topics.is_subscribed_or_relayed(subscription.topic):
            start_topic(subscription.topic)
        core.local_topics.record_subscription(subscription)
        request.answer(subscription)

    def remove_subscription(request: op.RemoveSubscription) -> None:
        if core.local_topics.end_subscription(request.subscription):
            stop_topic(request.subscription.topic)
        request.answer(None)

    def add_relay(request: op.AddRelay) -> None:
        if not core.local_topics.is_subscribed_or_relayed(request.topic):
            start_topic(request.topic)
        core.local_topics.record_relay(request.topic)
        request.answer(None)

    def remove_relay(request: op.RemoveRelay) -> None:
        if core.local_topics.end_relay(request.topic):
            stop_topic(request.topic)
        request.answer(None)

    def start_topic(topic: str) -> None:
        if discovery is not None:
            discovery.advertise(topic)
        core.announcer.announce(topic, subscribe=True)
        core.join(topic)

    def stop_topic(topic: str) -> None:
        if discovery is not None:
            discovery.stop_advertise(topic)
        core.announcer.announce(topic, subscribe=False)
        core.leave(topic)

    def add_validator(request: op.AddValidator) -> None:
        core.validators.add(request.validator)
        request.answer(None)

    def remove_validator(request: op.RemoveValidator) -> None:
        core.validators.remove(request.topic, request.only)
        request.answer(None)

    def blacklist_peer(request: op.BlacklistPeer) -> None:
        core.blacklist_peer(request.peer)
        request.answer(None)

    return {
        op.PublishMessage: core.publish_message,
        Pending: core.publish_message,
        op.PeersPending: lambda _: core.peer_streams.take_pending_peers(),
        op.PeersDead: lambda _: core.peer_streams.take_dead_peers(),
        op.PeerNewStream: lambda opened: core.peer_streams.add_stream(opened.peer, opened.protocol, opened.outbox),
        op.PeerError: lambda failed: core.peer_streams.forget_peer(failed.peer, failed.outbox),
        op.PeerCloseStream: lambda closed: core.peer_streams.close_inbound(closed.peer, closed.stream),
        op.Heartbeat: lambda operation: operation.action(),
        op.GetTopics: lambda request: request.answer(core.local_topics.list_topics()),
        op.AddTopic: lambda request: request.answer(core.local_topics.add_topic(request.topic)),
        op.RemoveTopic: remove_topic,
        op.AddSubscription: add_subscription,
        op.RemoveSubscription: remove_subscription,
        op.AddRelay: add_relay,
        op.RemoveRelay: remove_relay,
        op.GetPeers: lambda request: request.answer(core.list_peers(request.topic)),
        op.AddValidator: add_validator,
        op.RemoveValidator: remove_validator,
        op.BlacklistPeer: blacklist_peer,
        op.Eval: lambda request: request.answer(request.function()),
    }
