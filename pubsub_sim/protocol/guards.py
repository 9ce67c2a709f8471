"""Guards around code that users give to a host: each has an answer for the case that this code fails.

See `pubsub_sim.foreign` for the rules. A guard decides against a peer: what cannot be judged is dropped or refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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


def guarded_inspection(inspect: InspectRPC, foreign: ForeignCode) -> InspectRPC:
    """An RPC that cannot be looked at is dropped."""
    return foreign.guard("inspection of RPCs", inspect, is_true, False, "the RPC is dropped")


def guarded_peer_filter(peer_filter: PeerFilter, foreign: ForeignCode) -> PeerFilter:
    """A peer that cannot be judged does not take part."""
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


class GuardedFilter:
    """Another subscription filter. An RPC whose subscriptions it cannot judge is dropped.

    Args:
        inner: the other one.
        foreign: keeps account of its errors.
    """

    def __init__(self, inner: SubscriptionFilter, foreign: ForeignCode) -> None:
        self._inner = inner
        self._filter_incoming = foreign.guard(
            "subscription filter", self._filtered, _kept, None, "the RPC with the subscriptions is dropped"
        )

    def can_subscribe(self, topic: str) -> bool:
        """Whether we may join a topic; raises what the filter raises, as somebody wants to join."""
        return ask("join", self._inner.can_subscribe, is_true, topic)

    def filter_incoming(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> list[RPC.SubOpts] | None:
        """Those to take note of; None if the RPC is to be dropped."""
        return self._filter_incoming(peer, subscriptions)

    def _filtered(self, peer: PeerId, subscriptions: Sequence[RPC.SubOpts]) -> Any:
        try:
            return self._inner.filter_incoming(peer, subscriptions)
        except TooManySubscriptions as refusal:  # an answer, and no failure
            return refusal


class GuardedBlacklist:
    """Another blacklist. Whoever cannot be looked up counts as blacklisted.

    Args:
        inner: the other one.
        foreign: keeps account of its errors.
    """

    def __init__(self, inner: Blacklist, foreign: ForeignCode) -> None:
        self._inner = inner
        self._has = foreign.guard(
            "blacklist", lambda peer: peer in self._inner, bool, True, "the peer counts as blacklisted"
        )

    def add(self, peer: PeerId, /) -> bool:
        """Blacklist a peer; raises what the list raises, as somebody asks for it."""
        return ask("blacklist", self._inner.add, is_true, peer)

    def __contains__(self, peer: object, /) -> bool:
        return self._has(peer)

    def __len__(self) -> int:
        return len(self._inner)


def _kept(answer: Any) -> list[RPC.SubOpts] | None:
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
