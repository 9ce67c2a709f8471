"""The gossip of gossipsub: announcing, requesting and declining messages by IHAVE, IWANT and IDONTWANT.

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
    from pubsub_sim.protocol.gossip_params import GossipsubParams
    from pubsub_sim.protocol.gossip_peers import GossipPeers
    from pubsub_sim.protocol.gossip_sender import GossipSender
    from pubsub_sim.protocol.mesh import Mesh
    from pubsub_sim.protocol.router import Promises, RouterContext
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import Frame, Offer


class Gossip:
    """The gossip of one gossipsub host, and the counters that bound it.

    Args:
        params: bounds.
        peers: the known peers.
        mesh: the meshes, whose topics are gossiped about.
        sender: sends the gossip.
        promises: tracks the promises of peers; or None.

    Attributes:
        cache: messages that can be announced and requested.
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
        # Read for every IHAVE; attributes of an object with so many are looked up in a dict.
        self._bounds_ihaves = params.idontwant  # v1.2 also bounds the size of one IHAVE
        self._max_ihave_length = params.max_ihave_length
        self._max_ihave_messages = params.max_ihave_messages
        self._peers = peers
        self._mesh = mesh
        self._sender = sender
        self._promises = promises
        self._offers: dict[PeerId, int] = {}  # RPCs with a control part since the heartbeat (`peerhave`)
        self._asked: dict[PeerId, int] = {}  # requested ids since the heartbeat (`iasked`)
        self._refusals: dict[PeerId, int] = {}  # RPCs with IDONTWANT since the heartbeat (`peerdontwant`)
        self._unwanted: dict[PeerId, dict[bytes, int]] = {}  # id as it is kept -> heartbeats it is still heeded
        self._context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Whose gossip it is."""
        self._context = context
        self._not_seen = context.not_seen

    def forget(self, peer: PeerId) -> None:
        """Remove a peer."""
        self._unwanted.pop(peer, None)

    # --- received ------------------------------------------------------------------------------------------------

    def handle_ihave(self, peer: PeerId, ihaves: Iterable[Offer]) -> list[bytes]:
        """Return the ids to request from a peer that announced messages. Called for every control part (`peerhave`)."""
        peers = self._peers
        if peers.scoring is not None and peers.score(peer) < peers.thresholds.gossip_threshold:
            return []
        self._offers[peer] = offers = self._offers.get(peer, 0) + 1
        room = self._max_ihave_length - self._asked.get(peer, 0)
        if offers > self._max_ihave_messages or room <= 0:
            return []
        not_seen, meshes = self._not_seen, self._mesh.meshes
        found: list[bytes] = []
        for ihave in ihaves:
            topic = ihave.topic_id
            if topic in meshes and (not peers.is_filtered or peers.allows(peer, topic)):
                ids: Sequence[bytes] = ihave.message_ids
                found += not_seen(ids[: self._max_ihave_length] if self._bounds_ihaves else ids)
        if not found:
            return []
        missing = list(dict.fromkeys(found))
        self._context.rng.shuffle(missing)
        del missing[room:]
        self._asked[peer] = self._asked.get(peer, 0) + len(missing)
        if self._promises is not None:
            self._promises.add(peer, missing)
        return missing

    def handle_offer(self, peer: PeerId, offer: SealedIHave) -> None:
        """Handle an RPC that is nothing but an IHAVE, and answer it."""
        wanted = self.handle_ihave(peer, (offer,))
        if wanted:
            control = ControlMessage(iwant=[ControlIWant(message_ids=wanted)])
            self._sender.send(peer, RPC(control=control))

    def settle_offer(self, peer: PeerId, offer: SealedIHave) -> bool:
        """Any time: count an IHAVE in which there is nothing to ask for; false, and not counted, if there may be."""
        if self._bounds_ihaves or self._peers.is_filtered or self._peers.scoring is not None:
            return False
        if offer.topic_id in self._mesh.meshes:
            not_seen = self._not_seen
            if not_seen(offer.message_ids):
                return False
        self._offers[peer] = self._offers.get(peer, 0) + 1
        return True

    def handle_iwant(self, peer: PeerId, iwants: Iterable[ControlIWant]) -> list[Message]:
        """Return the messages to send to a peer that requested some."""
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
        """Store the ids of messages that a peer does not want."""
        refusals = self._refusals.get(peer, 0)
        if refusals >= self._params.max_idontwant_messages:
            return
        self._refusals[peer] = refusals + 1
        ids = [message_id for idontwant in idontwants for message_id in idontwant.message_ids]
        unwanted = self._unwanted.setdefault(peer, {})
        for message_id in ids[: self._params.max_idontwant_length]:
            unwanted[cache_key(message_id)] = self._params.idontwant_ttl_ticks

    def is_unwanted(self, peer: PeerId, message_id: bytes) -> bool:
        """Return whether a peer has recently declined a message."""
        unwanted = self._unwanted.get(peer)
        return unwanted is not None and cache_key(message_id) in unwanted

    def wanted_by(self, peers: Iterable[PeerId], message_id: bytes) -> Iterable[PeerId]:
        """Return the given peers that have not declined a message."""
        if not self._unwanted:
            return peers
        return [peer for peer in peers if not self.is_unwanted(peer, message_id)]

    # --- sent ----------------------------------------------------------------------------------------------------

    def refuse_copies(self, sender: PeerId, messages: Sequence[Message]) -> None:
        """Decline large messages, which are received and about to be validated, at the mesh members."""
        by_topic: dict[str, list[bytes]] = {}
        for message in messages:
            if len(message.data) >= self._params.idontwant_threshold_bytes:
                by_topic.setdefault(message.topic, []).append(message.id)
        for topic, ids in by_topic.items():
            self._context.rng.shuffle(ids)
            for peer in self._mesh.meshes.get(topic, ()):
                if peer != sender and self._peers.can(peer, Feature.IDONTWANT):
                    rpc = RPC(control=ControlMessage(idontwant=[ControlIDontWant(message_ids=ids)]))
                    self._sender.send(peer, rpc, urgent=True)

    def emit(self, topic: str, excluded: Container[PeerId], score: Callable[[PeerId], float]) -> None:
        """Queue IHAVEs of the topic's latest messages to some peers outside its mesh or fanout."""
        ids = self.cache.gossip_ids(topic)
        if not ids:
            return
        rng, params = self._context.rng, self._params
        rng.shuffle(ids)
        told = self._listeners(topic, excluded, score)
        if len(ids) <= params.max_ihave_length:
            self._sender.queue_gossip(told, self._ihave(topic, ids))
            return
        for peer in told:  # a separate random sample for each peer, so that together they cover more ids
            rng.shuffle(ids)
            self._sender.queue_gossip((peer,), self._ihave(topic, ids[: params.max_ihave_length]))

    def _listeners(self, topic: str, excluded: Container[PeerId], score: Callable[[PeerId], float]) -> list[PeerId]:
        meshing, direct = self._peers.meshing, self._peers.direct
        members = self._context.topics.get(topic, ())
        candidates = [peer for peer in members if peer in meshing and peer not in excluded]
        if direct:
            candidates = [peer for peer in candidates if peer not in direct]
        if self._peers.scoring is not None:
            threshold = self._peers.thresholds.gossip_threshold
            candidates = [peer for peer in candidates if score(peer) >= threshold]
        target = max(self._params.d_lazy, int(self._params.gossip_factor * len(candidates)))
        if target < len(candidates):
            self._context.rng.shuffle(candidates)
            del candidates[target:]
        return candidates

    def begin_heartbeat(self) -> None:
        """Reset the counters, and expire old refusals."""
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
        if self._context.seals:
            return SealedIHave(topic, ids)
        control = ControlMessage(ihave=[ControlIHave(topic_id=topic, message_ids=ids)])
        return RPC(control=control).SerializeToString()
