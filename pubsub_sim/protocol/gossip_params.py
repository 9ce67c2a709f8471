"""The parameters of gossipsub. Defaults are those of go-libp2p-pubsub (May 2024), unless said otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from pubsub_sim.checks import check_bool, check_kind, check_seconds, check_whole
from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.protocol.gater import PeerGaterParams
from pubsub_sim.protocol.mcache import MORE_OFFERED_THAN_KEPT
from pubsub_sim.protocol.params import HostParams
from pubsub_sim.protocol.score_params import PeerScoreParams, PeerScoreThresholds


@dataclass(frozen=True, kw_only=True)
class GossipsubParams(HostParams):
    """Options of one gossipsub host: the router's, and those every host has.

    Names in brackets are the reference's (`gossipsub.go`); v1.1 and v1.2 are the libp2p specs of those names.

    Attributes:
        d: target degree of a mesh (`GossipSubD`, 6).
        d_lo: degree below which a mesh is filled up to `d` (`GossipSubDlo`, 5).
        d_hi: degree above which a mesh is reduced to `d` (`GossipSubDhi`, 12).
        d_score: best-scored members kept when a mesh is reduced (`GossipSubDscore`, 4).
        d_out: minimal number of members dialled by this host (`GossipSubDout`, 2).
        d_lazy: minimal number of peers that get gossip (`GossipSubDlazy`, 6).
        gossip_factor: share of the peers outside the mesh that get gossip, if more (`GossipSubGossipFactor`, 0.25).
        history_length: heartbeats a message is kept (`GossipSubHistoryLength`, 5).
        history_gossip: heartbeats a message is gossiped about (`GossipSubHistoryGossip`, 3).
        gossip_retransmission: answers to one peer's IWANT of one message (`GossipSubGossipRetransmission`, 3).
        heartbeat_initial_delay_s: delay before the first heartbeat (`GossipSubHeartbeatInitialDelay`, 100 ms).
        heartbeat_interval_s: interval of heartbeats (`GossipSubHeartbeatInterval`, 1 s).
        slow_heartbeat_warning: share of the interval a heartbeat may take before it is logged
            (`GossipSubParams.SlowHeartbeatWarning`, 0.1).
        fanout_ttl_s: lifetime of a fanout after the last publish (`GossipSubFanoutTTL`, 60 s).
        prune_peers: peers offered in a PRUNE and accepted from one (`GossipSubPrunePeers`, 16).
        prune_backoff_s: time without GRAFT of a peer after a PRUNE (`GossipSubPruneBackoff`, 60 s).
        unsubscribe_backoff_s: the same after leaving the topic (`GossipSubUnsubscribeBackoff`, 10 s).
        direct_connect_ticks: heartbeats between checks of the connections to direct peers
            (`GossipSubDirectConnectTicks`, 300).
        direct_connect_initial_delay_s: delay before the first check (`GossipSubDirectConnectInitialDelay`, 1 s).
        opportunistic_graft_ticks: heartbeats between opportunistic grafts (`GossipSubOpportunisticGraftTicks`, 60).
        opportunistic_graft_peers: peers per opportunistic graft (`GossipSubOpportunisticGraftPeers`, 2).
        graft_flood_threshold_s: time after a PRUNE within which a GRAFT costs a second penalty
            (`GossipSubGraftFloodThreshold`, 10 s).
        max_ihave_length: message ids requested per peer and heartbeat, and ids in one IHAVE
            (`GossipSubMaxIHaveLength`, 5000).
        max_ihave_messages: IHAVEs processed per peer and heartbeat (`GossipSubMaxIHaveMessages`, 10).
        iwant_followup_s: time limit for a peer to deliver a requested message (`GossipSubIWantFollowupTime`, 3 s).
        flood_publish: send own messages to all peers of the topic instead of the mesh (`WithFloodPublish`, off).
        do_px: offer peers in PRUNEs (`WithPeerExchange`, off).
        idontwant: use v1.2: announce large messages with IDONTWANT, ahead of the queue (2025; off).
        max_idontwant_length: message ids accepted from the IDONTWANTs of one RPC (`GossipSubMaxIDontWantLength`, 10).
        max_idontwant_messages: RPCs with IDONTWANTs processed per peer and heartbeat
            (`GossipSubMaxIDontWantMessages`, 1000).
        idontwant_threshold_bytes: smallest payload that is announced (`GossipSubIDontWantMessageThreshold`, 1024).
        idontwant_ttl_ticks: lifetime of an IDONTWANT in heartbeats (`GossipSubIDontWantMessageTTL`, 3).
        cuts_at_d_hi: reduce a mesh at `d_hi` already, and not only above it (2026; off).
        packs_pieces: split large RPCs by the rule of 2026 (see `wire.splitting`; off).
        checks_degrees: refuse unsuitable degrees too, and not only inconsistent ones (`GossipSubParams.validate`, 2025;
            off).
        score: scoring of peers (`WithPeerScore`); None disables it, at no cost.
        thresholds: thresholds of scores (`WithPeerScore`); only with `score`.
        gater: protection against overload (`WithPeerGater`); None accepts everything.
    """

    d: int = 6
    d_lo: int = 5
    d_hi: int = 12
    d_score: int = 4
    d_out: int = 2
    d_lazy: int = 6
    gossip_factor: float = 0.25
    history_length: int = 5
    history_gossip: int = 3
    gossip_retransmission: int = 3
    heartbeat_initial_delay_s: float = 0.1
    heartbeat_interval_s: float = 1.0
    slow_heartbeat_warning: float = 0.1
    fanout_ttl_s: float = 60.0
    prune_peers: int = 16
    prune_backoff_s: float = 60.0
    unsubscribe_backoff_s: float = 10.0
    direct_connect_ticks: int = 300
    direct_connect_initial_delay_s: float = 1.0
    opportunistic_graft_ticks: int = 60
    opportunistic_graft_peers: int = 2
    graft_flood_threshold_s: float = 10.0
    max_ihave_length: int = 5000
    max_ihave_messages: int = 10
    iwant_followup_s: float = 3.0
    flood_publish: bool = False
    do_px: bool = False
    idontwant: bool = False
    max_idontwant_length: int = 10
    max_idontwant_messages: int = 1000
    idontwant_threshold_bytes: int = 1024
    idontwant_ttl_ticks: int = 3
    cuts_at_d_hi: bool = False
    packs_pieces: bool = False
    checks_degrees: bool = False
    score: PeerScoreParams | None = None
    thresholds: PeerScoreThresholds | None = None
    gater: PeerGaterParams | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        inherited = {field.name for field in fields(HostParams)}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in inherited or field.name in _KINDS:
                continue
            if isinstance(field.default, bool):
                check_bool(field.name, value)
            elif isinstance(field.default, int):
                check_whole(field.name, value, at_least=_LEAST.get(field.name, 0))
            elif field.name.endswith("_s"):
                check_seconds(field.name, value)
            elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise OptionError(field.name, value, "a number of at least 0")
        for name, kind in _KINDS.items():
            check_kind(name, getattr(self, name), kind)
        if self.thresholds is not None and self.score is None:
            raise OptionConflict("thresholds", self.thresholds, "score", None, "nobody is scored")
        self._refuse_above("history_gossip", "history_length", MORE_OFFERED_THAN_KEPT)
        for name in ("prune_backoff_s", "unsubscribe_backoff_s"):
            if getattr(self, name) > LONGEST_BACKOFF_S:
                raise OptionError(name, getattr(self, name), f"at most {LONGEST_BACKOFF_S} s, as no peer honours more")
        if self.checks_degrees:
            self._refuse_above("d_score", "d_hi", "a mesh keeps no more peers than d_hi")
        self._check_degrees()

    def _refuse_above(self, name: str, limit: str, why: str) -> None:
        if getattr(self, name) > getattr(self, limit):
            raise OptionConflict(name, getattr(self, name), limit, getattr(self, limit), why)

    def _check_degrees(self) -> None:
        """Refuse degrees no mesh can have; if `checks_degrees`, those it should not have, too."""
        self._refuse_above("d", "d_hi", "d may be d_hi at most")
        self._refuse_above("d_lo", "d", "d has to be d_lo at least")
        self._refuse_above("d_out", "d_hi", "a mesh keeps no more peers than d_hi")
        if not self.checks_degrees or self.d == self.d_lo == self.d_hi == self.d_out == 0:
            return  # all 0: a bootstrapper, which keeps no mesh
        if self.d_out >= self.d_lo:
            raise OptionConflict("d_out", self.d_out, "d_lo", self.d_lo, "d_out has to be less than d_lo")
        if self.d_out >= self.d // 2:
            raise OptionConflict(
                "d_out", self.d_out, "d", self.d, f"d_out has to be less than half of d, {self.d // 2}"
            )


LONGEST_BACKOFF_S = 24 * 3600
"""Longest back-off, in seconds, that a PRUNE can request.

The bound is not in the reference, but in nim-libp2p: without it, a peer with many identities could fill the table for ever.
The reference honours up to 292 years, and ignores 2**63 s, as its nanoseconds overflow. Honest peers request a minute.
"""

_KINDS: dict[str, type] = {"score": PeerScoreParams, "thresholds": PeerScoreThresholds, "gater": PeerGaterParams}

_LEAST = {
    "history_length": 1,
    "direct_connect_ticks": 1,
    "opportunistic_graft_ticks": 1,
}
