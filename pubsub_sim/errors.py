"""What can go wrong in the pubsub simulator, by whose fault.

One class per failure a caller can see; each carries its facts as attributes and composes its own message.
A rejected message is `MessageRejected`, raised to the publisher only: for received messages it is a result.
"""

from __future__ import annotations

from collections import Counter

_MOST_LINES = 20  # of waiting tasks in one sentence
_LONGEST_VALUE = 1000  # of a value in a sentence, in characters


class PubsubSimError(Exception):
    """Base of every error this package raises."""


# --- the caller's fault ------------------------------------------------------------------------------------------


class OptionError(PubsubSimError, ValueError):
    """An option has a value it cannot have.

    Attributes:
        option: its name.
        value: what was given.
        expected: what would have been right, as words.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        shown = repr(value)
        if len(shown) > _LONGEST_VALUE:
            shown = f"{shown[:_LONGEST_VALUE]}... ({len(shown)} characters)"
        super().__init__(f"{option}: expected {expected}, got {shown}")
        self.option = option
        self.value = value
        self.expected = expected


class PeerIdError(PubsubSimError, ValueError):
    """Bytes that are no usable peer id or key.

    Attributes:
        value: the bytes.
        expected: what would have been right, as words.
    """

    def __init__(self, value: bytes, expected: str) -> None:
        super().__init__(f"expected {expected}, got {len(value)} bytes: {value[:40].hex()}")
        self.value = value
        self.expected = expected


class TopicExists(PubsubSimError):
    """Join of a topic this host has already joined ("topic already exists" in go-libp2p-pubsub).

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic already exists: {topic}")
        self.topic = topic


class TopicNotAllowed(PubsubSimError):
    """Join of a topic the host's subscription filter does not let pass.

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic is not allowed by the subscription filter: {topic}")
        self.topic = topic


class TopicClosed(PubsubSimError):
    """A call on a topic handle after its close.

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"this topic is closed, join it again: {topic}")
        self.topic = topic


class TopicInUse(PubsubSimError):
    """Close of a topic that still has subscriptions, relays or event handlers.

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"cannot close topic: outstanding event handlers or subscriptions: {topic}")
        self.topic = topic


class SubscriptionCancelled(PubsubSimError):
    """`next` on a subscription that was cancelled and whose buffer is empty.

    Attributes:
        topic: the subscription's topic.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"subscription cancelled: {topic}")
        self.topic = topic


class ValidatorExists(PubsubSimError):
    """A second validator for one topic.

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"duplicate validator for topic {topic}")
        self.topic = topic


class NoValidator(PubsubSimError):
    """Removal of a validator that is not registered.

    Attributes:
        topic: its name.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(f"no validator for topic {topic}")
        self.topic = topic


class OnlyGossipsub(PubsubSimError):
    """A call that only a gossipsub host can answer ("pubsub router is not gossipsub" in go-libp2p-pubsub).

    Attributes:
        operation: what was asked for.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(f"{operation}: the router is not gossipsub")
        self.operation = operation


class ScoringDisabled(PubsubSimError):
    """Score parameters for a host that does not score its peers ("peer scoring is not enabled in router").

    Attributes:
        topic: the topic they were meant for.
    """

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"no score parameters for topic {topic}: peer scoring is not enabled, see GossipsubParams.score"
        )
        self.topic = topic


class MessageTooLarge(PubsubSimError, ValueError):
    """A publish whose RPC would be larger than a stream carries.

    Attributes:
        size_bytes: the encoded size.
        limit_bytes: the maximum message size.
    """

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"message of {size_bytes} bytes is larger than the limit of {limit_bytes} bytes")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class MessageRejected(PubsubSimError):
    """A local publish that did not pass validation.

    Attributes:
        reason: the reference's reason, e.g. "validation failed" (`protocol.validation.Reason`).
        topic: the message's topic.
    """

    def __init__(self, reason: str, topic: str) -> None:
        super().__init__(f"message on {topic} rejected: {reason}")
        self.reason = reason
        self.topic = topic


class HostClosed(PubsubSimError):
    """A call on a host that was closed, or that was closed before the answer came.

    Attributes:
        operation: what was asked for.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(f"{operation}: the host is closed")
        self.operation = operation


class TraceNotKept(PubsubSimError):
    """A look at the trace of a world that keeps none."""

    def __init__(self) -> None:
        super().__init__("this world keeps no trace: make it with World(..., trace=True)")


class UnusableAnswer(PubsubSimError, TypeError):
    """A function that a user gave to a node answered what the node cannot use.

    Attributes:
        answer: what it answered.
        expected: what would have been right, as words.
    """

    def __init__(self, answer: object, expected: str) -> None:
        super().__init__(f"expected {expected}, got {answer!r}")
        self.answer = answer
        self.expected = expected


class PendingIgnored(PubsubSimError):
    """A driver took no notice of a `Pending`, so that a message and the rest of its RPC were lost.

    Attributes:
        topic: the message's topic.
        message_id: its id.
    """

    def __init__(self, topic: str, message_id: bytes) -> None:
        super().__init__(
            f"the driver neither resumed nor published what Core.handle_rpc left pending: message "
            f"{message_id.hex()} on {topic}"
        )
        self.topic = topic
        self.message_id = message_id


