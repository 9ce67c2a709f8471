"""The sending side of gossipsub: adds pending control messages to an RPC, and splits it if it is too large.

GRAFT and PRUNE that a full queue refused are kept and tried again with the next RPC to that peer, or at the next
heartbeat; everything else is lost, as in the reference (`sendRPC`, `pushControl`, `piggybackControl`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from pubsub_sim.protocol.router import send_message
from pubsub_sim.wire.rpc_pb2 import RPC, ControlMessage
from pubsub_sim.wire.sealed import as_encoded, seal, size_of
from pubsub_sim.wire.splitting import split

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.core import Core
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import Frame


class GossipSender:
    """Sends for one gossipsub host.

    Args:
        meshes: topic -> members, by which is decided whether a pending GRAFT or PRUNE still holds.
        packs_pieces: which rule cuts large RPCs (see `wire.splitting`).
    """

    def __init__(self, meshes: Mapping[str, Container[PeerId]], *, packs_pieces: bool) -> None:
        self._meshes = meshes
        self._packs_pieces = packs_pieces
        self._gossip: dict[PeerId, list[Frame]] = {}  # RPCs with an IHAVE each, shared by many peers
        self._control: dict[PeerId, ControlMessage] = {}
        self._core: Core

    def attach(self, core: Core) -> None:
        """Whose queues are used."""
        self._core = core

    def forget(self, peer: PeerId) -> None:
        """A peer is gone: what waits for it is lost."""
        self._gossip.pop(peer, None)
        self._control.pop(peer, None)

    def send_message(self, message: Message, peers: Iterable[PeerId]) -> None:
        """Send a message to peers, but not to where it came from nor to its author."""
        if self._gossip or self._control:
            sender, author = message.received_from, message.source
            plain = []
            for peer in peers:
                if peer not in self._gossip and peer not in self._control:
                    plain.append(peer)
                elif peer not in (sender, author):
                    self.send(peer, RPC(publish=[message.wire]))
            peers = plain
        send_message(self._core, message, peers)

    def send(self, peer: PeerId, rpc: RPC, *, urgent: bool = False) -> None:
        """Send an RPC, which is ours to change; dropped if the peer is gone."""
        control = self._control.pop(peer, None)
        if control is not None:
            self._ride_along(peer, rpc, control)
        gossip = self._gossip.pop(peer, None)
        if gossip is not None:
            rpc.control.ClearField("ihave")
            for frame in gossip:
                rpc.MergeFromString(as_encoded(frame))
        core = self._core
        if peer not in core.peers:
            return
        frame = self._pack(rpc)
        limit = core.params.max_message_bytes
        if size_of(frame) < limit:
            self._push(peer, rpc, frame, urgent=urgent)
            return
        for piece in split(rpc, limit, packs_messages=self._packs_pieces):
            frame = self._pack(piece)
            if size_of(frame) <= limit:
                self._push(peer, piece, frame, urgent=urgent)
            else:
                self._lost(peer, piece)
                core.report_drop(peer, frame)

    def queue_gossip(self, peer: PeerId, frame: Frame) -> None:
        """Have an RPC with one IHAVE ride on the next RPC to a peer, or leave with the flush."""
        self._gossip.setdefault(peer, []).append(frame)

    def flush(self) -> None:
        """Send what waits: gossip, with the control messages of the same peers, then the other control messages."""
        for peer in list(self._gossip):
            frames = self._gossip[peer]
            if (
                len(frames) == 1
                and peer not in self._control
                and size_of(frames[0]) < self._core.params.max_message_bytes
            ):
                del self._gossip[peer]
                if peer in self._core.peers:
                    self._core.send(peer, frames[0])  # an IHAVE that is refused is lost, like any gossip
            else:
                self.send(peer, RPC())
        for peer in list(self._control):
            rpc = RPC()
            self._ride_along(peer, rpc, self._control.pop(peer))
            if rpc.HasField("control"):
                self.send(peer, rpc)

    def _ride_along(self, peer: PeerId, rpc: RPC, control: ControlMessage) -> None:
        """Add what still holds: a GRAFT while the peer is in the mesh, a PRUNE while it is not."""
        grafts = [graft for graft in control.graft if self._is_meshed(graft.topic_id, peer)]
        prunes = [prune for prune in control.prune if not self._is_meshed(prune.topic_id, peer)]
        if grafts or prunes:
            rpc.control.graft.extend(grafts)
            rpc.control.prune.extend(prunes)

    def _is_meshed(self, topic: str, peer: PeerId) -> bool:
        return peer in self._meshes.get(topic, ())

    def _pack(self, rpc: RPC) -> Frame:
        return seal(rpc) if self._core.seals else rpc.SerializeToString()

    def _push(self, peer: PeerId, rpc: RPC, frame: Frame, *, urgent: bool) -> None:
        send = self._core.send_urgent if urgent else self._core.send
        if not send(peer, frame):
            self._lost(peer, rpc)

    def _lost(self, peer: PeerId, rpc: RPC) -> None:
        """Keep GRAFT and PRUNE of an RPC, beside those of other pieces of the same RPC."""
        if rpc.HasField("control") and (rpc.control.graft or rpc.control.prune):
            kept = self._control.setdefault(peer, ControlMessage())
            kept.graft.extend(rpc.control.graft)
            kept.prune.extend(rpc.control.prune)
