"""The errors of the pubsub simulator, as a tree: one base, and below it one branch for each party at fault.

- `CallerError`: the calling program gave a wrong option or used the package wrongly.
- `RemotePeerError`: a peer violated the protocol.
- `NetworkError`: a peer cannot be reached.
- `DataError`: stored runs or results cannot be read, written or compared.
- `RunError`: a run did not end as expected.

One class per kind of failure. Each has its facts as attributes and composes its own message.
A rejected message is `MessageRejected`, raised to the publisher only: for received messages, rejection is a result.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

_MOST_LINES = 20  # of waiting tasks in one sentence
_LONGEST_VALUE = 1000  # of a value in a sentence, in characters


class PubsubSimError(Exception):
    """Base of every error this package raises. All can be copied and pickled, as workers of a sweep do."""

    def __reduce__(self) -> tuple[Any, ...]:
        # constructors take facts, not the message: a copy is made of what they have become
        return (_restored, (type(self), self.args), self.__dict__)


def _restored(kind: type[PubsubSimError], args: tuple[Any, ...]) -> PubsubSimError:
    return kind.__new__(kind, *args)


class CallerError(PubsubSimError):
    """Base of errors of the calling program: a wrong option, wrong use, or an error in user code."""


class RemotePeerError(PubsubSimError):
    """Base of errors of a remote peer that violated the protocol."""


class NetworkError(PubsubSimError):
    """Base of errors of the network: a peer cannot be reached."""


class DataError(PubsubSimError):
    """Base of errors of stored data: runs, results and reports that cannot be read, written or compared."""


class RunError(PubsubSimError):
    """Base of errors of a run that hangs, fails or gives a wrong result."""


class _TooLarge(PubsubSimError):
    """A size exceeds its limit.

    Attributes:
        size_bytes: its size, encoded or announced.
        limit_bytes: the limit.
    """

    _what = "object"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{self._what} of {size_bytes} bytes is larger than the limit of {limit_bytes} bytes")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class _NoPeer(NetworkError):
    """A peer cannot be reached, or refuses a stream.

    Attributes:
        peer: text form of its id.
        why: the reason, as text.
    """

    _what = "cannot reach"

    def __init__(self, peer: str, why: str) -> None:
        super().__init__(f"{self._what} {peer}: {why}")
        self.peer = peer
        self.why = why


# --- errors of the caller ----------------------------------------------------------------------------------------


class OptionError(CallerError, ValueError):
    """An option has an invalid value.

    Attributes:
        option: its name.
        value: the given value.
        expected: the expected values, as text.
    """

    def __init__(self, option: str, value: object, expected: str) -> None:
        super().__init__(f"{option}: expected {expected}, got {_shorten(value)}")
        self.option = option
        self.value = value
        self.expected = expected


class OptionConflict(OptionError):
    """Raised when two options have values that are valid separately but not together.

    Attributes:
        option: name of the option to change.
        value: its given value.
        other: name of the option it conflicts with.
        other_value: the value of that option.
        why: the reason, as text.
    """

    def __init__(self, option: str, value: object, other: str, other_value: object, why: str) -> None:
        super().__init__(option, value, f"a value that goes with {other}={_shorten(other_value)}")
        self.other = other
        self.other_value = other_value
        self.why = why

    def __str__(self) -> str:
        return f"{self.option}={_shorten(self.value)} cannot be used with {self.other}={_shorten(self.other_value)}: {self.why}"


class PeerIdError(CallerError, ValueError):
    """Bytes that are not a valid peer id or key.

    Attributes:
        value: the bytes.
        expected: the expected value, as text.
    """

    def __init__(self, value: bytes, expected: str) -> None:
        super().__init__(f"expected {expected}, got {len(value)} bytes: {value[:40].hex()}")
        self.value = value
        self.expected = expected


class TopicError(CallerError):
    """Base of errors that concern one topic.

    Attributes:
        topic: its name.
    """

    _sentence = "wrong use of topic {topic}"

    def __init__(self, topic: str) -> None:
        super().__init__(self._sentence.format(topic=topic))
        self.topic = topic


class TopicExists(TopicError):
    """Raised when a topic is joined that this host has already joined ("topic already exists" in go-libp2p-pubsub)."""

    _sentence = "topic already exists: {topic}"


class TopicNotAllowed(TopicError):
    """Raised when a topic is joined that the host's subscription filter refuses."""

    _sentence = "topic is not allowed by the subscription filter: {topic}"


