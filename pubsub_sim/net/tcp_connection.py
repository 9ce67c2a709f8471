"""One TCP connection shared by the frames of two hosts: length-prefixed frames and a few control frames, both ways.

Each side may have one stream to the other open; `tcp_frames` says what the bytes mean. There is no encryption and no
general multiplexing (libp2p's Noise and yamux): what is measured here is asyncio, sockets and the node.

Everything written in one round of the loop leaves in one `transport.write`; frames are cut out of the received bytes
without a copy but their own. No task and no await is spent on a frame.

A peer may send what it likes. Of a frame that nobody reads, or whose announced length is over its reader's limit, nothing
is kept; what is no frame at all ends the connection, and so does a peer that asks on without reading the answers.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import MalformedFrame, StreamRefused
from pubsub_sim.framing import read_uvarint
from pubsub_sim.ids import PeerId, short
from pubsub_sim.net.tcp_frames import KINDS, LENGTH_BYTES, LONGEST_TEXT, Kind, control_frame
from pubsub_sim.net.tcp_stream import TcpInbound, TcpStream

if TYPE_CHECKING:
    from pubsub_sim.ports import FrameReader, Inbound

HIGH_WATER_BYTES = 64 * 1024
"""Bytes that wait in front of the socket before a stream takes no more (asyncio's default, set for uvloop too)."""


class ConnectionOwner(Protocol):
    """The host as its connections see it."""

    def accepts(self, protocols: Sequence[str]) -> tuple[str, Callable[[Inbound], FrameReader]] | None:
        """The first protocol we speak and what reads it, or None."""

    def is_blocked_by(self, connection: Connection) -> None:
        """A reader had no room: `connection.resume_reading` is to be called when it has."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""


class Connection(asyncio.Protocol):
    """One connection as one of its two hosts sees it.

    Args:
        owner: the host.
        peer: the other host.
        transport: the connected socket.
        loop: the event loop.
        is_outbound: whether our host dialled.

    Attributes:
        outgoing: the stream from us to the peer, as far as one is open.
        incoming: the stream from the peer to us, as far as one is open.
        pending: what leaves with the next flush.
        is_flushing: whether a flush is scheduled.
        is_full: whether the socket's buffer is over its high-water mark.
        sent: frames and control frames written so far.
        empty: those of them that carry no bytes of a stream.
        taken: frames and control frames read, and taken by their reader, so far.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        peer: PeerId,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        *,
        is_outbound: bool,
    ) -> None:
        self.peer = peer
        self.is_outbound = is_outbound
        self.loop = loop
        self.outgoing: TcpStream | None = None
        self.incoming: TcpInbound | None = None
        self.pending: list[bytes] = []
        self.is_flushing = False
        self.is_full = False
        self.sent = 0
        self.empty = 0
        self.taken = 0
        self._owner = owner
        self.transport = transport
        self._opened = 0
        self._opening: dict[int, asyncio.Future[TcpStream]] = {}
        self._partial = bytearray()  # the beginning of a frame
        self._expected = 0  # its length with the prefix; 0 while that is unknown
        self._skip_bytes = 0  # bytes still to come of a frame that is thrown away
        self._unread_bytes = 0  # control frames written since the peer has stopped reading
        self._blocked_at: tuple[bytes, int] | None = None  # received bytes, and where the refused frame begins
        self._backlog = b""  # received after those of `_blocked_at`
        self._is_cut = False
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    @property
    def frames(self) -> int:
        """Frames of streams written so far, empty ones not counted."""
        return self.sent - self.empty

    async def open_stream(self, protocols: Sequence[str]) -> TcpStream:
        """Negotiate a stream to the peer; the one before it, if it is open, is reset. Raises StreamRefused."""
        self._opened += 1
        number = self._opened
        future: asyncio.Future[TcpStream] = self.loop.create_future()
        self._opening[number] = future
        self.control(Kind.OPEN, number, "\n".join(protocols))
        try:
            stream = await future
        finally:
            del self._opening[number]
        if stream.protocol not in protocols:
            stream.reset()
            raise StreamRefused(short(self.peer), "answers with a protocol it was not asked for")
        return stream

    def cut(self) -> None:
        """End the connection at once; both directions are reset and the host is not told."""
        if self._is_cut:
            return
        self._is_cut = True
        self.transport.abort()
        self.pending.clear()
        self._blocked_at = None
        if self.outgoing is not None:
            self.outgoing.ended()
        if self.incoming is not None:
            incoming, self.incoming = self.incoming, None
            self.loop.call_soon(incoming.reader.ended, False)
        for future in self._opening.values():
            if not future.done():
                future.set_exception(StreamRefused(short(self.peer), "the connection is gone"))

    # --- writing -------------------------------------------------------------------------------------------------

    def control(self, kind: Kind, number: int, text: str = "") -> None:
        """Write a control frame; never refused, as there are few. Who lets them pile up is cut off."""
        if self._is_cut:
            return
        frame = control_frame(kind, number, text)
        if self.is_full:
            self._unread_bytes += len(frame)
            if self._unread_bytes > HIGH_WATER_BYTES:
                self.transport.abort()
                return
        self.pending.append(frame)
        self.sent += 1
        self.empty += 1
        if not self.is_flushing:
            self.wake()

    def wake(self) -> None:
        """Schedule a flush."""
        self.is_flushing = True
        self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self.is_flushing = False
        if self.pending:
            self.transport.write(b"".join(self.pending))
            self.pending.clear()
            self._offer_room()

    def pause_writing(self) -> None:
        """Take no more frames: the socket's buffer is over its high-water mark."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Take frames again and tell the writer that waits for room."""
        self.is_full = False
        self._unread_bytes = 0
        self._offer_room()

    def _offer_room(self) -> None:
        stream = self.outgoing
        if stream is not None and stream.wants_room and not self.is_full:
            stream.wants_room = False
            if stream.writer is not None:
                stream.writer.writable()

    # --- reading -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Cut frames out of the received bytes; keep an incomplete one, and all bytes while a reader has no room."""
        if self._blocked_at is not None:
            self._backlog += data
            return
        if self._skip_bytes:
            passed = min(self._skip_bytes, len(data))
            self._skip_bytes -= passed
            if self._skip_bytes:
                return
            self.taken += 1
            self._read(data, passed)
            return
        if self._partial:
            self._partial += data
            if len(self._partial) < self._expected:
                return
            data = bytes(self._partial)
            self._partial.clear()
        self._read(data, 0)

    def resume_reading(self) -> None:
        """There is room again for the frame that was refused."""
        if self._blocked_at is None:
            return
        (data, position), self._blocked_at = self._blocked_at, None
        self._read(data, position)
        if self._blocked_at is None and not self._is_cut:
            backlog, self._backlog = self._backlog, b""
            if backlog:
                self.data_received(backlog)
            if self._blocked_at is None and not self._is_cut:  # a frame of the backlog may have been refused
                self.transport.resume_reading()

    def _read(self, data: bytes, position: int) -> None:
        """Take the frames of `data` from `position` on, and keep what is left."""
        end = len(data)
        self._expected = 0
        while position < end and not self._is_cut:
            start = position
            try:
                size, position = read_uvarint(data, start, LENGTH_BYTES)
                if position and not size:  # an empty frame or a control frame
                    if position == end:
                        position = 0
                    elif data[position] == Kind.EMPTY:
                        position += 1
                    else:
                        position = self._read_control(data, position)
                        if position:
                            continue
            except MalformedFrame:
                self._protocol_error()
                return
            if not position:
                self._partial += data[start:]
                return
            stop = position + size
            if stop > end:
                self._keep(data, start, size, stop)
                return
            incoming = self.incoming
            if incoming is not None and not incoming.reader.frame(data[position:stop]):
                self._blocked_at = (data, start)
                self.transport.pause_reading()
                self._owner.is_blocked_by(self)
                return
            self.taken += 1
            position = stop

    def _keep(self, data: bytes, start: int, size: int, stop: int) -> None:
        """The frame that begins at `start` ends at `stop`, after `data`: keep what is there, unless nobody takes it."""
        incoming = self.incoming
        if incoming is not None and size <= incoming.reader.limit_bytes:
            self._expected = stop - start
            self._partial += data[start:]
            return
        self._skip_bytes = stop - len(data)
        if incoming is not None:
            incoming.reset()

    def _read_control(self, data: bytes, position: int) -> int:
        """Do what a control frame says, whose kind is at `position`.

        Returns:
            Where it ends; 0 if more bytes are needed.

        Raises:
            MalformedFrame: it is none.
        """
        kind = data[position]
        if kind not in KINDS:
            raise MalformedFrame(1, f"{kind} is no kind of control frame")
        number, at = read_uvarint(data, position + 1, LENGTH_BYTES)
        size, at = read_uvarint(data, at, LENGTH_BYTES) if at else (0, 0)
        if size > LONGEST_TEXT:
            raise MalformedFrame(size, f"a control frame's text has at most {LONGEST_TEXT} bytes")
        if not at or at + size > len(data):
            self._expected = at + size - position + 1 if at else 0
            return 0
        try:
            text = data[at : at + size].decode()
        except UnicodeDecodeError as error:
            raise MalformedFrame(size, str(error)) from None
        self._handle_control(kind, number, text)
        self.taken += 1
        return at + size

    def _protocol_error(self) -> None:
        """What came is no frame: read nothing more, and end the connection."""
        self._skip_bytes = sys.maxsize
        self.transport.abort()

    def _handle_control(self, kind: int, number: int, text: str) -> None:
        """Do what a control frame says."""
        incoming, outgoing = self.incoming, self.outgoing
        if kind == Kind.OPEN:
            self._accept(number, text.split("\n"))
        elif kind in (Kind.ACCEPT, Kind.REFUSE):
            self._opened_by_peer(number, text, is_accepted=kind == Kind.ACCEPT)
        elif kind == Kind.STOP:
            if outgoing is not None and outgoing.number == number:
                outgoing.ended()
        elif incoming is not None and incoming.number == number:
            self.incoming = None
            incoming.reader.ended(kind == Kind.CLOSE)

    def _accept(self, number: int, protocols: Sequence[str]) -> None:
        spoken = self._owner.accepts(protocols)
        if spoken is None:
            self.control(Kind.REFUSE, number, f"supports none of {', '.join(protocols)}")
            return
        protocol, accept = spoken
        inbound = TcpInbound(self, number)
        self.control(Kind.ACCEPT, number, protocol)
        inbound.reader = accept(inbound)
        if self.incoming is not None:
            self.loop.call_soon(self.incoming.reader.ended, False)
        self.incoming = inbound

    def _opened_by_peer(self, number: int, text: str, *, is_accepted: bool) -> None:
        """The peer answers our OPEN: `text` is the protocol, or why not."""
        future = self._opening.get(number)
        if future is None or future.done():  # whoever asked was cancelled
            if is_accepted:
                self.control(Kind.RESET, number)
        elif is_accepted:
            if self.outgoing is not None:
                self.outgoing.ended()
            self.outgoing = TcpStream(self, number, text)
            future.set_result(self.outgoing)
        else:
            future.set_exception(StreamRefused(short(self.peer), text))

    def eof_received(self) -> None:
        """Let the transport close at the peer's end of data, as nobody reads what we would write."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End both directions and tell the host."""
        self.cut()
        self._owner.lost(self)
