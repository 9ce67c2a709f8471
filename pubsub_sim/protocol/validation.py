"""Policies, validators and their verdicts (go-libp2p-pubsub `validation.go`).

Pure rules: when a message is checked, and where its validators run, is `node.validation_queue`'s affair.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_bool, check_topic, is_numpy_bool
from pubsub_sim.errors import NoValidator, OptionError, ValidatorExists
from pubsub_sim.wire.signing import SignPolicy, is_signature_valid

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
    from pubsub_sim.wire.sealed import ReadableMessage

_log = logging.getLogger("pubsub_sim.validation")


class Reason(enum.StrEnum):
    """Why a message is refused: the reference's strings."""

    BLACKLISTED_PEER = "blacklisted peer"
    BLACKLISTED_SOURCE = "blacklisted source"
    MISSING_SIGNATURE = "missing signature"
    UNEXPECTED_SIGNATURE = "unexpected signature"
    UNEXPECTED_AUTH_INFO = "unexpected auth info"
    INVALID_SIGNATURE = "invalid signature"
    QUEUE_FULL = "validation queue full"
    THROTTLED = "validation throttled"
    FAILED = "validation failed"
    IGNORED = "validation ignored"
    SELF_ORIGIN = "self originated message"


class Verdict(enum.Enum):
    """What a validator says; True means ACCEPT, False REJECT.

    The values are those of the reference's `ValidationResult`, but a verdict is no number: as a truth value, ACCEPT alone is
    true.
    """

    ACCEPT = 0
    REJECT = 1
    IGNORE = 2

    def __bool__(self) -> bool:
        return self is Verdict.ACCEPT


DEFAULT = "(default)"
"""The topic of a validator of all topics, as errors name it."""

ValidatorFunction = Callable[["PeerId", "Message"], "Verdict | bool | Awaitable[Verdict | bool]"]


@dataclass(kw_only=True)
class Validator:
    """One registered validator.

    Attributes:
        topic: its topic; DEFAULT for all topics.
        function: called with the sending peer and the message; may be a coroutine function.
        inline: run by the worker that checks the message, before all that are not, and not in a task of its own.
        timeout_s: longest run of a coroutine function; None for no limit.
        concurrency: runs under way at once; more are throttled. Inline validators are not, as in the reference.
        running: runs under way.
        is_coroutine: whether the function takes time; a coroutine function, or an object whose call is one.
    """

    function: ValidatorFunction
    topic: str = DEFAULT
    inline: bool = False
    timeout_s: float | None = None
    concurrency: int = 1024
    running: int = 0
    is_coroutine: bool = field(init=False)

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise OptionError("validator", self.function, f"a function for topic {self.topic}")
        check_topic("topic", self.topic)
        check_bool("inline", self.inline)
        if isinstance(self.timeout_s, bool) or not isinstance(self.timeout_s, int | float | None):
            raise OptionError("timeout_s", self.timeout_s, "a number of seconds greater than 0, or None")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise OptionError("timeout_s", self.timeout_s, "a number of seconds greater than 0, or None")
        if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise OptionError("concurrency", self.concurrency, "a whole number of at least 1")
        call = getattr(self.function, "__call__", None)  # noqa: B004 - not whether it has one, but which
        self.is_coroutine = iscoroutinefunction(self.function) or iscoroutinefunction(call)


def verdict_of(answer: object) -> Verdict:
    """Read a validator's answer; anything unexpected counts as IGNORE and is logged, as in the reference.

    A number is unexpected: 0 is the reference's ACCEPT, and false to Python.
    """
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, bool) or is_numpy_bool(answer):
        return Verdict.ACCEPT if answer else Verdict.REJECT
    _log.warning("a validator answered %.200r; the message is ignored: expected a Verdict, or true or false", answer)
    return Verdict.IGNORE


class Conclusion:
    """What several validators' verdicts on one message come to: a rejection wins, then a throttle, then IGNORE.

    A throttled validator might have rejected, hence its place. Source: go-libp2p-pubsub `doValidateTopic`.
    """

    __slots__ = ("_is_ignored", "_is_throttled", "is_rejected")

    def __init__(self) -> None:
        self.is_rejected = False
        self._is_throttled = False
        self._is_ignored = False

    def add(self, verdict: Verdict) -> None:
        """One validator's verdict."""
        if verdict is Verdict.REJECT:
            self.is_rejected = True
        elif verdict is Verdict.IGNORE:
            self._is_ignored = True

    def add_throttled(self) -> None:
        """One validator could not run: too many of its runs are under way."""
        self._is_throttled = True

    @property
    def refusal(self) -> Reason | None:
        """Why the message is refused; None if it is accepted."""
        if self.is_rejected:
            return Reason.FAILED
        if self._is_throttled:
            return Reason.THROTTLED
        return Reason.IGNORED if self._is_ignored else None


class Validators:
    """Default validators, and at most one validator per topic.

    Args:
        defaults: judge all topics, before a topic's own; copied, so that hosts share no throttle.

    Attributes:
        defaults: the validators of a topic that has none of its own.
        by_topic: topic -> the defaults and its own; changed by `add` and `remove` only.
    """

    def __init__(self, defaults: Iterable[Validator] = ()) -> None:
        self.defaults = tuple(replace(validator, running=0) for validator in defaults)
        self.by_topic: dict[str, tuple[Validator, ...]] = {}

    def add(self, validator: Validator) -> None:
        """Register; raises ValidatorExists."""
        if validator.topic in self.by_topic:
            raise ValidatorExists(validator.topic)
        self.by_topic[validator.topic] = (*self.defaults, validator)

    def remove(self, topic: str, only: Validator | None = None) -> None:
        """Forget the validator of a topic; nothing happens if it is not the one named by `only`. Raises NoValidator."""
        if topic not in self.by_topic:
            raise NoValidator(topic)
        if only is None or self.by_topic[topic][-1] is only:
            del self.by_topic[topic]

    def of(self, topic: str) -> Sequence[Validator]:
        """All validators of a topic, in order."""
        return self.by_topic.get(topic, self.defaults)


def policy_check(policy: SignPolicy, *, has_author: bool) -> Callable[[ReadableMessage], Reason | None]:
    """What tells whether the signature policy refuses a message before it is looked at, received or about to be published.

    Args:
        policy: ours.
        has_author: whether we sign with an author id at all.

    Source: go-libp2p-pubsub `checkSigningPolicy`.
    """
    if not policy.verifies:
        return _refuse_nothing
    if policy.signs:
        return _refuse_unsigned
    return _refuse_signed if has_author else _refuse_signed_or_known


def _refuse_nothing(message: ReadableMessage) -> Reason | None:
    return None


def _refuse_unsigned(message: ReadableMessage) -> Reason | None:
    return None if message.signature else Reason.MISSING_SIGNATURE


def _refuse_signed(message: ReadableMessage) -> Reason | None:
    return Reason.UNEXPECTED_SIGNATURE if message.signature else None


def _refuse_signed_or_known(message: ReadableMessage) -> Reason | None:
    if message.signature:
        return Reason.UNEXPECTED_SIGNATURE
    return Reason.UNEXPECTED_AUTH_INFO if message.seqno or message.author or message.key else None


def refused_by_signature(message: WireMessage) -> Reason | None:
    """Whether a signature is there and wrong."""
    if message.signature and not is_signature_valid(message):
        return Reason.INVALID_SIGNATURE
    return None
