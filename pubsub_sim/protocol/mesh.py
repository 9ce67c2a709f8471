"""The mesh and the fanout of each topic: joining, leaving, GRAFT, PRUNE, back-off and peer exchange.

Source: libp2p specs gossipsub v1.1, go-libp2p-pubsub `gossipsub.go` (May 2024).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.ids import PeerId
from pubsub_sim.protocol.gossip_params import LONGEST_BACKOFF_S
from pubsub_sim.protocol.gossip_peers import Feature
from pubsub_sim.protocol.prune_backoff import PruneBackoff
from pubsub_sim.wire.rpc_pb2 import RPC, ControlGraft, ControlMessage, ControlPrune, PeerInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pubsub_sim.protocol.gossip_params import GossipsubParams
    from pubsub_sim.protocol.gossip_peers import GossipPeers
    from pubsub_sim.protocol.gossip_sender import GossipSender
    from pubsub_sim.protocol.router import RouterContext

_S = 1_000_000_000


class Mesh:
    """The meshes and fanouts of one gossipsub host.

    Args:
        params: degrees and times.
        peers: the known peers.
        sender: sends GRAFT and PRUNE.
        meshes: members by topic, in order of joining; shared with the sender.

    Attributes:
        meshes: as given.
        fanout: receivers of messages by topic, for topics this host has not joined.
        last_published_ns: time of the last publish by fanout.
        backoff: peers that may not be grafted yet.
    """

    def __init__(
        self,
        params: GossipsubParams,
        peers: GossipPeers,
        sender: GossipSender,
        meshes: dict[str, dict[PeerId, None]],
    ) -> None:
        self.meshes = meshes
        self.fanout: dict[str, dict[PeerId, None]] = {}
        self.last_published_ns: dict[str, int] = {}
        self.backoff = PruneBackoff()
        self._params = params
        self._peers = peers
        self._sender = sender
        self._prune_backoff_ns = int(params.prune_backoff_s * _S)
        self._unsubscribe_backoff_ns = int(params.unsubscribe_backoff_s * _S)
        self._flood_ns = int(params.graft_flood_threshold_s * _S)
        self._context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Whose meshes they are."""
        self._context = context

    def forget(self, peer: PeerId) -> None:
        """Remove a peer; its back-off is kept."""
        for members in self.meshes.values():
            members.pop(peer, None)
        for members in self.fanout.values():
            members.pop(peer, None)

    def forget_in(self, peer: PeerId, topic: str) -> None:
        """Remove a peer from a topic; its back-off is kept."""
        if peer in self.meshes.get(topic, ()):
            self.remove(peer, topic)
        self.fanout.get(topic, {}).pop(peer, None)

    # --- joining and leaving -------------------------------------------------------------------------------------

    def join(self, topic: str) -> None:
        """Create a mesh, from the fanout if there is one, and graft its members."""
        if topic in self.meshes:
            return
        accepts = self.graft_filter(topic, self._peers.score)
        fanout = self.fanout.pop(topic, None)
        if fanout is None:
            members = dict.fromkeys(self._peers.choose(topic, self._params.d, accepts))
        else:
            del self.last_published_ns[topic]
            members = {peer: None for peer in fanout if accepts(peer)}
            missing = self._params.d - len(members)
            if missing > 0:
                more = self._peers.choose(topic, missing, lambda peer: peer not in members and accepts(peer))
                members.update(dict.fromkeys(more))
        self.meshes[topic] = members
        for peer in members:
            self._trace_graft(peer, topic)
            self._sender.send(peer, RPC(control=ControlMessage(graft=[ControlGraft(topic_id=topic)])))

    def leave(self, topic: str) -> None:
        """Dissolve a mesh and prune its members, with a shorter back-off than for other prunes."""
        members = self.meshes.pop(topic, None)
        if members is None:
            return
        expiry_ns = self._context.now_ns() + self._unsubscribe_backoff_ns
        for peer in members:
            self._trace_prune(peer, topic)
            prune = self.make_prune(peer, topic, offers_peers=self._params.do_px, unsubscribes=True)
            self._sender.send(peer, RPC(control=ControlMessage(prune=[prune])))
            self.backoff.add(topic, peer, expiry_ns)

    def graft_filter(self, topic: str, score: Callable[[PeerId], float]) -> Callable[[PeerId], bool]:
        """Return the test for peers that may be grafted: not direct, no back-off entry, no negative score."""
        direct, backoff = self._peers.direct, self.backoff.of(topic)
        return lambda peer: peer not in direct and peer not in backoff and score(peer) >= 0

    # --- received GRAFT and PRUNE --------------------------------------------------------------------------------

    def handle_graft(self, peer: PeerId, topics: Iterable[str], now_ns: int) -> list[ControlPrune]:
        """Handle the GRAFTs of a peer; return the PRUNEs to answer with.

        Repeated refusals of a topic cost a penalty each but are answered once: in the reference, an RPC of 1 MiB with
        one topic gets 200,000 answers.
        """
        offers_peers = self._params.do_px
        score = self._peers.score(peer)
        refused: dict[str, None] = {}
        for topic in topics:
            if not self._peers.allows(peer, topic):
                continue
            members = self.meshes.get(topic)
            if members is None:
                offers_peers = False  # the host may be shutting down, or be probed for topics that do not exist
            elif peer not in members:
                if peer in self._peers.direct:
                    offers_peers = False
                elif self._is_backed_off(peer, topic, now_ns) or score < 0:
                    offers_peers = False
                    self.add_backoff(peer, topic, now_ns)
                elif len(members) >= self._params.d_hi and peer not in self._peers.outbound:
                    # a full mesh accepts only outbound peers, so that inbound peers cannot take it over
                    self.add_backoff(peer, topic, now_ns)
                else:
                    self.add(peer, topic)
                    continue
                refused[topic] = None
        return [self.make_prune(peer, topic, offers_peers=offers_peers) for topic in refused]

    def handle_prune(self, peer: PeerId, prunes: Iterable[ControlPrune], now_ns: int) -> None:
        """Handle the PRUNEs of a peer that left meshes or refused to join; they may offer other peers."""
        for prune in prunes:
            topic = prune.topic_id
            if topic not in self.meshes:
                continue
            if peer in self.meshes[topic]:  # already pruned if it has just left the topic: its deficit is counted once
                self.remove(peer, topic)
            asked_s = min(prune.backoff, LONGEST_BACKOFF_S)
            backoff_ns = asked_s * _S if asked_s else self._prune_backoff_ns
            self.backoff.add(topic, peer, now_ns + backoff_ns)
            if prune.peers and self._peers.score(peer) >= self._peers.thresholds.accept_px_threshold:
                self._dial_offered([PeerId(info.peer_id) for info in prune.peers])

    def _is_backed_off(self, peer: PeerId, topic: str, now_ns: int) -> bool:
        """Return whether a GRAFT is within the back-off, and penalise it; twice if it is very early."""
        expiry_ns = self.backoff.of(topic).get(peer)
        if expiry_ns is None or now_ns >= expiry_ns:
            return False
        is_flood = now_ns < expiry_ns + self._flood_ns - self._prune_backoff_ns
        self._peers.penalise(peer, 1)
        if is_flood:
            self._peers.penalise(peer, 1)
        return True

    def _dial_offered(self, offered: list[PeerId]) -> None:
        if len(offered) > self._params.prune_peers:
            self._context.rng.shuffle(offered)
            del offered[self._params.prune_peers :]
        for peer in offered:
            if peer not in self._peers.features and peer != self._context.peer_id:
                self._context.dial(peer)

    # --- membership ----------------------------------------------------------------------------------------------

    def add(self, peer: PeerId, topic: str) -> None:
        """Add a peer to a mesh."""
        self._trace_graft(peer, topic)
        self.meshes[topic][peer] = None

    def remove(self, peer: PeerId, topic: str) -> None:
        """Remove a peer from a mesh."""
        self._trace_prune(peer, topic)
        del self.meshes[topic][peer]

    def add_backoff(self, peer: PeerId, topic: str, now_ns: int) -> None:
        """Set the back-off of a peer that was pruned."""
        self.backoff.add(topic, peer, now_ns + self._prune_backoff_ns)

    def make_prune(self, peer: PeerId, topic: str, *, offers_peers: bool, unsubscribes: bool = False) -> ControlPrune:
        """Return a PRUNE with the back-off and, on request, other peers to connect to."""
        if not self._peers.can(peer, Feature.PX):
            return ControlPrune(topic_id=topic)
        params = self._params
        prune = ControlPrune(
            topic_id=topic, backoff=int(params.unsubscribe_backoff_s if unsubscribes else params.prune_backoff_s)
        )
        if offers_peers:
            score = self._peers.score
            offered = self._peers.choose(topic, params.prune_peers, lambda other: other != peer and score(other) >= 0)
            prune.peers.extend([PeerInfo(peer_id=other) for other in offered])
        return prune

    # --- fanout --------------------------------------------------------------------------------------------------

    def fanout_for(self, topic: str) -> Iterable[PeerId]:
        """Return the fanout of a topic this host has not joined; it is chosen anew if empty."""
        members = self.fanout.get(topic)
        if not members:
            chosen = self._peers.choose(topic, self._params.d, self.fit_for_fanout(self._peers.score))
            members = dict.fromkeys(chosen)
            if members:
                self.fanout[topic] = members
        self.last_published_ns[topic] = self._context.now_ns()
        return members

    def fit_for_fanout(self, score: Callable[[PeerId], float]) -> Callable[[PeerId], bool]:
        """Return the test for peers of a fanout: not direct, and a score of at least the publish threshold."""
        direct, threshold = self._peers.direct, self._peers.thresholds.publish_threshold
        return lambda peer: peer not in direct and score(peer) >= threshold

    def _trace_graft(self, peer: PeerId, topic: str) -> None:
        if self._context.tracer is not None:
            self._context.tracer.graft(peer, topic)

    def _trace_prune(self, peer: PeerId, topic: str) -> None:
        if self._context.tracer is not None:
            self._context.tracer.prune(peer, topic)