class TopicClosed(TopicError):
    """Raised when a topic handle is used after its close."""

    _sentence = "this topic is closed, join it again: {topic}"


class TopicInUse(TopicError):
    """Raised when a topic is closed that still has subscriptions, relays or event handlers."""

    _sentence = "cannot close topic: outstanding event handlers or subscriptions: {topic}"


class SubscriptionCancelled(TopicError):
    """Raised by `next` on a subscription that was cancelled and whose buffer is empty."""

    _sentence = "subscription cancelled: {topic}"


class ValidatorExists(TopicError):
    """Raised when a second validator is registered for one topic."""

    _sentence = "duplicate validator for topic {topic}"


class NoValidator(TopicError):
    """Raised when a validator is removed that is not registered."""

    _sentence = "no validator for topic {topic}"


class ScoringDisabled(TopicError):
    """Raised when score parameters are set on a host without peer scoring ("peer scoring is not enabled in router")."""

    _sentence = "no score parameters for topic {topic}: peer scoring is not enabled, see GossipsubParams.score"


class OnlyGossipsub(CallerError):
    """A call that requires a gossipsub host ("pubsub router is not gossipsub" in go-libp2p-pubsub).

    Attributes:
        operation: the requested operation.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(f"{operation}: the router is not gossipsub")
        self.operation = operation


class MessageTooLarge(_TooLarge, CallerError, ValueError):
    """Raised when a host is to send more at once than a stream carries: the RPC of a publish, or any other frame."""

    _what = "message"


class MessageRejected(CallerError):
    """A local publish that was refused by validation.

    Attributes:
        reason: the reference's reason, e.g. "validation failed" (`protocol.validation.Reason`).
        topic: the message's topic.
    """

    def __init__(self, reason: str, topic: str) -> None:
        super().__init__(f"message on {topic} rejected: {reason}")
        self.reason = reason
        self.topic = topic


class HostClosed(CallerError):
    """A call on a host that is closed, or was closed before the answer.

    Attributes:
        operation: the requested operation.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(f"{operation}: the host is closed")
        self.operation = operation


class TraceNotKept(CallerError):
    """An access to the trace of a world made without one."""

    def __init__(self) -> None:
        super().__init__("this world has no trace: create it with World(..., trace=True)")


class UnusableAnswer(CallerError, TypeError):
    """A user function of a node returned an invalid value.

    Attributes:
        answer: the returned value.
        expected: the expected value, as text.
    """

    def __init__(self, answer: object, expected: str) -> None:
        super().__init__(f"expected {expected}, got {answer!r}")
        self.answer = answer
        self.expected = expected


class PendingIgnored(CallerError):
    """A driver ignored a `Pending`, so that a message and the rest of its RPC were lost.

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


class TaskCancelled(CallerError):
    """A task of a node was cancelled, but not by its owner.

    Attributes:
        owner: the owner of the task.
        task: its name.
    """

    def __init__(self, owner: str, task: str) -> None:
        super().__init__(f"{owner}: the task {task!r} was cancelled, but not by its owner")
        self.owner = owner
        self.task = task


class OperationRefused(CallerError):
    """A driver refused an operation (a vetoed mutation, a full queue).

    Attributes:
        operation: its name.
        why: the driver's reason, as text.
    """

    def __init__(self, operation: str, why: str) -> None:
        super().__init__(f"{operation} refused: {why}")
        self.operation = operation
        self.why = why


class NoOutsideWorld(CallerError, RuntimeError):
    """A call on the virtual clock that needs the outside world.

    Attributes:
        what: the requested feature, as text.
        why: why it is impossible, as text.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"a virtual loop has no {what}: {why}")
        self.what = what
        self.why = why


