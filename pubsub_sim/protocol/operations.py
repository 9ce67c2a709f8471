"""The inputs of a pubsub host: one class per input of the reference's event loop.

The class names are the names of the states for these inputs in the state-machine version. A `Request` is an operation
with a waiting caller: it is answered or refused once, by the driver, and undone (`undo`) if the caller has gone.
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
    """The receiver of an answer, such as a future."""

    def done(self) -> bool:
        """Return whether the answer is no longer awaited."""

    def cancelled(self) -> bool:
        """Return whether the caller was cancelled."""

    def set_result(self, result: T_contra, /) -> None:
        """Deliver the answer."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Deliver an error instead."""


class Outbox(Protocol):
    """The bounded queue of RPCs to one peer."""

    @property
    def lost(self) -> int:
        """Frames lost so far, as the queue was full."""

    def push(self, frame: Frame) -> bool:
        """Queue a frame; return False if there is no room. Never blocks."""

    def push_urgent(self, frame: Frame) -> bool:
        """Queue a frame ahead of those that are not urgent; return False if there is no room. Never blocks."""

    def close(self) -> None:
        """Write the queued frames, then end the stream."""


class Operation:
    """An input without an answer."""

    __slots__ = ()


class Request(Operation, Generic[T]):
    """An input with a waiting caller.

    Attributes:
        reply: the receiver of the answer; set before the request is submitted.
        is_answered: whether it has been run; set, like `reply`, before it is submitted.
        is_release: whether it releases something its caller owns. Then it is run even if the caller has gone.
    """

    __slots__ = ("is_answered", "reply")
    is_release: ClassVar[bool] = False
    reply: Reply[T]
    is_answered: bool

    def undo(self) -> Request[Any] | None:
        """Return the request that undoes this one; None if there is nothing to undo."""
        return None

    def answer(self, result: T) -> None:
        """Deliver the answer, unless the caller has gone."""
        self.is_answered = True
        if not self.reply.done():
            self.reply.set_result(result)

    def refuse(self, why: Exception) -> None:
        """Deliver an error instead of an answer, unless the caller has gone."""
        if not self.reply.done():
            self.reply.set_exception(why)


class PeersPending(Operation):
    """Peers have connected; they are in the core's pending set. Coalescing."""

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
    """A timer of the router has expired, mainly its heartbeat.

    Attributes:
        action: called in a turn.
    """

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action


class GetTopics(Request["list[str]"]):
    """Get the topics with at least one local subscription."""

    __slots__ = ()


class AddTopic(Request["TopicHandle"]):
    """Register a topic handle; the answer is the registered handle, possibly an older one."""

    __slots__ = ("topic",)

    def __init__(self, topic: TopicHandle) -> None:
        self.topic = topic

    def undo(self) -> RemoveTopic:
        return RemoveTopic(self.topic)


class RemoveTopic(Request[None]):
    """Remove a topic handle; refused with TopicInUse."""

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
    """Get all peers (topic None), or those that announced a topic."""

    __slots__ = ("topic",)

    def __init__(self, topic: str | None) -> None:
        self.topic = topic


class PublishMessage(Operation):
    """Deliver a validated message locally and forward it."""

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
    """Remove a topic's validator; refused with NoValidator.

    Attributes:
        topic: its topic.
        only: remove only this validator; None removes any.
    """

    __slots__ = ("only", "topic")

    def __init__(self, topic: str, only: Validator | None = None) -> None:
        self.topic = topic
        self.only = only


class BlacklistPeer(Request[None]):
    """Blacklist a peer."""

    __slots__ = ("peer",)

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer


class Eval(Request[T]):
    """Call a function that reads or changes the host's state. May be submitted without a caller.

    Attributes:
        function: called in a turn.
        label: its purpose, as named in the reference.
    """

    __slots__ = ("function", "label")

    def __init__(self, function: Callable[[], T], label: str) -> None:
        self.reply = NOBODY
        self.function = function
        self.label = label


class _Nobody:
    """A reply without a reader: always done."""

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def set_result(self, result: object, /) -> None:
        """Never called."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Never called."""


NOBODY: Reply[Any] = _Nobody()
"""The reply of a request that is submitted without a caller."""
