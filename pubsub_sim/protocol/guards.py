"""Guards around code that users give to a host: each has an answer for the case that this code fails.

See `pubsub_sim.foreign` for the rules. If the code fails on a peer, the guard decides against that peer: what it sent is
dropped, or it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pubsub_sim.errors import TooManySubscriptions, UnusableAnswer
from pubsub_sim.foreign import ForeignCode, ask, at_once, is_true, nothing
from pubsub_sim.protocol.tracing import HOOKS, RawTracer, overrides
from pubsub_sim.wire.rpc_pb2 import RPC

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.blacklist import Blacklist
    from pubsub_sim.protocol.gossip_peers import PeerFilter
    from pubsub_sim.protocol.options import InspectRPC
    from pubsub_sim.protocol.subscription_filter import SubscriptionFilter

Inner = TypeVar("Inner")
Answer = TypeVar("Answer")


def guarded_inspection(inspect: InspectRPC, foreign: ForeignCode) -> InspectRPC:
    """An RPC that cannot be looked at is dropped."""
    return foreign.guard("inspection of RPCs", inspect, is_true, False, "the RPC is dropped")


def guarded_peer_filter(peer_filter: PeerFilter, foreign: ForeignCode) -> PeerFilter:
    """A peer on which the filter fails does not take part."""
    return foreign.guard("peer filter", peer_filter, is_true, False, "the peer is left out")


def guarded_score(score: Callable[[PeerId], float], foreign: ForeignCode) -> Callable[[PeerId], float]:
    """A peer that cannot be scored has no score of the application's."""
    return foreign.guard("application's score", score, _finite, 0.0, "the peer's is 0")


class GuardedTracer(RawTracer):
    """Another tracer, of which errors are of no consequence; has the hooks that the other one overrides.

    Args:
        tracer: the other one.
        foreign: keeps account of its errors.
    """

    def __init__(self, tracer: RawTracer, foreign: ForeignCode) -> None:
        for hook in HOOKS:
            if overrides(tracer, hook):
                call = foreign.guard("tracer", getattr(tracer, hook), nothing, None, "it is not told of this")
                setattr(self, hook, call)


class _Guarded(Generic[Inner, Answer]):
    """An object of the user's that decides about peers, and that users may ask too.

    Args:
        inner: the object.
        foreign: keeps account of its errors.
        kind: what it is, as the log names it.
        decide: asks it about a peer.
        check: gives the decision as the core wants it, or raises.
        answer: the decision if it fails.
        instead: what that means, as words.
    """

    def __init__(
        self,
        inner: Inner,
        foreign: ForeignCode,
        kind: str,
        *,
        decide: Callable[..., Any],
        check: Callable[[Any], Answer],
        answer: Answer,
        instead: str,
    ) -> None:
        self._inner = inner
        self._decide = foreign.guard(kind, decide, check, answer, instead)

    def _ask(self, what: str, method: Callable[..., Any], *args: Any) -> bool:
        """Call a method for a user who waits for its answer; raises what it raises (see `foreign.ask`)."""
        return ask(what, method, is_true, *args)


class GuardedFilter(_Guarded["SubscriptionFilter", "list[RPC.SubOpts] | None"]):
    """A user's subscription filter. An RPC on whose subscriptions it fails is dropped.

    Args:
        inner: the filter.
        foreign: keeps account of its errors.
    """

    def __init__(self, inner: SubscriptionFilter, foreign: ForeignCode) -> None:
        super().__init__(
            inner,
            foreign,
            "subscription filter",
            decide=self._filter,
            check=_check_kept,
            answer=None,
            instead="the RPC with the subscriptions is dropped",
        )

    def can_subscribe(self, topic: str) -> bool:
        """Whether we may join a topic; raises what the filter raises."""
        return self._ask("join", self._inner.can_subscribe, topic)

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts] | None:
        """Give the subscriptions to note; None if the RPC is to be dropped."""
        return self._decide(peer, subscriptions)

    def _filter(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> Any:
        try:
            return self._inner.filter_incoming(peer, subscriptions)
        except TooManySubscriptions as refusal:  # an answer, and no failure
            return refusal


class GuardedBlacklist(_Guarded["Blacklist", bool]):
    """A user's blacklist. A peer on which it fails counts as blacklisted.

    Args:
        inner: the blacklist.
        foreign: keeps account of its errors.
    """

    def __init__(self, inner: Blacklist, foreign: ForeignCode) -> None:
        super().__init__(
            inner,
            foreign,
            "blacklist",
            decide=lambda peer: peer in inner,
            check=bool,
            answer=True,
            instead="the peer counts as blacklisted",
        )

    def add(self, peer: PeerId, /) -> bool:
        """Blacklist a peer; raises what the list raises."""
        return self._ask("blacklist", self._inner.add, peer)

    def __contains__(self, peer: object, /) -> bool:
        return self._decide(peer)

    def __len__(self) -> int:
        return len(self._inner)


def _check_kept(answer: Any) -> list[RPC.SubOpts] | None:
    if isinstance(answer, TooManySubscriptions):
        return None
    kept = list(at_once(answer, "a list of subscriptions"))
    for option in kept:
        if not isinstance(option, RPC.SubOpts):
            raise UnusableAnswer(option, "subscriptions of the RPC")
    return kept


def _finite(answer: Any) -> float:
    score = float(at_once(answer, "a finite number"))
    if not math.isfinite(score):
        raise UnusableAnswer(answer, "a finite number")
    return score
