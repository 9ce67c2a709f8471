"""The gossipsub router, composed of its parts.

`mesh` holds meshes and fanouts, `gossip` exchanges IHAVE, IWANT and IDONTWANT, `heartbeat` maintains both, and
`gossip_sender` sends.
Source: libp2p specs gossipsub v1.0, v1.1 and v1.2; go-libp2p-pubsub `gossipsub.go` (May 2024).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from pubsub_sim.errors import OptionConflict, ScoringDisabled
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
    from collections.abc import Callable

    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.router import Gater, Promises, RouterContext, Scoring
    from pubsub_sim.protocol.score_params import TopicScoreParams
    from pubsub_sim.protocol.score_snapshot import PeerSnapshot
    from pubsub_sim.protocol.tracing import RawTracer
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import SealedIHave

_log = logging.getLogger("pubsub_sim.gossipsub")


class GossipSub:
    """The gossipsub router.

    Args:
        params: its options; with `score` and `gater`, it evaluates its peers.
        direct: peers that get all messages and are in no mesh; must be configured on both sides.
        peer_filter: which peers may take part in which topics; None allows all.
        scoring: a custom scoring of peers instead of `params.score`.
        thresholds: thresholds of scores; None for those of `params`.
        promises: a custom tracker of promises; only with `scoring`.
        gater: a custom gater instead of `params.gater`.
        timers: the timers of these, e.g. for the decay of scores.

    Raises:
        OptionConflict: both `params` and another argument define the scoring or gating of peers.
    """

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
                        name, other, "params", params, "the parameters already define the evaluation of peers"
                    )
        if thresholds is not None and params.thresholds is not None:
            raise OptionConflict("thresholds", thresholds, "params", params, "the parameters have their own thresholds")
        self._direct = direct
        self._peer_filter = peer_filter
        self._thresholds = thresholds or params.thresholds or PeerScoreThresholds()
        self._context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Take the host's context; the parts are made here, as they need the host's clock, chance and addresses.

        Raises:
            OptionConflict: an option of the host is set for its router alone.
        """
        self._context = context
        params = self.params
        _check_host_params(params, context.params)
        if params.score is not None or params.gater is not None:
            self._evaluation = make_evaluation(params, context)
        scoring, promises = self._evaluation.scoring, self._evaluation.promises
        self._gater = self._evaluation.gater
        chosen = self._peer_filter
        self._peers = GossipPeers(
            direct=self._direct,
            peer_filter=None if chosen is None else guarded_peer_filter(chosen, context.foreign),
            scoring=scoring,
            thresholds=self._thresholds,
        )
        meshes: dict[str, dict[PeerId, None]] = {}
        self._sender = GossipSender(meshes, packs_pieces=params.packs_pieces)
        self._mesh = Mesh(params, self._peers, self._sender, meshes)
        self._gossip = Gossip(params, self._peers, self._mesh, self._sender, promises)
        self._heartbeat = Heartbeat(params, self._peers, self._mesh, self._gossip, self._sender, promises)
        for part in (self._peers, self._sender, self._mesh, self._gossip, self._heartbeat):
            part.attach(context)

    # --- properties ----------------------------------------------------------------------------------------------

    @property
    def protocols(self) -> Sequence[str]:
        """The gossipsub versions, newest first, and floodsub; v1.2 only with IDONTWANT."""
        older = (GOSSIPSUB_ID_V11, GOSSIPSUB_ID_V10, FLOODSUB_ID)
        return (GOSSIPSUB_ID_V12, *older) if self.params.idontwant else older

    @property
    def timers(self) -> Sequence[RouterTimer]:
        """The heartbeat, the first check of direct peers, and the timers of the evaluators."""
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
        """Scoring, promises and gater, as far as they are tracers."""
        return self._evaluation.tracers

    @property
    def previews(self) -> bool:
        """Whether messages are announced before validation, as in v1.2."""
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
        """View: the components of the scores, including peers that left whose score is retained."""
        scoring = self._evaluation.scoring
        return scoring.scores() if isinstance(scoring, PeerScore) else {}

    @property
    def backoff(self) -> Mapping[str, Mapping[PeerId, int]]:
        """View: end of the back-off in ns, by topic and peer; expired entries are cleared every 15 heartbeats."""
        return self._mesh.backoff.view()

    # --- peers ---------------------------------------------------------------------------------------------------

    def add_peer(self, peer: PeerId, protocol: str) -> None:
        """Add a peer with its protocol to the known peers."""
        self._peers.add(peer, protocol)

    def remove_peer(self, peer: PeerId) -> None:
        """Remove a peer from mesh, gossip and sender, then from the known peers."""
        for part in (self._mesh, self._gossip, self._sender):
            part.forget(peer)
        self._peers.remove(peer)

    def peer_left(self, peer: PeerId, topic: str) -> None:
        """Remove a peer from mesh and fanout, and clear its pending gossip for the topic."""
        self._mesh.forget_in(peer, topic)
        if isinstance(self._evaluation.scoring, PeerScore):
            self._evaluation.scoring.peer_left(peer, topic)

    def has_enough_peers(self, topic: str, suggested: int) -> bool:
        """Tell whether the topic has enough peers: Dlo unless told otherwise, and a full mesh always is."""
        members = self._context.topics.get(topic)
        if members is None:
            return False
        needed = suggested or self.params.d_lo
        meshed = len(self._mesh.meshes.get(topic, ()))
        if meshed >= needed or meshed >= self.params.d_hi:
            return True
        flooding = len(members.keys() - self._peers.meshing)
        return flooding + meshed >= needed

    @property
    def accepts_all(self) -> bool:
        """Whether everything of everybody is accepted: peers are neither scored nor gated."""
        is_ours = type(self).accept_from is GossipSub.accept_from
        return is_ours and self._peers.scoring is None and self._gater is None

    def accept_from(self, peer: PeerId) -> Acceptance:
        """Accept everything from direct peers, and nothing below the graylist threshold; else the gater decides."""
        peers = self._peers
        if peer in peers.direct:
            return Acceptance.ALL
        if peers.scoring is not None and peers.score(peer) < peers.thresholds.graylist_threshold:
            return Acceptance.NONE
        return Acceptance.ALL if self._gater is None else self._gater.accept_from(peer)

    # --- topics and messages -------------------------------------------------------------------------------------

    def join(self, topic: str) -> None:
        """Create a mesh for the topic."""
        self._mesh.join(topic)

    def leave(self, topic: str) -> None:
        """Dissolve the mesh of the topic."""
        self._mesh.leave(topic)

    def publish(self, message: Message) -> None:
        """Send to the mesh or the fanout, and to peers outside meshes: direct and floodsub peers."""
        self._gossip.cache.put(message)
        members = self._context.topics.get(message.topic)
        if members is not None:
            self._sender.send_message(message, self._targets(message, members))

    def _targets(self, message: Message, members: Mapping[PeerId, None]) -> Iterable[PeerId]:
        peers = self._peers
        direct, score, threshold = peers.direct, peers.score, peers.thresholds.publish_threshold
        if self.params.flood_publish and message.received_from == self._context.peer_id:
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
        """Decline further copies of these messages at the mesh members (IDONTWANT, v1.2)."""
        self._gossip.refuse_copies(peer, messages)

    def handle_control(self, peer: PeerId, rpc: RPC, now_ns: int) -> None:
        """Handle the control part of an RPC, and answer with one RPC."""
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

    @property
    def handle_offer(self) -> Callable[[PeerId, SealedIHave], None]:
        """Handle an RPC that is nothing but an IHAVE."""
        return self._gossip.handle_offer

    @property
    def settle_offer(self) -> Callable[[PeerId, SealedIHave], bool]:
        """Take an RPC that is nothing but an IHAVE if there is nothing in it to ask for; false if there is."""
        return self._gossip.settle_offer

    def add_direct_peer(self, peer: PeerId) -> None:
        """Add a direct peer, which is dialled at the next check of direct peers (`AddDirectPeer`, 2026)."""
        self._peers.direct[peer] = None

    def remove_direct_peer(self, peer: PeerId) -> None:
        """Treat a direct peer like any other from now on (`RemoveDirectPeer`, 2026)."""
        self._peers.direct.pop(peer, None)

    def set_score_params(self, topic: str, params: TopicScoreParams) -> None:
        """Set the score parameters of a topic from now on.

        Raises:
            ScoringDisabled: this host does not score its peers.
        """
        scoring = self._evaluation.scoring
        if not isinstance(scoring, PeerScore):
            raise ScoringDisabled(topic)
        scoring.set_topic_params(topic, params)

    # --- timers --------------------------------------------------------------------------------------------------

    def heartbeat(self) -> None:
        """Keep meshes and fanouts in shape, gossip, and let time pass for what is remembered."""
        begin_ns = self._context.now_ns()
        self._heartbeat.beat(begin_ns)
        limit_s = self.params.slow_heartbeat_warning * self.params.heartbeat_interval_s
        took_s = (self._context.now_ns() - begin_ns) / 1e9
        if took_s > limit_s > 0:
            _log.warning("slow heartbeat: took %.3f s, more than %.3f s", took_s, limit_s)


def _check_host_params(params: GossipsubParams, hosts: HostParams) -> None:
    """Refuse an option of the host that was set only for its router, where it would have no effect."""
    for field in fields(HostParams):
        value, holds = getattr(params, field.name), getattr(hosts, field.name)
        if value not in (holds, field.default):
            host_option = f"{field.name} of the host"
            raise OptionConflict(field.name, value, host_option, holds, "for the router alone it would have no effect")
