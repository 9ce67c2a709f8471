"""Policies, validators and their verdicts (go-libp2p-pubsub `validation.go`).

Pure rules; the scheduling of validation is in `node.validation_queue`.
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
from pubsub_sim.wire.sealed import as_message
from pubsub_sim.wire.signing import SignPolicy, is_signature_valid

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage
    from pubsub_sim.wire.sealed import ReadableMessage

_log = logging.getLogger("pubsub_sim.validation")


class Reason(enum.StrEnum):
    """The reasons for refusing a message, as in the reference."""

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
    """The result of a validator; True means ACCEPT, False REJECT.

    The values are those of the reference's `ValidationResult`, but a verdict is not a number; only ACCEPT is true.
    """

    ACCEPT = 0
    REJECT = 1
    IGNORE = 2

    def __bool__(self) -> bool:
        return self is Verdict.ACCEPT


DEFAULT = "(default)"
"""The topic of default validators in errors."""

ValidatorFunction = Callable[["PeerId", "Message"], "Verdict | bool | Awaitable[Verdict | bool]"]


@dataclass(kw_only=True)
class Validator:
    """One registered validator.

    Attributes:
        topic: its topic; DEFAULT for all topics.
        function: called with the sending peer and the message; may be a coroutine function.
        inline: run by the worker that checks the message, before other validators, instead of in a separate task.
        timeout_s: timeout of a coroutine function; None for no limit.
        concurrency: maximal number of concurrent runs; more are throttled. No effect if inline, as in the reference.
        running: number of current runs.
        is_coroutine: whether the function is asynchronous: a coroutine function, or an object whose `__call__` is one.
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
        call = getattr(self.function, "__call__", None)  # noqa: B004 - the method itself is needed
        self.is_coroutine = iscoroutinefunction(self.function) or iscoroutinefunction(call)


def verdict_of(answer: object) -> Verdict:
    """Return the verdict for a validator's result; anything unexpected is logged and becomes IGNORE, as in the reference.

    Numbers are unexpected: 0 is ACCEPT in the reference, but false in Python.
    """
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, bool) or is_numpy_bool(answer):
        return Verdict.ACCEPT if answer else Verdict.REJECT
    _log.warning("a validator returned %.200r; the message is ignored: expected a Verdict or a bool", answer)
    return Verdict.IGNORE


class Conclusion:
    """The combined verdict of several validators on one message: a rejection takes precedence, then a throttle, then IGNORE.

    A throttled validator might have rejected, hence its precedence. Source: go-libp2p-pubsub `doValidateTopic`.
    """

    __slots__ = ("_is_ignored", "_is_throttled", "is_rejected")

    def __init__(self) -> None:
        self.is_rejected = False
        self._is_throttled = False
        self._is_ignored = False

    def add(self, verdict: Verdict) -> None:
        """Add a validator's verdict."""
        if verdict is Verdict.REJECT:
            self.is_rejected = True
        elif verdict is Verdict.IGNORE:
            self._is_ignored = True

    def add_throttled(self) -> None:
        """Add a validator that could not run because of its concurrency limit."""
        self._is_throttled = True

    @property
    def refusal(self) -> Reason | None:
        """The reason for refusing the message; None if it is accepted."""
        if self.is_rejected:
            return Reason.FAILED
        if self._is_throttled:
            return Reason.THROTTLED
        return Reason.IGNORED if self._is_ignored else None


class Validators:
    """Default validators, and at most one validator per topic.

    Args:
        defaults: validators of all topics, run before a topic's own; copied, so that hosts do not share throttles.

    Attributes:
        defaults: the validators of a topic without its own.
        by_topic: the defaults and the topic's own validator, by topic; changed by `add` and `remove` only.
    """

    def __init__(self, defaults: Iterable[Validator] = ()) -> None:
        self.defaults = tuple(replace(validator, running=0) for validator in defaults)
        self.by_topic: dict[str, tuple[Validator, ...]] = {}

    def add(self, validator: Validator) -> None:
        """Register a validator. Raises ValidatorExists."""
        if validator.topic in self.by_topic:
            raise ValidatorExists(validator.topic)
        self.by_topic[validator.topic] = (*self.defaults, validator)

    def remove(self, topic: str, only: Validator | None = None) -> None:
        """Remove the validator of a topic, unless it differs from `only`. Raises NoValidator."""
        if topic not in self.by_topic:
            raise NoValidator(topic)
        if only is None or self.by_topic[topic][-1] is only:
            del self.by_topic[topic]

    def of(self, topic: str) -> Sequence[Validator]:
        """Return all validators of a topic, in order."""
        return self.by_topic.get(topic, self.defaults)


def policy_check(policy: SignPolicy, *, has_author: bool) -> Callable[[ReadableMessage], Reason | None]:
    """Return the check of a message, received or to be published, against the signature policy.

    Args:
        policy: the host's policy.
        has_author: whether the host signs with an author id.

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
    """Return the reason for refusing a message with a wrong signature; None if it is valid or missing."""
    if message.signature and not is_signature_valid(message):
        return Reason.INVALID_SIGNATURE
    return None


def refused_by_sealed_signature(message: ReadableMessage) -> Reason | None:
    """Return the reason for refusing a message, sealed or not, with a wrong signature; None if it is valid or missing."""
    return refused_by_signature(as_message(message)) if message.signature else None
