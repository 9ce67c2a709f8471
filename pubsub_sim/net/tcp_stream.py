"""The writing end and the reading end of a stream over a TCP connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.net.tcp_frames import EMPTY_FRAME, Kind, prefix

if TYPE_CHECKING:
    from pubsub_sim.net.tcp_connection import Connection
    from pubsub_sim.ports import FrameReader, FrameWriter

PENDING = 32
"""Frames a stream takes in one round of the loop, as the window of the memory network."""


class TcpStream:
    """Our end of a stream to a peer. Implements Stream.

    Attributes:
        protocol: the negotiated protocol.
        number: which of the connection's streams from us to the peer.
        is_open: neither closed nor reset.
        wants_room: whether a frame was refused.
        writer: who is told that there is room, and of the end; None as long as nobody has asked.
    """

    __slots__ = ("_connection", "is_open", "number", "protocol", "wants_room", "writer")

    def __init__(self, connection: Connection, number: int, protocol: str) -> None:
        self._connection = connection
        self.number = number
        self.protocol = protocol
        self.is_open = True
        self.wants_room = False
        self.writer: FrameWriter | None = None

    def set_writer(self, writer: FrameWriter) -> None:
        """Keep the writer to be told."""
        self.writer = writer

    def write(self, frame: bytes) -> bool:
        """Queue a frame for the next flush of the connection. Raises MessageTooLarge over LONGEST."""
        connection = self._connection
        if not self.is_open:
            return True
        pending = connection.pending
        if connection.is_full or len(pending) >= 2 * PENDING:
            self.wants_room = True
            return False
        if frame:
            pending.append(prefix(len(frame)))
            pending.append(frame)
        else:
            pending.append(EMPTY_FRAME)
            connection.empty += 1
        connection.sent += 1
        if not connection.is_flushing:
            connection.wake()
        return True

    def close(self) -> None:
        """Write a CLOSE control frame after the queued frames, if the stream is open."""
        if self.is_open:
            self.is_open = False
            self._connection.control(Kind.CLOSE, self.number)

    def reset(self) -> None:
        """Reset the stream; what has left already may still be read."""
        if self.is_open:
            self._connection.control(Kind.RESET, self.number)
            self.ended()

    def ended(self) -> None:
        """The stream is over, and not by `close`: its owner is told in the next round."""
        if self.is_open:
            self.is_open = False
            if self.writer is not None:
                self._connection.loop.call_soon(self.writer.ended)


class TcpInbound:
    """Our end of a stream from a peer. Implements Inbound.

    Attributes:
        peer: who writes.
        number: which of the connection's streams from the peer to us.
        reader: takes its frames.
    """

    __slots__ = ("_connection", "number", "peer", "reader")

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self.peer = connection.peer
        self.number = number
        self.reader: FrameReader

    def reset(self) -> None:
        """Stop reading; frames that still arrive are thrown away."""
        connection = self._connection
        if connection.incoming is self:
            connection.incoming = None
            connection.control(Kind.STOP, self.number)
            connection.loop.call_soon(self.reader.ended, False)