# --- errors of a remote peer -------------------------------------------------------------------------------------


class MalformedFrame(RemotePeerError):
    """Bytes from a peer that are not an RPC.

    Attributes:
        size_bytes: length of the frame.
        why: the decoder's reason.
    """

    def __init__(self, size_bytes: int, why: str) -> None:
        super().__init__(f"frame of {size_bytes} bytes is not a pubsub RPC: {why}")
        self.size_bytes = size_bytes
        self.why = why


class FrameTooLarge(_TooLarge, RemotePeerError):
    """Raised when a peer sends, or announces, a longer frame than is read of it."""

    _what = "frame"


class TooManySubscriptions(RemotePeerError):
    """An RPC with more subscriptions than the filter allows ("too many subscriptions" in go-libp2p-pubsub).

    Attributes:
        count: subscriptions in the RPC.
        limit: the limit.
    """

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"too many subscriptions: {count} in one RPC, the limit is {limit}")
        self.count = count
        self.limit = limit


# --- errors of the network ---------------------------------------------------------------------------------------


class DialError(_NoPeer):
    """Raised when a peer could not be reached."""


class ListenError(NetworkError):
    """An address at which a host cannot listen.

    Attributes:
        address: its text form.
        why: the reason, as text.
    """

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}")
        self.address = address
        self.why = why


class DialledItself(DialError):
    """A host dialled its own id ("dial to self attempted" in go-libp2p)."""

    def __init__(self, peer: str) -> None:
        super().__init__(peer, "that is the dialling host itself")


class StreamRefused(_NoPeer):
    """Raised when the remote supports none of the offered protocols, or is not connected."""

    _what = "no stream to"


# --- errors of a run ---------------------------------------------------------------------------------------------


class ScenarioFailure(RunError):
    """A scenario gave a wrong result: a wrong payload, a missing registration, unequal work.

    Attributes:
        phase: the phase.
        why: the expected and the observed result.
    """

    def __init__(self, phase: str, why: str) -> None:
        super().__init__(f"{phase}: {why}")
        self.phase = phase
        self.why = why


class Deadlock(RunError):
    """A deadlock of the program on the virtual clock.

    Attributes:
        why: how it was detected, as text.
        tasks: a line per waiting task with its location, the program's main task first.
    """

    def __init__(self, why: str, tasks: list[str]) -> None:
        counted = Counter(tasks)
        lines = [line if count == 1 else f"{count} times {line}" for line, count in counted.items()]
        more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
        super().__init__(f"{why}; waiting: " + ("; ".join(lines[:_MOST_LINES] + more) or "no task"))
        self.why = why
        self.tasks = tasks


class NeverQuiet(RunError):
    """A world did not become quiet in time.

    Attributes:
        limit_s: the time limit, on its clock.
        busy: the busy parts, as text.
    """

    def __init__(self, limit_s: float, busy: list[str]) -> None:
        super().__init__(f"not quiet after {limit_s:g} s, busy: {', '.join(busy)}")
        self.limit_s = limit_s
        self.busy = busy


class TasksRemain(RunError):
    """Tasks that were cancelled but did not end within the time limit of a close. They are abandoned.

    Attributes:
        owner: the owner of the tasks.
        tasks: their names.
        limit_s: the limit, on the loop's clock.
    """

    def __init__(self, owner: str, tasks: list[str], limit_s: float) -> None:
        super().__init__(f"{owner}: not ended within {limit_s:g} s of being cancelled: {', '.join(tasks)}")
        self.owner = owner
        self.tasks = tasks
        self.limit_s = limit_s


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}... ({len(shown)} characters)"
