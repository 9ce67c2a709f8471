"""The sending side of gossipsub: adds pending control messages to an RPC, and splits it if it is too large.

GRAFT and PRUNE refused by a full queue are kept and retried with the next RPC to that peer, or at the next heartbeat;
everything else is lost, as in the reference (`sendRPC`, `pushControl`, `piggybackControl`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from pubsub_sim.protocol.router import send_message
from pubsub_sim.wire.rpc_pb2 import RPC, ControlMessage
from pubsub_sim.wire.sealed import as_encoded, seal
from pubsub_sim.wire.splitting import split

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.protocol.router import RouterContext
    from pubsub_sim.wire.message import Message
    from pubsub_sim.wire.sealed import Frame


class GossipSender:
    """The sender of one gossipsub host.

    Args:
        meshes: members by topic, which determine whether a pending GRAFT or PRUNE is still valid.
        packs_pieces: the rule for splitting large RPCs (see `wire.splitting`).
    """

    def __init__(self, meshes: Mapping[str, Container[PeerId]], *, packs_pieces: bool) -> None:
        self._meshes = meshes
        self._packs_pieces = packs_pieces
        self._gossip: dict[PeerId, list[Frame]] = {}  # RPCs with an IHAVE each, shared by many peers
        self._control: dict[PeerId, ControlMessage] = {}
        self._context: RouterContext

    def attach(self, context: RouterContext) -> None:
        """Whose queues are used."""
        self._context = context

    def forget(self, peer: PeerId) -> None:
        """Remove a peer and drop its pending messages."""
        self._gossip.pop(peer, None)
        self._control.pop(peer, None)

    def send_message(self, message: Message, peers: Iterable[PeerId]) -> None:
        """Send a message to peers, except to its sender and its author."""
        if self._gossip or self._control:
            sender, author = message.received_from, message.source
            plain = []
            for peer in peers:
                if peer not in self._gossip and peer not in self._control:
                    plain.append(peer)
                elif peer not in (sender, author):
                    self.send(peer, RPC(publish=[message.wire]))
            peers = plain
        send_message(self._context, message, peers)

    def send(self, peer: PeerId, rpc: RPC, *, urgent: bool = False) -> None:
        """Send an RPC, which may be modified; it is dropped if the peer is gone."""
        control = self._control.pop(peer, None)
        if control is not None:
            self._ride_along(peer, rpc, control)
        gossip = self._gossip.pop(peer, None)
        if gossip is not None:
            rpc.control.ClearField("ihave")
            for frame in gossip:
                rpc.MergeFromString(as_encoded(frame))
        context = self._context
        if peer not in context.peers:
            return
        frame = self._pack(rpc)
        limit = context.params.max_message_bytes
        if len(frame) < limit:
            self._push(peer, rpc, frame, urgent=urgent)
            return
        for piece in split(rpc, limit, packs_messages=self._packs_pieces):
            frame = self._pack(piece)
            if len(frame) <= limit:
                self._push(peer, piece, frame, urgent=urgent)
            else:
                self._lost(peer, piece)
                context.report_drop(peer, frame)

    def queue_gossip(self, peers: Iterable[PeerId], frame: Frame) -> None:
        """Queue an RPC with one IHAVE, to be sent with the next RPC to each of the peers or by `flush`."""
        gossip = self._gossip
        for peer in peers:
            if peer in gossip:
                gossip[peer].append(frame)
            else:
                gossip[peer] = [frame]

    def flush(self) -> None:
        """Send pending gossip, with the control messages of the same peers, then the other control messages."""
        gossip, context = self._gossip, self._context
        outboxes, limit = context.peers, context.params.max_message_bytes
        for peer in list(gossip):
            frames = gossip[peer]
            frame = frames[0]
            if len(frames) == 1 and peer not in self._control and len(frame) < limit:
                del gossip[peer]
                outbox = outboxes.get(peer)
                if outbox is None:
                    continue
                if context.trace_sending is not None:
                    context.send(peer, frame)
                elif not outbox.push(frame):  # as `send` does; an IHAVE that is refused is lost, like any gossip
                    context.report_drop(peer, frame)
            else:
                self.send(peer, RPC())
        for peer in list(self._control):
            rpc = RPC()
            self._ride_along(peer, rpc, self._control.pop(peer))
            if rpc.HasField("control"):
                self.send(peer, rpc)

    def _ride_along(self, peer: PeerId, rpc: RPC, control: ControlMessage) -> None:
        """Add the pending messages that are still valid: a GRAFT if the peer is in the mesh, a PRUNE if it is not."""
        grafts = [graft for graft in control.graft if self._is_meshed(graft.topic_id, peer)]
        prunes = [prune for prune in control.prune if not self._is_meshed(prune.topic_id, peer)]
        if grafts or prunes:
            rpc.control.graft.extend(grafts)
            rpc.control.prune.extend(prunes)

    def _is_meshed(self, topic: str, peer: PeerId) -> bool:
        return peer in self._meshes.get(topic, ())

    def _pack(self, rpc: RPC) -> Frame:
        return seal(rpc) if self._context.seals else rpc.SerializeToString()

    def _push(self, peer: PeerId, rpc: RPC, frame: Frame, *, urgent: bool) -> None:
        send = self._context.send_urgent if urgent else self._context.send
        if not send(peer, frame):
            self._lost(peer, rpc)

    def _lost(self, peer: PeerId, rpc: RPC) -> None:
        """Keep GRAFT and PRUNE of a lost RPC, in addition to those of other pieces of the same RPC."""
        if rpc.HasField("control") and (rpc.control.graft or rpc.control.prune):
            kept = self._control.setdefault(peer, ControlMessage())
            kept.graft.extend(rpc.control.graft)
            kept.prune.extend(rpc.control.prune)
