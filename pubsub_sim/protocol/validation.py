"""Is this message acceptable? Policies, validators and their verdicts (go-libp2p-pubsub `validation.go`).

Decides; whoever owns the workers runs the asynchronous validators and brings their verdicts back.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.errors import NoValidator, OptionError, ValidatorExists
from pubsub_sim.wire.signing import SignPolicy, is_signature_valid

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage


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


class Verdict(enum.IntEnum):
    """What a validator says; True means ACCEPT, False REJECT."""

    ACCEPT = 0
    REJECT = 1
    IGNORE = 2


ValidatorFunction = Callable[["PeerId", "Message"], "Verdict | bool | Awaitable[Verdict | bool]"]


@dataclass(kw_only=True)
class Validator:
    """One registered validator.

    Attributes:
        topic: its topic.
        function: called with the sending peer and the message; may be a coroutine function unless `inline`.
        inline: run where the message is checked and not in a task of its own.
        timeout_s: longest run of an asynchronous validator; None for no limit.
        concurrency: runs under way at once; more are throttled.
        running: runs under way.
    """

    topic: str
    function: ValidatorFunction
    inline: bool = False
    timeout_s: float | None = None
    concurrency: int = 1024
    running: int = 0

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise OptionError("validator", self.function, f"a function for topic {self.topic}")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise OptionError("timeout_s", self.timeout_s, "a number of seconds greater than 0, or None")
        if isinstance(self.concurrency, bool) or not isinstance(self.concurrency, int) or self.concurrency < 1:
            raise OptionError("concurrency", self.concurrency, "a whole number of at least 1")


def verdict_of(answer: object) -> Verdict:
    """Read a validator's answer; anything unexpected counts as IGNORE, as in the reference."""
    if isinstance(answer, bool):
        return Verdict.ACCEPT if answer else Verdict.REJECT
    try:
        return Verdict(answer)  # type: ignore[arg-type] # the constructor is the check
    except ValueError:
        return Verdict.IGNORE


class Validators:
    """At most one validator per topic."""

    def __init__(self) -> None:
        self._by_topic: dict[str, Validator] = {}

    def add(self, validator: Validator) -> None:
        """Register; raises ValidatorExists."""
        if validator.topic in self._by_topic:
            raise ValidatorExists(validator.topic)
        self._by_topic[validator.topic] = validator

    def remove(self, topic: str) -> None:
        """Forget; raises NoValidator."""
        if self._by_topic.pop(topic, None) is None:
            raise NoValidator(topic)

    def of(self, topic: str) -> Validator | None:
        """The validator of a topic."""
        return self._by_topic.get(topic)


def refused_by_policy(policy: SignPolicy, message: WireMessage, *, has_author: bool) -> Reason | None:
    """Whether the signature policy refuses a message before it is looked at.

    Args:
        policy: ours.
        message: as received or about to be published.
        has_author: whether we sign with an author id at all.

    Source: go-libp2p-pubsub `checkSigningPolicy`.
    """
    if not policy.verifies:
        return None
    is_signed = bool(message.signature)
    if policy.signs:
        return None if is_signed else Reason.MISSING_SIGNATURE
    if is_signed:
        return Reason.UNEXPECTED_SIGNATURE
    if not has_author and (message.seqno or message.author or message.key):
        return Reason.UNEXPECTED_AUTH_INFO
    return None


def refused_by_signature(message: WireMessage) -> Reason | None:
    """Whether a signature is there and wrong."""
    if message.signature and not is_signature_valid(message):
        return Reason.INVALID_SIGNATURE
    return None