class TaskCancelled(PubsubSimError):
    """A task of a node was cancelled by somebody who does not own it.

    Attributes:
        owner: whose task it was.
        task: its name.
    """

    def __init__(self, owner: str, task: str) -> None:
        super().__init__(f"{owner}: the task {task!r} was cancelled by somebody who does not own it")
        self.owner = owner
        self.task = task


class TasksRemain(PubsubSimError):
    """Tasks that were cancelled, and did not end within the time limit of a close. They are left alone.

    Attributes:
        owner: whose tasks they are.
        tasks: their names.
        limit_s: the limit, on the loop's clock.
    """

    def __init__(self, owner: str, tasks: list[str], limit_s: float) -> None:
        super().__init__(f"{owner}: not ended within {limit_s:g} s of being cancelled: {', '.join(tasks)}")
        self.owner = owner
        self.tasks = tasks
        self.limit_s = limit_s


class OperationRefused(PubsubSimError):
    """A driver would not run an operation (a vetoed mutation, a full queue).

    Attributes:
        operation: its name.
        why: the driver's reason, as words.
    """

    def __init__(self, operation: str, why: str) -> None:
        super().__init__(f"{operation} refused: {why}")
        self.operation = operation
        self.why = why


# --- the remote peer's fault -------------------------------------------------------------------------------------


class MalformedFrame(PubsubSimError):
    """Bytes from a peer that are no RPC.

    Attributes:
        size_bytes: length of the frame.
        why: the decoder's reason.
    """

    def __init__(self, size_bytes: int, why: str) -> None:
        super().__init__(f"frame of {size_bytes} bytes is no pubsub RPC: {why}")
        self.size_bytes = size_bytes
        self.why = why


class FrameTooLarge(PubsubSimError):
    """A frame longer than the reader's limit.

    Attributes:
        size_bytes: announced length.
        limit_bytes: the limit.
    """

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"frame of {size_bytes} bytes is larger than the limit of {limit_bytes} bytes")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class TooManySubscriptions(PubsubSimError):
    """An RPC with more subscriptions than the filter lets pass ("too many subscriptions" in go-libp2p-pubsub).

    Attributes:
        count: subscriptions in the RPC.
        limit: the limit.
    """

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"too many subscriptions: {count} in one RPC, the limit is {limit}")
        self.count = count
        self.limit = limit


# --- the network's fault -----------------------------------------------------------------------------------------


class DialError(PubsubSimError):
    """A peer that could not be reached.

    Attributes:
        peer: text form of its id.
        why: the reason, as words.
    """

    def __init__(self, peer: str, why: str) -> None:
        super().__init__(f"cannot reach {peer}: {why}")
        self.peer = peer
        self.why = why


class ListenError(PubsubSimError):
    """An address at which a host cannot listen.

    Attributes:
        address: its text form.
        why: the reason, as words.
    """

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")
        self.address = address
        self.why = why


class DialledItself(DialError):
    """A host dialled its own id ("dial to self attempted" in go-libp2p)."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "that is the dialling host itself")


class StreamRefused(PubsubSimError):
    """The remote speaks none of the offered protocols, or is not connected.

    Attributes:
        peer: text form of its id.
        why: the reason, as words.
    """

    def __init__(self, peer: str, why: str) -> None:
        super().__init__(f"no stream to {peer}: {why}")
        self.peer = peer
        self.why = why


class Deadlock(PubsubSimError):
    """On the virtual clock, the program waits for what will never happen.

    Attributes:
        why: how that is known, as words.
        tasks: one line per task that is still waiting, and where, the program's main task first.
    """

    def __init__(self, why: str, tasks: list[str]) -> None:
        counted = Counter(tasks)
        lines = [line if count == 1 else f"{count} times {line}" for line, count in counted.items()]
        more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
        super().__init__(f"{why}; waiting: " + ("; ".join(lines[:_MOST_LINES] + more) or "no task"))
        self.why = why
        self.tasks = tasks


class NeverQuiet(PubsubSimError):
    """A world that should come to rest has not.

    Attributes:
        limit_s: how long it was given, on its clock.
        busy: who still has something to do, as words.
    """

    def __init__(self, limit_s: float, busy: list[str]) -> None:
        super().__init__(f"not quiet after {limit_s:g} s, busy: {', '.join(busy)}")
        self.limit_s = limit_s
        self.busy = busy


class NoOutsideWorld(PubsubSimError, RuntimeError):
    """A call out of the program on the virtual clock.

    Attributes:
        what: what was asked for, as words.
        why: why it cannot be, as words.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"a virtual loop has no {what}: {why}")
        self.what = what
        self.why = why


# --- a run's fault -----------------------------------------------------------------------------------------------


class ScenarioFailure(PubsubSimError):
    """A scenario did not do what it promises: a wrong payload, a missing registration, unequal work.

    Attributes:
        phase: where.
        why: what was expected and what was seen.
    """

    def __init__(self, phase: str, why: str) -> None:
        super().__init__(f"{phase}: {why}")
        self.phase = phase
        self.why = why
