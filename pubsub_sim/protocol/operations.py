"""The inputs of a pubsub host: one class per input of the reference's event loop.

The class names are the names of the states that stand for these inputs in the state-machine version. A `Request` is an
operation somebody waits for: it is answered or refused once, by whoever runs it, and `undo` takes back what it did if the
answer finds nobody. Operations know nothing of who runs them or when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.local_topics import Sink, TopicHandle
    from pubsub_sim.protocol.validation import Validator
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import Frame

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Reply(Protocol[T_contra]):
    """Where an answer goes; a future is one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""

    def cancelled(self) -> bool:
        """Whether whoever waited has gone."""

    def set_result(self, result: T_contra, /) -> None:
        """The answer."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Why there is none."""


class Outbox(Protocol):
    """The bounded queue of RPCs to one peer."""

    def push(self, frame: Frame) -> bool:
        """Queue a frame; False if there is no room. Never waits."""

    def push_urgent(self, frame: Frame) -> bool:
        """Queue a frame ahead of all that are not urgent; False if there is no room. Never waits."""

    def close(self) -> None:
        """Write what is queued, then end the stream."""


class Operation:
    """An input without an answer."""

    __slots__ = ()


class Request(Operation, Generic[T]):
    """An input somebody waits for.

    Attributes:
        reply: where the answer goes; set before the request is submitted.
        is_answered: whether it has been run; set, like `reply`, before it is submitted.
        is_release: whether it gives up what its asker owns. Then it is run even if the asker has gone.
    """

    __slots__ = ("is_answered", "reply")
    is_release: ClassVar[bool] = False
    reply: Reply[T]
    is_answered: bool

    def undo(self) -> Request[Any] | None:
        """What takes back the effect of this request; None if it has none that needs an owner."""
        return None

    def answer(self, result: T) -> None:
        """Give the answer, unless the asker has gone."""
        self.is_answered = True
        if not self.reply.done():
            self.reply.set_result(result)

    def refuse(self, why: Exception) -> None:
        """Say why there is no answer, unless the asker has gone."""
        if not self.reply.done():
            self.reply.set_exception(why)


class PeersPending(Operation):
    """Peers have connected; which ones is in the core's pending set. Coalescing."""

    __slots__ = ()


class PeersDead(Operation):
    """Outbound streams have ended; which ones is in the core's dead set. Coalescing."""

    __slots__ = ()


class PeerNewStream(Operation):
    """The outbound stream to a peer is open."""

    __slots__ = ("outbox", "peer", "protocol")

    def __init__(self, peer: PeerId, protocol: str, outbox: Outbox) -> None:
        self.peer = peer
        self.protocol = protocol
        self.outbox = outbox


class PeerCloseStream(Operation):
    """The inbound stream of a peer has ended."""

    __slots__ = ("peer", "stream")

    def __init__(self, peer: PeerId, stream: object) -> None:
        self.peer = peer
        self.stream = stream


class PeerError(Operation):
    """The outbound stream to a peer could not be opened."""

    __slots__ = ("outbox", "peer")

    def __init__(self, peer: PeerId, outbox: Outbox) -> None:
        self.peer = peer
        self.outbox = outbox


class Heartbeat(Operation):
    """A timer of the router has run out: its heartbeat, above all.

    Attributes:
        action: called in a turn.
    """

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action


class GetTopics(Request["list[str]"]):
    """Topics with at least one local subscription."""

    __slots__ = ()


class AddTopic(Request["TopicHandle"]):
    """Register a topic handle; the answer is the handle that is registered, ours or an older one."""

    __slots__ = ("topic",)

    def __init__(self, topic: TopicHandle) -> None:
        self.topic = topic

    def undo(self) -> RemoveTopic:
        return RemoveTopic(self.topic)


class RemoveTopic(Request[None]):
    """Forget a topic handle; refused with TopicInUse."""

    __slots__ = ("topic",)

    def __init__(self, topic: TopicHandle) -> None:
        self.topic = topic

    def undo(self) -> AddTopic:
        return AddTopic(self.topic)


class AddSubscription(Request["Sink"]):
    """Start delivering a topic to a subscription."""

    __slots__ = ("subscription",)

    def __init__(self, subscription: Sink) -> None:
        self.subscription = subscription

    def undo(self) -> RemoveSubscription:
        return RemoveSubscription(self.subscription)


class RemoveSubscription(Request[None]):
    """Stop delivering to a subscription."""

    __slots__ = ("subscription",)
    is_release = True

    def __init__(self, subscription: Sink) -> None:
        self.subscription = subscription


class AddRelay(Request[None]):
    """Accept and forward a topic without delivering it."""

    __slots__ = ("topic",)

    def __init__(self, topic: str) -> None:
        self.topic = topic

    def undo(self) -> RemoveRelay:
        return RemoveRelay(self.topic)


class RemoveRelay(Request[None]):
    """Undo one AddRelay."""

    __slots__ = ("topic",)
    is_release = True

    def __init__(self, topic: str) -> None:
        self.topic = topic


class GetPeers(Request["list[PeerId]"]):
    """Our peers, all (topic None) or those that announced a topic."""

    __slots__ = ("topic",)

    def __init__(self, topic: str | None) -> None:
        self.topic = topic


class PublishMessage(Operation):
    """A validated message: deliver it here and pass it on."""

    __slots__ = ("message",)

    def __init__(self, message: Message) -> None:
        self.message = message


class AddValidator(Request[None]):
    """Register a topic's validator; refused with ValidatorExists."""

    __slots__ = ("validator",)

    def __init__(self, validator: Validator) -> None:
        self.validator = validator

    def undo(self) -> RemoveValidator:
        return RemoveValidator(self.validator.topic, self.validator)


class RemoveValidator(Request[None]):
    """Forget a topic's validator; refused with NoValidator.

    Attributes:
        topic: its topic.
        only: leave any other validator than this in place; None for whichever is there.
    """

    __slots__ = ("only", "topic")

    def __init__(self, topic: str, only: Validator | None = None) -> None:
        self.topic = topic
        self.only = only


class BlacklistPeer(Request[None]):
    """Have nothing to do with a peer any more."""

    __slots__ = ("peer",)

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer


class Eval(Request[T]):
    """A function that reads or changes what the host owns. May be submitted, when nobody wants its value.

    Attributes:
        function: called in a turn.
        label: what for, as the reference names it.
    """

    __slots__ = ("function", "label")

    def __init__(self, function: Callable[[], T], label: str) -> None:
        self.reply = NOBODY
        self.function = function
        self.label = label


class _Nobody:
    """A reply that nobody reads: always done, and given nothing."""

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def set_result(self, result: object, /) -> None:
        """Never called."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Never called."""


NOBODY: Reply[Any] = _Nobody()
"""The reply of a request that is submitted and not asked."""
