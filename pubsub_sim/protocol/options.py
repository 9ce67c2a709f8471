"""Non-numeric options of a host: its author, policies, filters, validators and message ids.

The defaults are those of go-libp2p-pubsub (May 2024). Unused options have no run-time cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_bool
from pubsub_sim.errors import OptionConflict
from pubsub_sim.protocol.seen import SeenStrategy
from pubsub_sim.protocol.seqno_validator import SeqnoValidator
from pubsub_sim.wire.signing import SignPolicy

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.blacklist import Blacklist
    from pubsub_sim.protocol.subscription_filter import SubscriptionFilter
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.protocol.validation import Validator
    from pubsub_sim.wire.rpc_pb2 import RPC
    from pubsub_sim.wire.rpc_pb2 import Message as WireMessage

MessageId = Callable[["WireMessage"], bytes]
"""Returns the id of a message; equal ids are duplicates."""
InspectRPC = Callable[["PeerId", "RPC"], bool]
"""Returns whether to handle an RPC; called before anything else, including tracers."""

_UNSIGNED = {SignPolicy.STRICT: SignPolicy.STRICT_NO_SIGN, SignPolicy.LAX: SignPolicy.LAX_NO_SIGN}


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """Non-numeric options of one host. Stateful objects (blacklist, validators) belong to one host.

    Errors of their code, including CancelledError, do not end the host. They are raised to a waiting caller: one that
    publishes, joins, or blacklists a peer. Otherwise the input of the peer is dropped or refused;
    `PubSub.foreign_errors` counts the errors, and the logger "pubsub_sim.foreign" logs the first of each kind.

    Attributes:
        policy: signature policy; None for the world's.
        author: author of its messages; None for the host itself.
        has_author: False omits author and sequence number from messages, and signs nothing ("no author"); requires
            another `message_id`.
        message_id: message id function other than author and sequence number.
        subscription_filter: which topics may be joined, and which subscriptions of peers are stored.
        blacklist: refused peers; peers blacklisted through the host are added to it.
        default_validators: validators of all topics, called before a topic's own, in this order.
        inspect_rpc: called with every RPC first, and may drop it.
        tracers: raw tracers; not called for messages of the host itself, as in the reference.
        seen_strategy: whether the first or the last sight of a message starts its time in the seen cache.

    Raises:
        OptionError: `has_author` is not true or false.
        OptionConflict: an author is both named and left out; messages without an author are to be signed, are told apart
            by author and sequence number, or are judged by it.
    """

    policy: SignPolicy | None = None
    author: PeerId | None = None
    has_author: bool = True
    message_id: MessageId | None = None
    subscription_filter: SubscriptionFilter | None = None
    blacklist: Blacklist | None = None
    default_validators: tuple[Validator, ...] = ()
    inspect_rpc: InspectRPC | None = None
    tracers: tuple[RawTracer, ...] = ()
    seen_strategy: SeenStrategy = SeenStrategy.FIRST_SEEN

    def __post_init__(self) -> None:
        check_bool("has_author", self.has_author)
        if not self.has_author:
            self._check_anonymous()

    def _check_anonymous(self) -> None:
        if self.author is not None:
            raise self._needs_author("author", self.author, "messages name no author")
        if self.policy is not None and self.policy.signs:
            raise self._needs_author("policy", self.policy, "only an author signs")
        if self.message_id is None:
            raise self._needs_author(
                "message_id", None, "all messages would have the same id; give a function of the content"
            )
        for validator in self.default_validators:
            if isinstance(validator.function, SeqnoValidator):
                raise self._needs_author("default_validators", validator.function, "messages have no sequence numbers")

    def _needs_author(self, option: str, value: object, why: str) -> OptionConflict:
        return OptionConflict(option, value, "has_author", self.has_author, why)

    def policy_in(self, worlds: SignPolicy) -> SignPolicy:
        """Return the effective policy: the host's or the world's, without signing if there is no author."""
        policy = self.policy or worlds
        return policy if self.has_author else _UNSIGNED.get(policy, policy)

    def author_of(self, host: PeerId, policy: SignPolicy) -> PeerId | None:
        """Return the author of the messages of `host`; None without an author.

        Raises:
            OptionConflict: they are to be signed, and the author's key is not the host's.
        """
        if not self.has_author:
            return None
        if self.author is None or self.author == host:
            return host
        if policy.signs:
            raise OptionConflict("author", self.author, "policy", policy, "the host has no private key of this author")
        return self.author
