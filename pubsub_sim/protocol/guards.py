"""Guards around user code of a host, each with a default result for errors in that code.

See `pubsub_sim.foreign` for the rules. If the code fails on a peer, the guard decides against that peer: its input is
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
    """Return the guarded function, which drops an RPC on an error."""
    return foreign.guard("inspection of RPCs", inspect, is_true, False, "the RPC is dropped")


def guarded_peer_filter(peer_filter: PeerFilter, foreign: ForeignCode) -> PeerFilter:
    """Return the guarded filter, which excludes a peer on an error."""
    return foreign.guard("peer filter", peer_filter, is_true, False, "the peer is excluded")


def guarded_score(score: Callable[[PeerId], float], foreign: ForeignCode) -> Callable[[PeerId], float]:
    """Return the guarded score, which is 0 on an error."""
    return foreign.guard("application's score", score, _finite, 0.0, "the peer's score is 0")


class GuardedTracer(RawTracer):
    """A wrapper of a tracer that catches its errors; it has the hooks that the tracer overrides.

    Args:
        tracer: the tracer.
        foreign: counts its errors.
    """

    def __init__(self, tracer: RawTracer, foreign: ForeignCode) -> None:
        for hook in HOOKS:
            if overrides(tracer, hook):
                call = foreign.guard("tracer", getattr(tracer, hook), nothing, None, "the event is not traced")
                setattr(self, hook, call)


class _Guarded(Generic[Inner, Answer]):
    """A wrapper of a user's object that decides about peers and is also called by users.

    Args:
        inner: the object.
        foreign: counts its errors.
        kind: its kind, for the log.
        decide: its method that decides about a peer.
        check: converts the decision for the core, or raises.
        answer: the decision on an error.
        instead: a description of that decision.
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
        """Call a method on behalf of a waiting user, to whom its errors are raised (see `foreign.ask`)."""
        return ask(what, method, is_true, *args)


class GuardedFilter(_Guarded["SubscriptionFilter", "list[RPC.SubOpts] | None"]):
    """A user's subscription filter, guarded. On an error the RPC is dropped.

    Args:
        inner: the filter.
        foreign: counts its errors.
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
        """Return whether the host may join a topic; errors of the filter are raised."""
        return self._ask("join", self._inner.can_subscribe, topic)

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts] | None:
        """Return the subscriptions to store; None if the RPC must be dropped."""
        return self._decide(peer, subscriptions)

    def _filter(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> Any:
        try:
            return self._inner.filter_incoming(peer, subscriptions)
        except TooManySubscriptions as refusal:  # a valid answer, not a failure
            return refusal


class GuardedBlacklist(_Guarded["Blacklist", bool]):
    """A user's blacklist, guarded. On an error the peer counts as blacklisted.

    Args:
        inner: the blacklist.
        foreign: counts its errors.
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
        """Blacklist a peer; errors of the list are raised."""
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
