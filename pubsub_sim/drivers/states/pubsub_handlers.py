"""The handlers of `PubsubStates`, the states of the host machine.

Nearly every state is a pulse: its handler first removes it. Negotiation handlers only query the core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event
from pubsub_sim.errors import NoValidator, TopicInUse, ValidatorExists
from pubsub_sim.protocol import operations as op
from pubsub_sim.wire.message import Message

if TYPE_CHECKING:
    from pubsub_sim.drivers.states.discovery_machine import DiscoveryMachine
    from pubsub_sim.protocol.core import Core


class PubsubHandlers:
    """The 20 states' handlers.

    Args:
        core: the host's decisions.
        discovery: the discovery machine, or None.
        on_error: called with an error of any handler; the driver knows its origin.
    """

    __slots__ = ("_core", "_discovery", "_on_error")

    def __init__(
        self, core: Core, discovery: DiscoveryMachine | None, on_error: Callable[[BaseException], None]
    ) -> None:
        self._core = core
        self._discovery = discovery
        self._on_error = on_error

    def ExceptionState(self, e: Event) -> None:
        e.remove("Exception")
        self._on_error(e.args["error"])

    # --- peers ---------------------------------------------------------------------------------------------------

    def PeersPendingState(self, e: Event) -> None:
        e.remove("PeersPending")
        self._core.peer_streams.take_pending_peers()

    def PeersDeadEnter(self, e: Event) -> bool:
        return self._core.peer_streams.has_dead_peers

    def PeersDeadState(self, e: Event) -> None:
        e.remove("PeersDead")
        self._core.peer_streams.take_dead_peers()

    def PeerNewStreamEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("network.Stream"), op.PeerNewStream)

    def PeerNewStreamState(self, e: Event) -> None:
        e.remove("PeerNewStream")
        opened: op.PeerNewStream = e.args["network.Stream"]
        self._core.peer_streams.add_stream(opened.peer, opened.protocol, opened.outbox)

    def PeerCloseStreamEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("pid"), op.PeerCloseStream)

    def PeerCloseStreamState(self, e: Event) -> None:
        e.remove("PeerCloseStream")
        closed: op.PeerCloseStream = e.args["pid"]
        self._core.peer_streams.close_inbound(closed.peer, closed.stream)

    def PeerErrorEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("pid"), op.PeerError)

    def PeerErrorState(self, e: Event) -> None:
        e.remove("PeerError")
        failed: op.PeerError = e.args["pid"]
        self._core.peer_streams.forget_peer(failed.peer, failed.outbox)

    def GetPeersEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("listPeerReq"), op.GetPeers)

    def GetPeersState(self, e: Event) -> None:
        e.remove("GetPeers")
        request: op.GetPeers = e.args["listPeerReq"]
        request.answer(self._core.list_peers(request.topic))

    def BlacklistPeerEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("pid"), op.BlacklistPeer)

    def BlacklistPeerState(self, e: Event) -> None:
        e.remove("BlacklistPeer")
        request: op.BlacklistPeer = e.args["pid"]
        self._core.blacklist_peer(request.peer)
        request.answer(None)

    # --- topics --------------------------------------------------------------------------------------------------

    def GetTopicsEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("topicReq"), op.GetTopics)

    def GetTopicsState(self, e: Event) -> None:
        e.remove("GetTopics")
        request: op.GetTopics = e.args["topicReq"]
        request.answer(self._core.local_topics.list_topics())

    def AddTopicEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addTopicReq"), op.AddTopic)

    def AddTopicState(self, e: Event) -> None:
        e.remove("AddTopic")
        request: op.AddTopic = e.args["addTopicReq"]
        request.answer(self._core.local_topics.add_topic(request.topic))

    def RemoveTopicEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("rmTopicReq"), op.RemoveTopic)

    def RemoveTopicState(self, e: Event) -> None:
        e.remove("RemoveTopic")
        request: op.RemoveTopic = e.args["rmTopicReq"]
        try:
            self._core.local_topics.remove_topic(request.topic)
        except TopicInUse as error:
            request.refuse(error)
        else:
            request.answer(None)

    # --- subscriptions and relays: start or stop a topic in three states, in the event loop's order ----------

    def AddSubscriptionEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addSubReq"), op.AddSubscription)

    def AddSubscriptionState(self, e: Event) -> None:
        e.remove("AddSubscription")
        request: op.AddSubscription = e.args["addSubReq"]
        if self._core.local_topics.is_subscribed_or_relayed(request.subscription.topic):
            self._record(request)
        else:
            self._start_topic(e, request.subscription.topic, request)

    def RemoveSubscriptionEnter(self, e: Event) -> bool:
        request = e.args.get("Subscription")
        return isinstance(request, op.RemoveSubscription) and self._core.local_topics.has_subscription(
            request.subscription.topic
        )

    def RemoveSubscriptionState(self, e: Event) -> None:
        e.remove("RemoveSubscription")
        request: op.RemoveSubscription = e.args["Subscription"]
        if self._core.local_topics.end_subscription(request.subscription):
            self._stop_topic(e, request.subscription.topic, request)
        else:
            request.answer(None)

    def AddRelayEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addRelayReq"), op.AddRelay)

    def AddRelayState(self, e: Event) -> None:
        e.remove("AddRelay")
        request: op.AddRelay = e.args["addRelayReq"]
        if self._core.local_topics.is_subscribed_or_relayed(request.topic):
            self._record(request)
        else:
            self._start_topic(e, request.topic, request)

    def RemoveRelayEnter(self, e: Event) -> bool:
        request = e.args.get("topic")
        return isinstance(request, op.RemoveRelay) and self._core.local_topics.has_relay(request.topic)

    def RemoveRelayState(self, e: Event) -> None:
        e.remove("RemoveRelay")
        request: op.RemoveRelay = e.args["topic"]
        if self._core.local_topics.end_relay(request.topic):
            self._stop_topic(e, request.topic, request)
        else:
            request.answer(None)

    def AnnouncingTopicEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("topic"), str) and isinstance(e.args.get("sub.bool"), bool)

    def AnnouncingTopicState(self, e: Event) -> None:
        e.remove("AnnouncingTopic")
        self._core.announcer.announce(e.args["topic"], subscribe=e.args["sub.bool"])
        e.add("TopicAnnounced", **e.args)

    def TopicAnnouncedState(self, e: Event) -> None:
        e.remove("TopicAnnounced")
        if e.args["sub.bool"]:
            self._core.join(e.args["topic"])
        else:
            self._core.leave(e.args["topic"])
        self._record(e.args["request"])

    def _start_topic(self, e: Event, topic: str, request: op.Request[Any]) -> None:
        if self._discovery is not None:
            self._discovery.advertise(topic)
        e.add("AnnouncingTopic", **{"topic": topic, "sub.bool": True, "request": request})

    def _stop_topic(self, e: Event, topic: str, request: op.Request[Any]) -> None:
        if self._discovery is not None:
            self._discovery.stop_advertise(topic)
        e.add("AnnouncingTopic", **{"topic": topic, "sub.bool": False, "request": request})

    def _record(self, request: op.Request[Any]) -> None:
        if isinstance(request, op.AddSubscription):
            self._core.local_topics.record_subscription(request.subscription)
            request.answer(request.subscription)
            return
        if isinstance(request, op.AddRelay):
            self._core.local_topics.record_relay(request.topic)
        request.answer(None)

    # --- messages ------------------------------------------------------------------------------------------------

    def PublishMessageEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("Message"), Message)

    def PublishMessageState(self, e: Event) -> None:
        e.remove("PublishMessage")
        self._core.publish_message(e.args["Message"])

    def AddValidatorEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addValReq"), op.AddValidator)

    def AddValidatorState(self, e: Event) -> None:
        e.remove("AddValidator")
        request: op.AddValidator = e.args["addValReq"]
        try:
            self._core.validators.add(request.validator)
        except ValidatorExists as error:
            request.refuse(error)
        else:
            request.answer(None)

    def RemoveValidatorEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("rmValReq"), op.RemoveValidator)

    def RemoveValidatorState(self, e: Event) -> None:
        e.remove("RemoveValidator")
        request: op.RemoveValidator = e.args["rmValReq"]
        try:
            self._core.validators.remove(request.topic, request.only)
        except NoValidator as error:
            request.refuse(error)
        else:
            request.answer(None)
