"""What does each state of the host machine do? The handlers of `PubsubStates`, written out by hand.

Nearly every state is a pulse: the first thing its handler does is to remove it. Vetoes only ask the core.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asyncmachine import Event
from pubsub_sim.errors import NoValidator, TopicInUse, ValidatorExists
from pubsub_sim.protocol.operations import (
    AddRelay,
    AddSubscription,
    AddTopic,
    AddValidator,
    BlacklistPeer,
    GetPeers,
    GetTopics,
    PeerCloseStream,
    PeerError,
    PeerNewStream,
    RemoveRelay,
    RemoveSubscription,
    RemoveTopic,
    RemoveValidator,
    Request,
)
from pubsub_sim.wire.message import Message

if TYPE_CHECKING:
    from pubsub_sim.drivers.states.discovery_machine import DiscoveryMachine
    from pubsub_sim.protocol.core import Core


class PubsubHandlers:
    """The 20 states' handlers.

    Args:
        core: the host's decisions.
        discovery: the discovery machine, or None.
        on_failure: told of an error in any handler.
    """

    __slots__ = ("_core", "_discovery", "_on_failure")

    def __init__(
        self, core: Core, discovery: DiscoveryMachine | None, on_failure: Callable[[BaseException], None]
    ) -> None:
        self._core = core
        self._discovery = discovery
        self._on_failure = on_failure

    def ExceptionState(self, e: Event) -> None:
        self._on_failure(e.args["error"])

    # --- peers ---------------------------------------------------------------------------------------------------

    def PeersPendingState(self, e: Event) -> None:
        e.remove("PeersPending")
        self._core.take_pending_peers()

    def PeersDeadEnter(self, e: Event) -> bool:
        return self._core.has_dead_peers

    def PeersDeadState(self, e: Event) -> None:
        e.remove("PeersDead")
        self._core.take_dead_peers()

    def PeerNewStreamEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("network.Stream"), PeerNewStream)

    def PeerNewStreamState(self, e: Event) -> None:
        e.remove("PeerNewStream")
        opened: PeerNewStream = e.args["network.Stream"]
        self._core.add_stream(opened.peer, opened.protocol, opened.outbox)

    def PeerCloseStreamEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("pid"), PeerCloseStream)

    def PeerCloseStreamState(self, e: Event) -> None:
        e.remove("PeerCloseStream")
        closed: PeerCloseStream = e.args["pid"]
        self._core.close_inbound(closed.peer, closed.stream)

    def PeerErrorEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("pid"), PeerError)

    def PeerErrorState(self, e: Event) -> None:
        e.remove("PeerError")
        failed: PeerError = e.args["pid"]
        self._core.forget_peer(failed.peer, failed.outbox)

    def GetPeersEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("listPeerReq"), GetPeers)

    def GetPeersState(self, e: Event) -> None:
        e.remove("GetPeers")
        request: GetPeers = e.args["listPeerReq"]
        request.answer(self._core.list_peers(request.topic))

    def BlacklistPeerEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("pid"), BlacklistPeer)

    def BlacklistPeerState(self, e: Event) -> None:
        e.remove("BlacklistPeer")
        request: BlacklistPeer = e.args["pid"]
        self._core.blacklist_peer(request.peer)
        request.answer(None)

    # --- topics --------------------------------------------------------------------------------------------------

    def GetTopicsEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("topicReq"), GetTopics)

    def GetTopicsState(self, e: Event) -> None:
        e.remove("GetTopics")
        request: GetTopics = e.args["topicReq"]
        request.answer(self._core.interest.list_topics())

    def AddTopicEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addTopicReq"), AddTopic)

    def AddTopicState(self, e: Event) -> None:
        e.remove("AddTopic")
        request: AddTopic = e.args["addTopicReq"]
        request.answer(self._core.interest.add_topic(request.topic))

    def RemoveTopicEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("rmTopicReq"), RemoveTopic)

    def RemoveTopicState(self, e: Event) -> None:
        e.remove("RemoveTopic")
        request: RemoveTopic = e.args["rmTopicReq"]
        try:
            self._core.interest.remove_topic(request.topic)
        except TopicInUse as error:
            request.refuse(error)
        else:
            request.answer(None)

    # --- subscriptions and relays: take up or give up a topic in three states, in the event loop's order ----------

    def AddSubscriptionEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addSubReq"), AddSubscription)

    def AddSubscriptionState(self, e: Event) -> None:
        e.remove("AddSubscription")
        request: AddSubscription = e.args["addSubReq"]
        if self._core.interest.is_wanted(request.subscription.topic):
            self._record(request)
        else:
            self._take_up(e, request.subscription.topic, request)

    def RemoveSubscriptionEnter(self, e: Event) -> bool:
        request = e.args.get("Subscription")
        return isinstance(request, RemoveSubscription) and self._core.interest.has_subscription(
            request.subscription.topic
        )

    def RemoveSubscriptionState(self, e: Event) -> None:
        e.remove("RemoveSubscription")
        request: RemoveSubscription = e.args["Subscription"]
        if self._core.interest.end_subscription(request.subscription):
            self._give_up(e, request.subscription.topic, request)
        else:
            request.answer(None)

    def AddRelayEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addRelayReq"), AddRelay)

    def AddRelayState(self, e: Event) -> None:
        e.remove("AddRelay")
        request: AddRelay = e.args["addRelayReq"]
        if self._core.interest.is_wanted(request.topic):
            self._record(request)
        else:
            self._take_up(e, request.topic, request)

    def RemoveRelayEnter(self, e: Event) -> bool:
        request = e.args.get("topic")
        return isinstance(request, RemoveRelay) and self._core.interest.has_relay(request.topic)

    def RemoveRelayState(self, e: Event) -> None:
        e.remove("RemoveRelay")
        request: RemoveRelay = e.args["topic"]
        if self._core.interest.end_relay(request.topic):
            self._give_up(e, request.topic, request)
        else:
            request.answer(None)

    def AnnouncingTopicEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("topic"), str) and isinstance(e.args.get("sub.bool"), bool)

    def AnnouncingTopicState(self, e: Event) -> None:
        e.remove("AnnouncingTopic")
        self._core.announce(e.args["topic"], subscribe=e.args["sub.bool"])
        e.add("TopicAnnounced", **e.args)

    def TopicAnnouncedState(self, e: Event) -> None:
        e.remove("TopicAnnounced")
        if e.args["sub.bool"]:
            self._core.join(e.args["topic"])
        else:
            self._core.leave(e.args["topic"])
        self._record(e.args["request"])

    def _take_up(self, e: Event, topic: str, request: Request[Any]) -> None:
        if self._discovery is not None:
            self._discovery.advertise(topic)
        e.add("AnnouncingTopic", **{"topic": topic, "sub.bool": True, "request": request})

    def _give_up(self, e: Event, topic: str, request: Request[Any]) -> None:
        if self._discovery is not None:
            self._discovery.stop_advertise(topic)
        e.add("AnnouncingTopic", **{"topic": topic, "sub.bool": False, "request": request})

    def _record(self, request: Request[Any]) -> None:
        if isinstance(request, AddSubscription):
            self._core.interest.record_subscription(request.subscription)
            request.answer(request.subscription)
            return
        if isinstance(request, AddRelay):
            self._core.interest.record_relay(request.topic)
        request.answer(None)

    # --- messages ------------------------------------------------------------------------------------------------

    def PublishMessageEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("Message"), Message)

    def PublishMessageState(self, e: Event) -> None:
        e.remove("PublishMessage")
        self._core.publish_message(e.args["Message"])

    def AddValidatorEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("addValReq"), AddValidator)

    def AddValidatorState(self, e: Event) -> None:
        e.remove("AddValidator")
        request: AddValidator = e.args["addValReq"]
        try:
            self._core.validators.add(request.validator)
        except ValidatorExists as error:
            request.refuse(error)
        else:
            request.answer(None)

    def RemoveValidatorEnter(self, e: Event) -> bool:
        return isinstance(e.args.get("rmValReq"), RemoveValidator)

    def RemoveValidatorState(self, e: Event) -> None:
        e.remove("RemoveValidator")
        request: RemoveValidator = e.args["rmValReq"]
        try:
            self._core.validators.remove(request.topic)
        except NoValidator as error:
            request.refuse(error)
        else:
            request.answer(None)
