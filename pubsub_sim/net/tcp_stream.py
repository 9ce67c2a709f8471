"""The writing end and the reading end of a stream over a TCP connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.net.tcp_frames import EMPTY_FRAME, Kind, prefix

if TYPE_CHECKING:
    from pubsub_sim.net.tcp_line import Line
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

    __slots__ = ("_line", "is_open", "number", "protocol", "wants_room", "writer")

    def __init__(self, line: Line, number: int, protocol: str) -> None:
        self._line = line
        self.number = number
        self.protocol = protocol
        self.is_open = True
        self.wants_room = False
        self.writer: FrameWriter | None = None

    def set_writer(self, writer: FrameWriter) -> None:
        """Keep the writer to be told."""
        self.writer = writer

    def write(self, frame: bytes) -> bool:
        """Queue a frame for the next flush of the connection. Raises FrameTooLarge over LONGEST."""
        line = self._line
        if not self.is_open:
            return True
        pending = line.pending
        if line.is_full or len(pending) >= 2 * PENDING:
            self.wants_room = True
            return False
        if frame:
            pending.append(prefix(len(frame)))
            pending.append(frame)
        else:
            pending.append(EMPTY_FRAME)
            line.empty += 1
        line.sent += 1
        if not line.is_flushing:
            line.wake()
        return True

    def close(self) -> None:
        """Write a CLOSE control frame after the queued frames, if the stream is open."""
        if self.is_open:
            self.is_open = False
            self._line.control(Kind.CLOSE, self.number)

    def reset(self) -> None:
        """See Stream; what has left already may still be read."""
        if self.is_open:
            self._line.control(Kind.RESET, self.number)
            self.ended()

    def ended(self) -> None:
        """The stream is over, and not by `close`: its owner is told in the next round."""
        if self.is_open:
            self.is_open = False
            if self.writer is not None:
                self._line.loop.call_soon(self.writer.ended)


class TcpInbound:
    """Our end of a stream from a peer. Implements Inbound.

    Attributes:
        peer: who writes.
        number: which of the connection's streams from the peer to us.
        reader: takes its frames.
    """

    __slots__ = ("_line", "number", "peer", "reader")

    def __init__(self, line: Line, number: int) -> None:
        self._line = line
        self.peer = line.peer
        self.number = number
        self.reader: FrameReader

    def reset(self) -> None:
        """See Inbound; frames that still arrive are thrown away."""
        line = self._line
        if line.incoming is self:
            line.incoming = None
            line.control(Kind.STOP, self.number)
            line.loop.call_soon(self.reader.ended, False)
