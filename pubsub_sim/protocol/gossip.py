"""The gossip of gossipsub: messages are announced, requested and declined by IHAVE, IWANT and IDONTWANT.

Source: libp2p specs gossipsub v1.1 and v1.2, go-libp2p-pubsub `gossipsub.go` (May 2024; IDONTWANT: 2025).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.protocol.gossip_peers import Feature
from pubsub_sim.protocol.mcache import MessageCache
from pubsub_sim.protocol.seen import cache_key
from pubsub_sim.wire.rpc_pb2 import RPC, ControlIDontWant, ControlIHave, ControlIWant, ControlMessage
from pubsub_sim.wire.sealed import SealedIHave

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.protocol.gossip_params import GossipsubParams
    from pubsub_sim.protocol.gossip_peers import GossipPeers
    from pubsub_sim.protocol.gossip_sender import GossipSender
    from pubsub_sim.protocol.mesh import Mesh
    from pubsub_sim.protocol.router import Promises
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import Frame, Offer


class Gossip:
    """The gossip of one gossipsub host, and the counters that bound it.

    Args:
        params: bounds.
        peers: whom there is to tell.
        mesh: which topics we gossip about.
        sender: sends what is told.
        promises: remembers who offered what; None keeps no account.

    Attributes:
        cache: messages that can be told of and asked for.
    """

    def __init__(
        self,
        params: GossipsubParams,
        peers: GossipPeers,
        mesh: Mesh,
        sender: GossipSender,
        promises: Promises | None,
    ) -> None:
        self.cache = MessageCache(params.history_gossip, params.history_length)
        self._params = params
        self._peers = peers
        self._mesh = mesh
        self._sender = sender
        self._promises = promises
        self._offers: dict[PeerId, int] = {}  # RPCs with a control part since the heartbeat (`peerhave`)
        self._asked: dict[PeerId, int] = {}  # ids asked for since the heartbeat (`iasked`)
        self._refusals: dict[PeerId, int] = {}  # RPCs with IDONTWANT since the heartbeat (`peerdontwant`)
        self._unwanted: dict[PeerId, dict[bytes, int]] = {}  # id as it is kept -> heartbeats it is still heeded
        self._core: Core

    def attach(self, core: Core) -> None:
        """Whose gossip it is."""
        self._core = core

    def forget(self, peer: PeerId) -> None:
        """A peer is gone."""
        self._unwanted.pop(peer, None)

    # --- what peers tell and ask ---------------------------------------------------------------------------------

    def handle_ihave(self, peer: PeerId, ihaves: Iterable[Offer]) -> list[bytes]:
        """A peer has messages: the ids of those to ask it for. Called for every control part (`peerhave`)."""
        peers = self._peers
        if peers.scoring is not None and peers.score(peer) < peers.thresholds.gossip_threshold:
            return []
        self._offers[peer] = offers = self._offers.get(peer, 0) + 1
        room = self._params.max_ihave_length - self._asked.get(peer, 0)
        if offers > self._params.max_ihave_messages or room <= 0:
            return []
        missing = self._missing(peer, ihaves)
        if not missing:
            return []
        self._core.rng.shuffle(missing)
        del missing[room:]
        self._asked[peer] = self._asked.get(peer, 0) + len(missing)
        if self._promises is not None:
            self._promises.add(peer, missing)
        return missing

    def _missing(self, peer: PeerId, ihaves: Iterable[Offer]) -> list[bytes]:
        not_seen, is_filtered = self._core.not_seen, self._peers.is_filtered
        missing: dict[bytes, None] = {}
        for ihave in ihaves:
            topic = ihave.topic_id
            if topic in self._mesh.meshes and (not is_filtered or self._peers.allows(peer, topic)):
                ids: Sequence[bytes] = ihave.message_ids
                if self._params.idontwant:  # since v1.2 also what one IHAVE may hold is bounded
                    ids = ids[: self._params.max_ihave_length]
                for message_id in not_seen(ids):
                    missing[message_id] = None
        return list(missing)

    def handle_iwant(self, peer: PeerId, iwants: Iterable[ControlIWant]) -> list[Message]:
        """A peer asks for messages: those it gets."""
        if self._peers.score(peer) < self._peers.thresholds.gossip_threshold:
            return []
        wanted: dict[bytes, Message] = {}
        for iwant in iwants:
            for message_id in iwant.message_ids:
                if self.is_unwanted(peer, message_id):
                    continue
                found = self.cache.get_for_peer(message_id, peer)
                if found is None:
                    continue
                message, count = found
                if self._peers.allows(peer, message.topic) and count <= self._params.gossip_retransmission:
                    wanted[message_id] = message
        return list(wanted.values())

    def handle_idontwant(self, peer: PeerId, idontwants: Iterable[ControlIDontWant]) -> None:
        """A peer does not want messages to be sent to it."""
        refusals = self._refusals.get(peer, 0)
        if refusals >= self._params.max_idontwant_messages:
            return
        self._refusals[peer] = refusals + 1
        ids = [message_id for idontwant in idontwants for message_id in idontwant.message_ids]
        unwanted = self._unwanted.setdefault(peer, {})
        for message_id in ids[: self._params.max_idontwant_length]:
            unwanted[cache_key(message_id)] = self._params.idontwant_ttl_ticks

    def is_unwanted(self, peer: PeerId, message_id: bytes) -> bool:
        """Whether a peer has lately said that it does not want a message."""
        unwanted = self._unwanted.get(peer)
        return unwanted is not None and cache_key(message_id) in unwanted

    def wanted_by(self, peers: Iterable[PeerId], message_id: bytes) -> Iterable[PeerId]:
        """Those of some peers that have not refused a message."""
        if not self._unwanted:
            return peers
        return [peer for peer in peers if not self.is_unwanted(peer, message_id)]

    # --- what we tell --------------------------------------------------------------------------------------------

    def refuse_copies(self, sender: PeerId, messages: Sequence[Message]) -> None:
        """Tell the meshes that large messages need not be sent to us: they are here, and about to be validated."""
        by_topic: dict[str, list[bytes]] = {}
        for message in messages:
            if len(message.data) >= self._params.idontwant_threshold_bytes:
                by_topic.setdefault(message.topic, []).append(message.id)
        for topic, ids in by_topic.items():
            self._core.rng.shuffle(ids)
            for peer in self._mesh.meshes.get(topic, ()):
                if peer != sender and self._peers.can(peer, Feature.IDONTWANT):
                    rpc = RPC(control=ControlMessage(idontwant=[ControlIDontWant(message_ids=ids)]))
                    self._sender.send(peer, rpc, urgent=True)

    def emit(self, topic: str, excluded: Container[PeerId], score: Callable[[PeerId], float]) -> None:
        """Have some peers outside a mesh or fanout told of the topic's latest messages."""
        ids = self.cache.gossip_ids(topic)
        if not ids:
            return
        rng, params = self._core.rng, self._params
        rng.shuffle(ids)
        told = self._listeners(topic, excluded, score)
        if len(ids) <= params.max_ihave_length:
            frame = self._ihave(topic, ids)
            for peer in told:
                self._sender.queue_gossip(peer, frame)
            return
        for peer in told:  # each peer gets its own random part, so that together they hear of more ids
            rng.shuffle(ids)
            self._sender.queue_gossip(peer, self._ihave(topic, ids[: params.max_ihave_length]))

    def _listeners(self, topic: str, excluded: Container[PeerId], score: Callable[[PeerId], float]) -> list[PeerId]:
        meshing, direct = self._peers.meshing, self._peers.direct
        threshold = self._peers.thresholds.gossip_threshold
        members = self._core.topics.get(topic, ())
        candidates = [peer for peer in members if peer in meshing and peer not in excluded]
        if direct:
            candidates = [peer for peer in candidates if peer not in direct]
        if self._peers.scoring is not None or threshold > 0:
            candidates = [peer for peer in candidates if score(peer) >= threshold]
        target = max(self._params.d_lazy, int(self._params.gossip_factor * len(candidates)))
        if target < len(candidates):
            self._core.rng.shuffle(candidates)
            del candidates[target:]
        return candidates

    def begin_heartbeat(self) -> None:
        """Begin the counters anew, and let old refusals lapse."""
        self._offers.clear()
        self._asked.clear()
        self._refusals.clear()
        for peer, unwanted in list(self._unwanted.items()):
            for kept in list(unwanted):
                unwanted[kept] -= 1
                if unwanted[kept] <= 0:
                    del unwanted[kept]
            if not unwanted:
                del self._unwanted[peer]

    def _ihave(self, topic: str, ids: list[bytes]) -> Frame:
        if self._core.seals:
            return SealedIHave(topic, ids)
        control = ControlMessage(ihave=[ControlIHave(topic_id=topic, message_ids=ids)])
        return RPC(control=control).SerializeToString()
