"""How do frames of two hosts share one TCP connection? Length-prefixed frames and a few control frames, both ways.

Each side may have one stream to the other open. Its frames go as they are, each after its length as an unsigned varint;
length 0 announces an empty frame or a control frame: kind, number of the stream, and a text after its length. There is no encryption and
no general multiplexing (libp2p's Noise and yamux): what is measured here is asyncio, sockets and the node.

Everything written in one round of the loop leaves in one `transport.write`; frames are cut out of the received bytes
without a copy but their own. No task and no await is spent on a frame.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pubsub_sim.errors import FrameTooLarge, StreamRefused
from pubsub_sim.ids import PeerId, short

if TYPE_CHECKING:
    from pubsub_sim.ports import FrameReader, Inbound

PENDING = 32
"""Frames a stream takes in one round of the loop, as the window of the memory network."""
HIGH_WATER_BYTES = 64 * 1024
"""Bytes that wait in front of the socket before a stream takes no more (asyncio's default, set for uvloop too)."""
LONGEST = (1 << 28) - 1
"""Bytes of the longest frame: four bytes of varint."""

_EMPTY, _OPEN, _ACCEPT, _REFUSE, _CLOSE, _RESET, _STOP = range(7)  # what follows a length of 0
_EMPTY_FRAME = bytes((0, _EMPTY))
_SHORT = tuple(bytes((size,)) for size in range(0x80))


def _ignore() -> None:
    """The callback of a stream nobody listens to yet."""


def prefix(size: int) -> bytes:
    """The length prefix of a frame: its size as an unsigned varint; raises FrameTooLarge."""
    if size < 0x80:
        return _SHORT[size]
    if size < 0x4000:
        return bytes((size & 0x7F | 0x80, size >> 7))
    if size > LONGEST:
        raise FrameTooLarge(size, LONGEST)
    return bytes((size & 0x7F | 0x80,)) + prefix(size >> 7)


class TcpStream:
    """Our end of a stream to a peer. Implements Stream.

    Attributes:
        protocol: the negotiated protocol.
        number: which of the connection's streams from us to the peer.
        is_open: neither closed nor reset.
        wants_room: whether a frame was refused.
        on_writable: told when there is room again.
    """

    __slots__ = ("_line", "_on_closed", "is_open", "number", "on_writable", "protocol", "wants_room")

    def __init__(self, line: Line, number: int, protocol: str) -> None:
        self._line = line
        self.number = number
        self.protocol = protocol
        self.is_open = True
        self.wants_room = False
        self.on_writable: Callable[[], None] = _ignore
        self._on_closed: Callable[[], None] = _ignore

    def set_callbacks(self, on_writable: Callable[[], None], on_closed: Callable[[], None]) -> None:
        """See Stream."""
        self.on_writable = on_writable
        self._on_closed = on_closed

    def write(self, frame: bytes) -> bool:
        """See Stream. Raises FrameTooLarge over LONGEST."""
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
            pending.append(_EMPTY_FRAME)
            line.empty += 1
        line.sent += 1
        if not line.is_flushing:
            line.wake()
        return True

    def close(self) -> None:
        """See Stream."""
        if self.is_open:
            self.is_open = False
            self._line.control(_CLOSE, self.number)

    def reset(self) -> None:
        """See Stream; what has left already may still be read."""
        if self.is_open:
            self._line.control(_RESET, self.number)
            self.ended()

    def ended(self) -> None:
        """The stream is over, and not by `close`: its owner is told in the next round."""
        if self.is_open:
            self.is_open = False
            self._line.loop.call_soon(self._on_closed)


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
            line.control(_STOP, self.number)
            line.loop.call_soon(self.reader.ended, False)


class LineOwner(Protocol):
    """The host as its connections see it."""

    def accepts(self, protocols: Sequence[str]) -> tuple[str, Callable[[Inbound], FrameReader]] | None:
        """The first protocol we speak and what reads it, or None."""

    def is_blocked_by(self, line: Line) -> None:
        """A reader had no room: `line.go_on` is to be called when it has."""

    def lost(self, line: Line) -> None:
        """The connection is gone."""


class Line(asyncio.Protocol):
    """One connection as one of its two hosts sees it.

    Args:
        owner: the host.
        peer: the other host.
        transport: the connected socket.
        loop: the event loop.

    Attributes:
        outgoing: the stream from us to the peer, as far as one is open.
        incoming: the stream from the peer to us, as far as one is open.
        pending: what leaves with the next flush.
        is_flushing: whether a flush is scheduled.
        is_full: whether the socket's buffer is over its high-water mark.
        sent: frames and control frames written so far.
        empty: those of them that carry nothing.
        taken: frames and control frames read, and taken by their reader, so far.
    """

    def __init__(
        self, owner: LineOwner, peer: PeerId, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.peer = peer
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
        self._rest = bytearray()  # the beginning of a frame
        self._needed = 0  # its length, as far as it is known
        self._held: tuple[bytes, int] | None = None  # received, and where the frame begins that found no room
        self._late = b""  # received after that
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
        self.control(_OPEN, number, "\n".join(protocols))
        try:
            return await future
        finally:
            del self._opening[number]

    def cut(self) -> None:
        """End the connection at once; both directions are reset and the host is not told."""
        if self._is_cut:
            return
        self._is_cut = True
        self.transport.abort()
        self.pending.clear()
        self._held = None
        if self.outgoing is not None:
            self.outgoing.ended()
        if self.incoming is not None:
            incoming, self.incoming = self.incoming, None
            self.loop.call_soon(incoming.reader.ended, False)
        for future in self._opening.values():
            if not future.done():
                future.set_exception(StreamRefused(short(self.peer), "the connection is gone"))

    # --- writing -------------------------------------------------------------------------------------------------

    def control(self, kind: int, number: int, text: str = "") -> None:
        """Write a control frame; never refused, as there are few."""
        if self._is_cut:
            return
        body = text.encode()
        self.pending.append(b"\0" + _SHORT[kind] + prefix(number) + prefix(len(body)) + body)
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
        """See asyncio.Protocol."""
        self.is_full = True

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.is_full = False
        self._offer_room()

    def _offer_room(self) -> None:
        stream = self.outgoing
        if stream is not None and stream.wants_room and not self.is_full:
            stream.wants_room = False
            stream.on_writable()

    # --- reading -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._held is not None:
            self._late += data
            return
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        self._read(data, 0)

    def go_on(self) -> None:
        """There is room again for the frame that was refused."""
        if self._held is None:
            return
        (data, position), self._held = self._held, None
        self._read(data, position)
        if self._held is None and not self._is_cut:
            late, self._late = self._late, b""
            if late:
                self.data_received(late)
            if self._held is None and not self._is_cut:  # the late ones may have changed that
                self.transport.resume_reading()

    def _read(self, data: bytes, position: int) -> None:
        """Take the frames of `data` from `position` on, and keep what is left."""
        end = len(data)
        self._needed = 0
        while position < end and not self._is_cut:
            start = position
            size = data[position]
            position += 1
            if size >= 0x80:
                if position < end and data[position] < 0x80:  # two bytes, as most have
                    size += (data[position] << 7) - 0x80
                    position += 1
                else:
                    size, position = _read_varint(data, start)
            elif not size and position < end:
                if data[position] != _EMPTY:
                    position = self._read_control(data, position)
                    if position:
                        continue
                else:
                    position += 1
            elif not size:
                position = 0
            if not position:
                self._rest += data[start:]
                return
            if size > LONGEST:
                self.transport.abort()
                return
            stop = position + size
            if stop > end:
                self._needed = stop - start
                self._rest += data[start:]
                return
            incoming = self.incoming
            if incoming is not None and not incoming.reader.frame(data[position:stop]):
                self._held = (data, start)
                self.transport.pause_reading()
                self._owner.is_blocked_by(self)
                return
            self.taken += 1
            position = stop

    def _read_control(self, data: bytes, position: int) -> int:
        """Do what a control frame says; gives where it ends, 0 if it is not all there."""
        number, at = _read_varint(data, position + 1)
        size, at = _read_varint(data, at) if at else (0, 0)
        if not at or at + size > len(data):
            return 0
        text = data[at : at + size].decode()
        kind = data[position]
        incoming, outgoing = self.incoming, self.outgoing
        if kind == _OPEN:
            self._accept(number, text.split("\n"))
        elif kind in (_ACCEPT, _REFUSE):
            self._opened_by_peer(number, text, is_accepted=kind == _ACCEPT)
        elif kind == _STOP:
            if outgoing is not None and outgoing.number == number:
                outgoing.ended()
        elif incoming is not None and incoming.number == number:
            self.incoming = None
            incoming.reader.ended(kind == _CLOSE)
        self.taken += 1
        return at + size

    def _accept(self, number: int, protocols: Sequence[str]) -> None:
        spoken = self._owner.accepts(protocols)
        if spoken is None:
            self.control(_REFUSE, number, f"speaks none of {', '.join(protocols)}")
            return
        protocol, accept = spoken
        inbound = TcpInbound(self, number)
        self.control(_ACCEPT, number, protocol)
        inbound.reader = accept(inbound)
        if self.incoming is not None:
            self.loop.call_soon(self.incoming.reader.ended, False)
        self.incoming = inbound

    def _opened_by_peer(self, number: int, text: str, *, is_accepted: bool) -> None:
        """The peer answers our OPEN: `text` is the protocol, or why not."""
        future = self._opening.get(number)
        if future is None or future.done():  # who asked has given up
            if is_accepted:
                self.control(_RESET, number)
        elif is_accepted:
            if self.outgoing is not None:
                self.outgoing.ended()
            self.outgoing = TcpStream(self, number, text)
            future.set_result(self.outgoing)
        else:
            future.set_exception(StreamRefused(short(self.peer), text))

    def eof_received(self) -> None:
        """See asyncio.Protocol; the transport closes, as nobody reads what we would write."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.cut()
        self._owner.lost(self)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number and where it ends; (0, 0) if it is not all there, something over LONGEST if it is none of ours."""
    number = shift = 0
    for byte in data[position : position + 4]:
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    return (LONGEST + 1, position) if shift == 28 else (0, 0)
