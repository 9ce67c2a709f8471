"""What a host keeps of one peer while there is a connection with it: connections, protocols, a stream in each direction.

Streams of pubsub come in pairs, one per direction, and a node that loses one of them forgets half of what it knows of the
peer: it forgets the peer's topics when its outgoing stream ends, and the peer does not repeat them, as its own outgoing
stream is alive. So a broken stream is not repaired by opening that one again. Two rules repair it, with go-libp2p-pubsub
and with ourselves at the other end:

- If the peer opens its stream anew, ours, if it is from before, is reset; the node then opens it anew and says again what
  it has subscribed to.
- If our stream is broken, the peer's, if it is from before, is reset; the peer then does the same.

With the end of our stream the node forgets the peer's topics, so that it is told before the peer's new stream is read, in which
they are repeated.

Streams are counted in each direction, so that two ends that follow the rules do not reset each other's new streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pubsub_sim.ids import PeerId
    from pubsub_sim.net.libp2p_connection import Connection
    from pubsub_sim.net.libp2p_streams import InboundFrames, OutboundFrames


class Peer:
    """One peer.

    Args:
        peer_id: who it is.

    Attributes:
        connections: those with it, oldest first.
        protocols: what it accepts streams of; None as long as it has not said so.
        is_announced: whether those who wait for connections were told of it.
        outgoing: the stream from us, if one is open.
        incoming: the stream to us, if one is open.
    """

    def __init__(self, peer_id: PeerId) -> None:
        self.peer_id = peer_id
        self.connections: list[Connection] = []
        self.protocols: frozenset[str] | None = None
        self.is_announced = False
        self.outgoing: OutboundFrames | None = None
        self.incoming: InboundFrames | None = None
        self._outgoing_round = 0
        self._incoming_round = 0

    @property
    def best(self) -> Connection | None:
        """The connection that new streams are opened on: the latest that is not over."""
        for connection in reversed(self.connections):
            if not connection.is_over and not connection.session.is_going_away:
                return connection
        return None

    def begin_outgoing(self, stream: OutboundFrames) -> None:
        """Our stream is open; one before it is reset."""
        older, self.outgoing = self.outgoing, stream
        self._outgoing_round = max(self._outgoing_round + 1, self._incoming_round)
        if older is not None:
            older.reset()

    def begin_incoming(self, stream: InboundFrames) -> None:
        """The peer's stream is open; one before it is reset, and so is ours if it is from before."""
        older, self.incoming = self.incoming, stream
        self._incoming_round += 1
        if older is not None:
            older.reset()
        if self.outgoing is not None and self._outgoing_round < self._incoming_round:
            self.outgoing.break_off()

    def end_outgoing(self, stream: OutboundFrames) -> None:
        """Our stream is broken: the peer's is reset if it is from before."""
        if self.outgoing is not stream:
            return
        self.outgoing = None
        if self.incoming is not None and self._incoming_round <= self._outgoing_round:
            self.incoming.reset()

    def end_incoming(self, stream: InboundFrames) -> None:
        """The peer's stream is over."""
        if self.incoming is stream:
            self.incoming = None
