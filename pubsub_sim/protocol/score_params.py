"""The parameters of peer scoring: those of go-libp2p-pubsub `score_params.go`, with the same checks.

P1 to P7 are the components of a score (gossipsub v1.1 specification, "Peer Scoring"). As in the reference, defaults are
zero: each network decides what it rewards. A group of parameters is checked unless `skip_atomic_validation` is set and the
whole group is at its defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from ipaddress import ip_network
from typing import TYPE_CHECKING

from pubsub_sim.checks import check_bool, check_seconds, check_topic, check_whole
from pubsub_sim.errors import OptionConflict, OptionError

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId

DECAY_INTERVAL_S = 1.0
"""Interval in seconds at which counters decay (`DefaultDecayInterval`)."""
DECAY_TO_ZERO = 0.01
"""Smaller counters become 0 (`DefaultDecayToZero`)."""


def decay_factor(duration_s: float, *, base_s: float = DECAY_INTERVAL_S, to_zero: float = DECAY_TO_ZERO) -> float:
    """Return the factor per interval by which a counter of 1 decays to zero in the given time.

    Args:
        duration_s: the time; rounded down to whole intervals, at least one.
        base_s: the interval.
        to_zero: the value that counts as zero.

    Raises:
        OptionError: numbers that cannot be.
        OptionConflict: the time is shorter than one interval.

    Source: go-libp2p-pubsub `ScoreParameterDecayWithBase`.
    """
    check_seconds("duration_s", duration_s)
    check_seconds("base_s", base_s)
    if not 0 < to_zero < 1:
        raise OptionError("to_zero", to_zero, "a number between 0 and 1, both excluded")
    ticks = _ns(duration_s) // max(_ns(base_s), 1)
    if ticks < 1:
        raise OptionConflict("duration_s", duration_s, "base_s", base_s, "the time is shorter than one interval")
    return float(to_zero ** (1 / ticks))


@dataclass(frozen=True, kw_only=True)
class PeerScoreThresholds:
    """The thresholds of scores. All are 0 by default, which restricts no peer that did nothing wrong.

    Attributes:
        gossip_threshold: below it no gossip is exchanged (at most 0).
        publish_threshold: below it the peer is not flooded with own messages (at most `gossip_threshold`).
        graylist_threshold: below it RPCs are ignored completely (at most `publish_threshold`).
        accept_px_threshold: below it peers offered in a PRUNE are not dialled (at least 0).
        opportunistic_graft_threshold: median score of a mesh below which better peers are grafted (at least 0).

    Source: go-libp2p-pubsub `PeerScoreThresholds`.
    """

    gossip_threshold: float = 0.0
    publish_threshold: float = 0.0
    graylist_threshold: float = 0.0
    accept_px_threshold: float = 0.0
    opportunistic_graft_threshold: float = 0.0

    def __post_init__(self) -> None:
        check = _Checks(self)
        check.at_most("gossip_threshold", 0)
        check.not_above("publish_threshold", "gossip_threshold")
        check.not_above("graylist_threshold", "publish_threshold")
        check.at_least("accept_px_threshold", 0)
        check.at_least("opportunistic_graft_threshold", 0)


@dataclass(frozen=True, kw_only=True)
class TopicScoreParams:
    """The scoring of behaviour in one topic.

    Attributes:
        skip_atomic_validation: do not check groups of zeros.
        topic_weight: share of this topic in the score (at least 0).
        time_in_mesh_weight: P1, per quantum in the mesh (at least 0).
        time_in_mesh_quantum_s: P1, the quantum.
        time_in_mesh_cap: P1, maximal number of quanta.
        first_message_deliveries_weight: P2, per message first delivered by the peer (at least 0).
        first_message_deliveries_decay: P2, factor per decay interval.
        first_message_deliveries_cap: P2, maximal number of messages.
        mesh_message_deliveries_weight: P3, per squared deficit of messages delivered by a mesh member (at most 0).
        mesh_message_deliveries_decay: P3, factor per decay interval.
        mesh_message_deliveries_cap: P3, maximal number of messages.
        mesh_message_deliveries_threshold: P3, messages expected of a mesh member.
        mesh_message_deliveries_window_s: P3, time after validation in which a duplicate counts as a delivery.
        mesh_message_deliveries_activation_s: P3, time in mesh before deliveries are expected (at least 1 s).
        mesh_failure_penalty_weight: P3b, per squared deficit when the peer left the mesh (at most 0).
        mesh_failure_penalty_decay: P3b, factor per decay interval.
        invalid_message_deliveries_weight: P4, per squared number of invalid messages (at most 0).
        invalid_message_deliveries_decay: P4, factor per decay interval.

    Source: go-libp2p-pubsub `TopicScoreParams`. Decays lie strictly between 0 and 1.
    """

    skip_atomic_validation: bool = False
    topic_weight: float = 0.0
    time_in_mesh_weight: float = 0.0
    time_in_mesh_quantum_s: float = 0.0
    time_in_mesh_cap: float = 0.0
    first_message_deliveries_weight: float = 0.0
    first_message_deliveries_decay: float = 0.0
    first_message_deliveries_cap: float = 0.0
    mesh_message_deliveries_weight: float = 0.0
    mesh_message_deliveries_decay: float = 0.0
    mesh_message_deliveries_cap: float = 0.0
    mesh_message_deliveries_threshold: float = 0.0
    mesh_message_deliveries_window_s: float = 0.0
    mesh_message_deliveries_activation_s: float = 0.0
    mesh_failure_penalty_weight: float = 0.0
    mesh_failure_penalty_decay: float = 0.0
    invalid_message_deliveries_weight: float = 0.0
    invalid_message_deliveries_decay: float = 0.0

    def __post_init__(self) -> None:
        check_bool("skip_atomic_validation", self.skip_atomic_validation)
        check = _Checks(self, is_atomic=not self.skip_atomic_validation)
        check.at_least("topic_weight", 0)
        if check.wants("time_in_mesh"):
            check.at_least("time_in_mesh_weight", 0)
            check.at_least("time_in_mesh_quantum_s", 1e-9)
            if self.time_in_mesh_weight:
                check.above_0("time_in_mesh_cap")
        if check.wants("first_message_deliveries"):
            check.at_least("first_message_deliveries_weight", 0)
            if self.first_message_deliveries_weight:
                check.decay("first_message_deliveries_decay")
                check.above_0("first_message_deliveries_cap")
        if check.wants("mesh_message_deliveries"):
            self._check_mesh_message_deliveries(check)
        if check.wants("mesh_failure_penalty"):
            check.at_most("mesh_failure_penalty_weight", 0)
            if self.mesh_failure_penalty_weight:
                check.decay("mesh_failure_penalty_decay")
        if check.wants("invalid_message_deliveries"):
            check.at_most("invalid_message_deliveries_weight", 0)
            check.decay("invalid_message_deliveries_decay")

    def _check_mesh_message_deliveries(self, check: _Checks) -> None:
        check.at_most("mesh_message_deliveries_weight", 0)
        check.at_least("mesh_message_deliveries_window_s", 0)
        if self.mesh_message_deliveries_weight:
            check.decay("mesh_message_deliveries_decay")
            check.above_0("mesh_message_deliveries_cap")
            check.above_0("mesh_message_deliveries_threshold")
            check.at_least("mesh_message_deliveries_activation_s", 1)

    @cached_property
    def quantum_ns(self) -> int:
        """`time_in_mesh_quantum_s` in ns; 0 if P1 is not used."""
        return _ns(self.time_in_mesh_quantum_s)

    @cached_property
    def window_ns(self) -> int:
        """`mesh_message_deliveries_window_s` in ns."""
        return _ns(self.mesh_message_deliveries_window_s)

    @cached_property
    def activation_ns(self) -> int:
        """`mesh_message_deliveries_activation_s` in ns."""
        return _ns(self.mesh_message_deliveries_activation_s)


@dataclass(frozen=True, kw_only=True)
class PeerScoreParams:
    """The scoring of peers.

    Attributes:
        skip_atomic_validation: do not check groups left at their defaults; no application score means 0.
        topics: parameters by topic; other topics are not scored.
        topic_score_cap: maximal contribution of all topics together; 0 for no cap.
        app_specific_score: P5, returns the application's score of a peer, a finite number.
        app_specific_weight: P5, its weight.
        ip_colocation_factor_weight: P6, per squared surplus of peers on one IP address (at most 0).
        ip_colocation_factor_threshold: P6, number of peers on one address without surplus (at least 1).
        ip_colocation_factor_whitelist: P6, networks ("10.0.0.0/8") whose addresses are not counted.
        behaviour_penalty_weight: P7, per squared excess of penalties given by the router (at most 0).
        behaviour_penalty_threshold: P7, number of penalties without excess (at least 0).
        behaviour_penalty_decay: P7, factor per decay interval.
        decay_interval_s: interval of the decay of counters (at least 1 s; `DefaultDecayInterval`).
        decay_to_zero: smaller counters become 0 (between 0 and 1; `DefaultDecayToZero`).
        retain_score_s: time the score of a peer that left is kept, unless it is positive.
        seen_msg_ttl_s: time the deliveries of a message are kept (`TimeCacheDuration`, 120 s).

    Source: go-libp2p-pubsub `PeerScoreParams`.
    """

    skip_atomic_validation: bool = False
    topics: Mapping[str, TopicScoreParams] = field(default_factory=dict)
    topic_score_cap: float = 0.0
    app_specific_score: Callable[[PeerId], float] | None = None
    app_specific_weight: float = 0.0
    ip_colocation_factor_weight: float = 0.0
    ip_colocation_factor_threshold: int = 0
    ip_colocation_factor_whitelist: tuple[str, ...] = ()
    behaviour_penalty_weight: float = 0.0
    behaviour_penalty_threshold: float = 0.0
    behaviour_penalty_decay: float = 0.0
    decay_interval_s: float = DECAY_INTERVAL_S
    decay_to_zero: float = DECAY_TO_ZERO
    retain_score_s: float = 0.0
    seen_msg_ttl_s: float = 120.0

    def __post_init__(self) -> None:
        check_bool("skip_atomic_validation", self.skip_atomic_validation)
        check = _Checks(self, is_atomic=not self.skip_atomic_validation)
        for topic, params in self.topics.items():
            check_topic("topics", topic)
            if not isinstance(params, TopicScoreParams):
                raise OptionError(f"topics[{topic!r}]", params, "TopicScoreParams")
        object.__setattr__(self, "topics", dict(self.topics))  # a copy: the caller may change the original
        check.at_least("topic_score_cap", 0)
        if self.app_specific_score is None:
            if not self.skip_atomic_validation:
                why = "all parameters have to be given, this one as a function of a peer"
                raise OptionConflict("app_specific_score", None, "skip_atomic_validation", False, why)
        elif not callable(self.app_specific_score):
            raise OptionError("app_specific_score", self.app_specific_score, "a function of a peer")
        self._check_ip_colocation(check)
        if check.wants("behaviour_penalty"):
            check.at_most("behaviour_penalty_weight", 0)
            check.at_least("behaviour_penalty_threshold", 0)
            if self.behaviour_penalty_weight:
                check.decay("behaviour_penalty_decay")
        check.at_least("decay_interval_s", 1)
        check.decay("decay_to_zero")
        check.at_least("retain_score_s", 0)
        check.above_0("seen_msg_ttl_s")

    def _check_ip_colocation(self, check: _Checks) -> None:
        check.at_most("ip_colocation_factor_weight", 0)
        if self.ip_colocation_factor_weight:
            check_whole("ip_colocation_factor_threshold", self.ip_colocation_factor_threshold, at_least=1)
        for network in self.ip_colocation_factor_whitelist:
            try:
                ip_network(network, strict=False)
            except ValueError:
                raise OptionError("ip_colocation_factor_whitelist", network, "networks such as '10.0.0.0/8'") from None


class _Checks:
    """The checks of the numbers of one dataclass; refusals raise OptionError."""

    def __init__(
        self, params: PeerScoreThresholds | TopicScoreParams | PeerScoreParams, *, is_atomic: bool = True
    ) -> None:
        self._params = params
        self._is_atomic = is_atomic
        self._defaults = {f.name: f.default for f in fields(params) if f.default is not MISSING}
        for name, default in self._defaults.items():
            if isinstance(default, int | float) and not isinstance(default, bool):
                self._number(name)

    def wants(self, group: str) -> bool:
        """Return whether to check the parameters with this name prefix."""
        names = [name for name in self._defaults if name.startswith(f"{group}_")]
        is_touched = any(getattr(self._params, name) != self._defaults[name] for name in names)
        return is_touched or self._is_atomic

    def at_least(self, name: str, limit: float) -> None:
        self._require(name, self._number(name) >= limit, f"a number of at least {limit:g}")

    def at_most(self, name: str, limit: float) -> None:
        self._require(name, self._number(name) <= limit, f"a number of at most {limit:g}")

    def not_above(self, name: str, other: str) -> None:
        """A threshold is 0 at most, and no higher than the one that is crossed before it."""
        self.at_most(name, 0)
        value, limit = getattr(self._params, name), getattr(self._params, other)
        if value > limit:
            raise OptionConflict(name, value, other, limit, f"{name} may not be above {other}")

    def above_0(self, name: str) -> None:
        self._require(name, self._number(name) > 0, "a number above 0")

    def decay(self, name: str) -> None:
        self._require(name, 0 < self._number(name) < 1, "a number between 0 and 1, both excluded")

    def _number(self, name: str) -> float:
        value = getattr(self._params, name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        self._require(name, is_number and math.isfinite(value), "a finite number")
        return float(value)

    def _require(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise OptionError(name, getattr(self._params, name), expected)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
