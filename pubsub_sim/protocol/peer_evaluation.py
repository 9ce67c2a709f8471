"""The peer score, promises and gater of a gossipsub host, with the timers of score and gater.

They are created for one host from its options; without such options there is no run-time cost.
Source: go-libp2p-pubsub (May 2024), `WithPeerScore` and `WithPeerGater`, and the `background` tasks of `score.go` and
`peer_gater.go`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pubsub_sim.protocol.gater import PeerGater, PeerGaterParams
from pubsub_sim.protocol.guards import guarded_score
from pubsub_sim.protocol.promises import Promises
from pubsub_sim.protocol.router import RouterTimer
from pubsub_sim.protocol.score import MINUTE_S, PeerScore
from pubsub_sim.protocol.tracing import RawTracer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pubsub_sim.protocol.gossip_params import GossipsubParams
    from pubsub_sim.protocol.router import Gater, RouterContext, Scoring
    from pubsub_sim.protocol.router import Promises as AnyPromises
    from pubsub_sim.protocol.score_params import PeerScoreParams


@dataclass(frozen=True, kw_only=True)
class PeerEvaluation:
    """The evaluators of the peers of one host.

    Attributes:
        scoring: the score; None scores all peers 0.
        promises: the tracker of promises; or None.
        gater: the protection against overload; None accepts everything.
        timers: the timers of these.
    """

    scoring: Scoring | None = None
    promises: AnyPromises | None = None
    gater: Gater | None = None
    timers: tuple[RouterTimer, ...] = ()

    @property
    def tracers(self) -> Sequence[RawTracer]:
        """The evaluators that are tracers of the host."""
        parts: tuple[object, ...] = (self.scoring, self.promises, self.gater)
        return tuple(part for part in parts if isinstance(part, RawTracer))


def make_evaluation(params: GossipsubParams, context: RouterContext) -> PeerEvaluation:
    """Make the evaluators that a host's options ask for; promises are kept where broken ones cost something."""
    score = promises = gater = None
    timers: list[RouterTimer] = []
    if params.score is not None:
        score = _make_score(params.score, context, timers)
        promises = Promises(
            now_ns=context.now_ns,
            rng=context.rng,
            followup_s=params.iwant_followup_s,
            message_id=context.id_for_evaluation,
        )
    if params.gater is not None:
        gater = _make_gater(params.gater, context, timers)
    return PeerEvaluation(scoring=score, promises=promises, gater=gater, timers=tuple(timers))


def _make_score(params: PeerScoreParams, context: RouterContext, timers: list[RouterTimer]) -> PeerScore:
    now_ns = context.now_ns
    if params.app_specific_score is not None:
        params = replace(params, app_specific_score=guarded_score(params.app_specific_score, context.foreign))
    score = PeerScore(params, now_ns=now_ns, addresses=context.addresses, message_id=context.id_for_evaluation)

    def look_around() -> None:
        score.refresh_ips()
        score.clean_up(now_ns())

    interval_s = params.decay_interval_s
    timers.append(RouterTimer(first_s=interval_s, every_s=interval_s, action=lambda: score.refresh(now_ns())))
    timers.append(RouterTimer(first_s=MINUTE_S, every_s=MINUTE_S, action=look_around))
    return score


def _make_gater(params: PeerGaterParams, context: RouterContext, timers: list[RouterTimer]) -> PeerGater:
    now_ns = context.now_ns
    gater = PeerGater(params, now_ns=now_ns, rng=context.rng, addresses=context.addresses)
    interval_s = params.decay_interval_s
    timers.append(RouterTimer(first_s=interval_s, every_s=interval_s, action=lambda: gater.decay(now_ns())))
    return gater
