"""The heartbeat of gossipsub, once a second: maintains meshes and fanouts, and gossips (`heartbeat` of the reference)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.wire.rpc_pb2 import RPC, ControlGraft, ControlMessage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.gossip import Gossip
    from pubsub_sim.protocol.gossip_params import GossipsubParams
    from pubsub_sim.protocol.gossip_peers import GossipPeers
    from pubsub_sim.protocol.gossip_sender import GossipSender
    from pubsub_sim.protocol.mesh import Mesh
    from pubsub_sim.protocol.router import Promises, RouterContext

_CLEAR_BACKOFF_TICKS = 15  # go-libp2p-pubsub `clearBackoff`


class Heartbeat:
    """The periodic maintenance of one gossipsub host.

    Args:
        params: degrees and periods.
        peers: the known peers.
        mesh: the meshes and fanouts.
        gossip: the gossip.
        sender: sends GRAFT, PRUNE and pending messages.
        promises: tracks broken promises; or None.
    """

    def __init__(
        self,
        params: GossipsubParams,
        peers: GossipPeers,
        mesh: Mesh,
        gossip: Gossip,
        sender: GossipSender,
        promises: Promises | None,
    ) -> None:
        self._params = params
        self._peers = peers
        self._mesh = mesh
        self._gossip = gossip
        self._sender = sender
        self._promises = promises
        self._ticks = 0
        self._context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Whose heart it is."""
        self._context = context

    def beat(self, now_ns: int) -> None:
        """Run one heartbeat."""
        self._ticks += 1
        if self._ticks % _CLEAR_BACKOFF_TICKS == 0:
            self._mesh.backoff.clear(now_ns)
        self._gossip.begin_heartbeat()
        if self._promises is not None:
            for peer, count in self._promises.broken(now_ns).items():
                self._peers.penalise(peer, count)
        if self._ticks % self._params.direct_connect_ticks == 0:
            self.connect_direct()
        shaping = _Shaping(self._params, self._peers, self._mesh, self._context, now_ns)
        is_grafting_time = self._ticks % self._params.opportunistic_graft_ticks == 0
        for topic, members in self._mesh.meshes.items():
            shaping.shape(topic, members, is_grafting_time=is_grafting_time)
            self._gossip.emit(topic, members, shaping.score)
        if self._mesh.last_published_ns or self._mesh.fanout:
            self._keep_fanouts(shaping.score, now_ns)
        shaping.send(self._sender)
        self._sender.flush()
        self._gossip.cache.shift()

    def connect_direct(self) -> None:
        """Dial the direct peers without an open stream."""
        for peer in self._peers.direct:
            if peer not in self._peers.features:
                self._context.dial(peer)

    def _keep_fanouts(self, score: Callable[[PeerId], float], now_ns: int) -> None:
        mesh, peers, params = self._mesh, self._peers, self._params
        for topic, published_ns in list(mesh.last_published_ns.items()):
            if published_ns + int(params.fanout_ttl_s * 1e9) < now_ns:
                mesh.fanout.pop(topic, None)
                del mesh.last_published_ns[topic]
        fits = mesh.fit_for_fanout(score)
        threshold = peers.thresholds.publish_threshold
        for topic, members in mesh.fanout.items():
            for peer in [p for p in members if score(p) < threshold]:
                del members[peer]
            missing = params.d - len(members)
            if missing > 0:
                _add_all(members, peers.choose(topic, missing, _outside(members, fits)))
            self._gossip.emit(topic, members, score)


