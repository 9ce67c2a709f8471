"""The gossipsub router, put together from its parts.

`mesh` holds meshes and fanouts, `gossip` exchanges IHAVE, IWANT and IDONTWANT, `heartbeat` maintains both, and
`gossip_sender` sends.
Source: libp2p specs gossipsub v1.0, v1.1 and v1.2; go-libp2p-pubsub `gossipsub.go` (May 2024).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionConflict, OptionError, ScoringDisabled
from pubsub_sim.protocol.gossip import Gossip
from pubsub_sim.protocol.gossip_params import GossipsubParams
from pubsub_sim.protocol.gossip_peers import GossipPeers, PeerFilter
from pubsub_sim.protocol.gossip_sender import GossipSender
from pubsub_sim.protocol.guards import guarded_peer_filter
from pubsub_sim.protocol.heartbeat import Heartbeat
from pubsub_sim.protocol.mesh import Mesh
from pubsub_sim.protocol.params import FLOODSUB_ID, GOSSIPSUB_ID_V10, GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V12, HostParams
from pubsub_sim.protocol.peer_evaluation import PeerEvaluation, make_evaluation
from pubsub_sim.protocol.router import Acceptance, RouterTimer
from pubsub_sim.protocol.score import PeerScore
from pubsub_sim.protocol.score_params import PeerScoreThresholds
from pubsub_sim.wire.codec import is_text
from pubsub_sim.wire.rpc_pb2 import RPC, ControlIWant, ControlMessage

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.router import Gater, Promises, Scoring
    from pubsub_sim.protocol.score_params import TopicScoreParams
    from pubsub_sim.protocol.score_snapshot import PeerSnapshot
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import ReadableRPC

_log = logging.getLogger("pubsub_sim.gossipsub")


class GossipSub:
    """The gossiping router.

    Args:
        params: its options; with `score` and `gater`, it evaluates its peers.
        direct: peers that get everything and are kept out of meshes; must be so on both sides.
        peer_filter: who may take part in which topic; None lets everybody.
        scoring: scores peers in another way than `params.score` says.
        thresholds: scores at which peers are treated differently; None for those of `params`.
        promises: remembers what peers offered to send in another way than usual; only with `scoring`.
        gater: guards against overload in another way than `params.gater` says.
        timers: what these need done by the clock, e.g. letting scores decay.

    Raises:
        OptionConflict: both `params` and another argument say how peers are scored or gated.
    """

    reads_sealed = True

    def __init__(
        self,
        params: GossipsubParams | None = None,
        *,
        direct: Iterable[PeerId] = (),
        peer_filter: PeerFilter | None = None,
        scoring: Scoring | None = None,
        thresholds: PeerScoreThresholds | None = None,
        promises: Promises | None = None,
        gater: Gater | None = None,
        timers: Sequence[RouterTimer] = (),
    ) -> None:
        self.params = params = params or GossipsubParams()
        self._evaluation = PeerEvaluation(scoring=scoring, promises=promises, gater=gater, timers=tuple(timers))
        if params.score is not None or params.gater is not None:
            others = {"scoring": scoring, "promises": promises, "gater": gater, "timers": timers or None}
            for name, other in others.items():
                if other is not None:
                    raise OptionConflict(
                        name, other, "params", params, "the parameters already say how peers are evaluated"
                    )
        if thresholds is not None and params.thresholds is not None:
            raise OptionConflict(
                "thresholds", thresholds, "params", params, "the parameters have thresholds of their own"
            )
        self._direct = direct
        self._peer_filter = peer_filter
        self._thresholds = thresholds or params.thresholds or PeerScoreThresholds()
        self._core: Core

    def attach(self, core: Core) -> None:
        """Take the host's core. The evaluation of peers needs the host's clock, chance and addresses, so the parts are made here.

        Raises:
            OptionError: the router's parameters give the host an option that it does not have.
        """
        self._core = core
        params = self.params
        _check_host_params(params, core.params)
        if params.score is not None or params.gater is not None:
            self._evaluation = make_evaluation(params, core)
        scoring, promises = self._evaluation.scoring, self._evaluation.promises
        self._gater = self._evaluation.gater
        chosen = self._peer_filter
        self._peers = GossipPeers(
            direct=self._direct,
            peer_filter=None if chosen is None else guarded_peer_filter(chosen, core.foreign),
            scoring=scoring,
            thresholds=self._thresholds,
        )
        meshes: dict[str, dict[PeerId, None]] = {}
        self._sender = GossipSender(meshes, packs_pieces=params.packs_pieces)
        self._mesh = Mesh(params, self._peers, self._sender, meshes)
        self._gossip = Gossip(params, self._peers, self._mesh, self._sender, promises)
        self._heartbeat = Heartbeat(params, self._peers, self._mesh, self._gossip, self._sender, promises)
        for part in (self._peers, self._sender, self._mesh, self._gossip, self._heartbeat):
            part.attach(core)

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def protocols(self) -> Sequence[str]:
        """The gossipsub versions, newest first, and floodsub; v1.2 only if IDONTWANT is on."""
        older = (GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V10, FLOODSUB_ID)
        return (GOSSIPSUB_ID_V12, *older) if self.params.idontwant else older

    @property
    def timers(self) -> Sequence[RouterTimer]:
        """The heartbeat, the first look at direct peers, and what time does to judgements."""
        params = self.params
        heartbeat = RouterTimer(
            first_s=params.heartbeat_initial_delay_s, every_s=params.heartbeat_interval_s, action=self.heartbeat
        )
        direct = RouterTimer(
            first_s=params.direct_connect_initial_delay_s, every_s=None, action=self._heartbeat.connect_direct
        )
        return (heartbeat, *((direct,) if self._peers.direct else ()), *self._evaluation.timers)

    @property
    def evaluators(self) -> Sequence[RawTracer]:
        """Those of scoring, promises and gater that follow what happens."""
        return self._evaluation.tracers

    @property
    def previews(self) -> bool:
        """Only v1.2 announces messages before they are validated."""
        return self.params.idontwant

    @property
    def mesh(self) -> Mapping[str, Sequence[PeerId]]:
        """View: a copy of each topic's mesh."""
        return {topic: tuple(members) for topic, members in self._mesh.meshes.items()}

    @property
    def fanout(self) -> Mapping[str, Sequence[PeerId]]:
        """View: a copy of each topic's fanout."""
        return {topic: tuple(members) for topic, members in self._mesh.fanout.items()}

    @property
    def scores(self) -> Mapping[PeerId, float]:
        """View: the score of each known peer; empty without scoring."""
        return self._peers.scores()

    @property
    def score_details(self) -> Mapping[PeerId, PeerSnapshot]:
        """View: all that the scores are made of, peers included that left with a score worth remembering."""
        scoring = self._evaluation.scoring
        return scoring.scores() if isinstance(scoring, PeerScore) else {}

    @property
    def backoff(self) -> Mapping[str, Mapping[PeerId, int]]:
        """View: topic -> peer -> when it may be grafted again, in ns; expired entries are cleared every 15 heartbeats."""
        return self._mesh.backoff.view()

    # --- peers ---------------------------------------------------------------------------------------------------

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Add a peer with its protocol to the known peers."""
        self._peers.add(peer, protocol)

    def remove_peer(self, peer: PeerId) -> None:
        """Forget a peer in mesh, gossip and sender, then among the known peers."""
        for part in (self._mesh, self._gossip, self._sender):
            part.forget(peer)
        self._peers.remove(peer)

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """See Router: out of mesh and fanout, and nothing more to its credit for what it did in the topic."""
        self._mesh.forget_in(peer, topic)
        if isinstance(self._evaluation.scoring, PeerScore):
            self._evaluation.scoring.peer_left(peer, topic)

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Tell whether the topic has enough peers: Dlo unless told otherwise, and a full mesh always is."""
        members = self._core.topics.get(topic)
        if members is None:
            return False
        flooding = sum(peer not in self._peers.meshing for peer in members)
        meshed = len(self._mesh.meshes.get(topic, ()))
        return flooding + meshed >= (suggested or self.params.d_lo) or meshed >= self.params.d_hi

    def accept_from(self, peer: PeerId) -> Acceptance:
        """See Router: everything from direct peers, nothing below the graylist threshold; else the gater decides."""
        peers = self._peers
        if peer in peers.direct:
            return Acceptance.ALL
        if peers.scoring is not None and peers.score(peer) < peers.thresholds.graylist_threshold:
            return Acceptance.NONE
        return Acceptance.ALL if self._gater is None else self._gater.accept_from(peer)

    # --- topics and messages -------------------------------------------------------------------------------------

    def join(self, topic: str) -> None:
        """Make a mesh for the topic."""
        self._mesh.join(topic)

    def leave(self, topic: str) -> None:
        """Give up the mesh of the topic."""
        self._mesh.leave(topic)

    def publish(self, message: Message) -> None:
        """Send to the mesh, or the fanout, and to those who are in no mesh: direct and flooding peers."""
        self._gossip.cache.put(message)
        members = self._core.topics.get(message.topic)
        if members is not None:
            self._sender.send_message(message, self._targets(message, members))

    def _targets(self, message: Message, members: Mapping[PeerId, None]) -> Iterable[PeerId]:
        peers = self._peers
        direct, score, threshold = peers.direct, peers.score, peers.thresholds.publish_threshold
        if self.params.flood_publish and message.received_from == self._core.peer_id:
            return [peer for peer in members if peer in direct or score(peer) >= threshold]
        targets = {peer: None for peer in direct if peer in members} if direct else {}
        meshing = peers.meshing
        if not meshing.issuperset(members):
            targets.update({p: None for p in members if p not in meshing and score(p) >= threshold})
        meshed: Iterable[PeerId] | None = self._mesh.meshes.get(message.topic)
        if meshed is None:
            meshed = self._mesh.fanout_for(message.topic)
        meshed = self._gossip.wanted_by(meshed, message.id)
        if not targets:
            return meshed
        targets.update(dict.fromkeys(meshed))
        return targets

    def preprocess(self, peer: PeerId, messages: Sequence[Message]) -> None:
        """Tell the meshes that these need not be sent to us (IDONTWANT, v1.2)."""
        self._gossip.refuse_copies(peer, messages)

    def handle_control(self, peer: PeerId, rpc: ReadableRPC, now_ns: int) -> None:
        """Handle the control part of an RPC; what there is to answer leaves in one RPC."""
        control = rpc.control
        wanted = self._gossip.handle_ihave(peer, control.ihave)
        messages = self._gossip.handle_iwant(peer, control.iwant) if control.iwant else []
        prunes = []
        if control.graft:
            topics = [graft.topic_id for graft in control.graft if is_text(graft.topic_id)]
            prunes = self._mesh.handle_graft(peer, topics, now_ns)
        if control.prune:
            self._mesh.handle_prune(peer, control.prune, now_ns)
        if control.idontwant and self.params.idontwant:
            self._gossip.handle_idontwant(peer, control.idontwant)
        if wanted or messages or prunes:
            answer = RPC(publish=[message.wire for message in messages])
            if wanted or prunes:
                iwant = [ControlIWant(message_ids=wanted)] if wanted else []
                answer.control.CopyFrom(ControlMessage(iwant=iwant, prune=prunes))
            self._sender.send(peer, answer)

    def add_direct_peer(self, peer: PeerId) -> None:
        """Give a peer everything, outside meshes; connected at the next look at direct peers (`AddDirectPeer`, 2026)."""
        self._peers.direct[peer] = None

    def remove_direct_peer(self, peer: PeerId) -> None:
        """A peer is one like others from now on (`RemoveDirectPeer`, 2026)."""
        self._peers.direct.pop(peer, None)

    def set_score_params(self, topic: str, params: TopicScoreParams) -> None:
        """Score a topic by other parameters from now on.

        Raises:
            ScoringDisabled: this host does not score its peers.
        """
        scoring = self._evaluation.scoring
        if not isinstance(scoring, PeerScore):
            raise ScoringDisabled(topic)
        scoring.set_topic_params(topic, params)

    # --- by the clock --------------------------------------------------------------------------------------------

    def heartbeat(self) -> None:
        """Keep meshes and fanouts in shape, gossip, and let time pass for what is remembered."""
        begin_ns = self._core.now_ns()
        self._heartbeat.beat(begin_ns)
        limit_s = self.params.slow_heartbeat_warning * self.params.heartbeat_interval_s
        took_s = (self._core.now_ns() - begin_ns) / 1e9
        if took_s > limit_s > 0:
            _log.warning("slow heartbeat: took %.3f s, more than %.3f s", took_s, limit_s)


def _check_host_params(params: GossipsubParams, hosts: HostParams) -> None:
    """Refuse an option of the host that was set for its router alone, where it would have no effect."""
    for field in fields(HostParams):
        value, holds = getattr(params, field.name), getattr(hosts, field.name)
        if value not in (holds, field.default):
            raise OptionError(field.name, value, f"{holds!r} as the host has it, or an option of the host")