class _Shaping:
    """The maintenance of meshes in one heartbeat: current scores, and the peers to graft and prune."""

    def __init__(
        self, params: GossipsubParams, peers: GossipPeers, mesh: Mesh, context: RouterContext, now_ns: int
    ) -> None:
        self._params = params
        self._peers = peers
        self._mesh = mesh
        self._context = context
        self._now_ns = now_ns
        self._scores: dict[PeerId, float] = {}
        self._grafts: dict[PeerId, list[str]] = {}
        self._prunes: dict[PeerId, list[str]] = {}
        self._unworthy: dict[PeerId, None] = {}  # pruned because of their score; their PRUNE offers no other peers
        self.score: Callable[[PeerId], float] = peers.score if peers.scoring is None else self._cached_score

    def shape(self, topic: str, members: dict[PeerId, None], *, is_grafting_time: bool) -> None:
        """Maintain one mesh: its size, then its outbound members, then opportunistic grafting."""
        params = self._params
        if self._peers.scoring is not None:
            self._expel(topic, members)
        size = len(members)
        if size < params.d_lo:
            self._graft(topic, members, params.d - size)
        elif size > params.d_hi or (size == params.d_hi and params.cuts_at_d_hi):
            self._cut(topic, members)
        if params.d_out and len(members) >= params.d_lo:
            outbound = self._peers.outbound
            missing = params.d_out - len(members.keys() & outbound)
            if missing > 0:
                self._graft(topic, members, missing, lambda peer: peer in outbound)
        if is_grafting_time and len(members) > 1:
            self._graft_better(topic, members)

    def send(self, sender: GossipSender) -> None:
        """Send each peer its GRAFTs and PRUNEs in one RPC."""
        for peer, topics in self._grafts.items():
            control = ControlMessage(graft=[ControlGraft(topic_id=topic) for topic in topics])
            self._send_prunes(sender, peer, control)
        for peer in list(self._prunes):
            self._send_prunes(sender, peer, ControlMessage())

    def _send_prunes(self, sender: GossipSender, peer: PeerId, control: ControlMessage) -> None:
        offers_peers = self._params.do_px and peer not in self._unworthy
        for topic in self._prunes.pop(peer, ()):
            control.prune.append(self._mesh.make_prune(peer, topic, offers_peers=offers_peers))
        sender.send(peer, RPC(control=control))

    def _expel(self, topic: str, members: dict[PeerId, None]) -> None:
        for peer in [p for p in members if self.score(p) < 0]:
            self._prune(topic, peer)
            self._unworthy[peer] = None

    def _graft(
        self,
        topic: str,
        members: dict[PeerId, None],
        count: int,
        accepts: Callable[[PeerId], bool] | None = None,
    ) -> None:
        """Graft up to `count` peers that are eligible and satisfy `accepts`, if given."""
        graftable = _outside(members, self._mesh.graft_filter(topic, self.score))
        chosen = self._peers.choose(
            topic, count, graftable if accepts is None else lambda peer: accepts(peer) and graftable(peer)
        )
        for peer in chosen:
            self._mesh.add(peer, topic)
            self._grafts.setdefault(peer, []).append(topic)

    def _prune(self, topic: str, peer: PeerId) -> None:
        self._mesh.remove(peer, topic)
        self._mesh.add_backoff(peer, topic, self._now_ns)
        self._prunes.setdefault(peer, []).append(topic)

    def _cut(self, topic: str, members: dict[PeerId, None]) -> None:
        """Keep D: the best scored, then any, but among them enough that we dialled (v1.1, `Dout`)."""
        params, rng = self._params, self._context.rng
        ranked = list(members)
        rng.shuffle(ranked)
        ranked.sort(key=self.score, reverse=True)  # stable, so equal scores stay shuffled
        rest = ranked[params.d_score :]
        rng.shuffle(rest)
        ranked[params.d_score :] = rest
        self._bring_dialled_forward(ranked)
        for peer in ranked[params.d :]:
            self._prune(topic, peer)

    def _bring_dialled_forward(self, ranked: list[PeerId]) -> None:
        d, outbound = self._params.d, self._peers.outbound
        missing = self._params.d_out - sum(peer in outbound for peer in ranked[:d])
        if missing <= 0:
            return
        for place in range(1, min(d, len(ranked))):
            if ranked[place] in outbound:  # peers that are kept anyway keep their position
                ranked.insert(0, ranked.pop(place))
        for place in range(d, len(ranked)):
            if missing > 0 and ranked[place] in outbound:
                ranked.insert(0, ranked.pop(place))
                missing -= 1

    def _graft_better(self, topic: str, members: dict[PeerId, None]) -> None:
        """Graft opportunistically (v1.1): a mesh with a low median score gets peers above the median."""
        score = self.score
        median = sorted(map(score, members))[len(members) // 2]
        if median < self._peers.thresholds.opportunistic_graft_threshold:
            self._graft(topic, members, self._params.opportunistic_graft_peers, lambda peer: score(peer) > median)

    def _cached_score(self, peer: PeerId) -> float:
        score = self._scores.get(peer)
        if score is None:
            score = self._scores[peer] = self._peers.score(peer)
        return score


def _outside(members: dict[PeerId, None], accepts: Callable[[PeerId], bool]) -> Callable[[PeerId], bool]:
    return lambda peer: peer not in members and accepts(peer)


def _add_all(members: dict[PeerId, None], peers: Iterable[PeerId]) -> None:
    members.update(dict.fromkeys(peers))
