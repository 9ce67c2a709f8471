"""The streams of pubsub over a libp2p connection: frames to a peer, and frames from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pubsub_sim.libp2p.errors import Libp2pError
from pubsub_sim.libp2p.varint import decode_varint
from pubsub_sim.libp2p.yamux_streams import CANCELLED, HEADER_BYTES, WINDOW

if TYPE_CHECKING:
    from pubsub_sim.libp2p.yamux_streams import YamuxStream
    from pubsub_sim.net.libp2p_connection import Connection
    from pubsub_sim.ports import FrameReader, FrameWriter

PENDING = 32
"""Frames a stream takes in one round of the loop, as the window of the memory network."""

PENDING_BYTES = WINDOW
"""Bytes that wait for the peer's window before a stream takes no more."""


_AFTER_ONE = HEADER_BYTES + 1  # where a frame begins whose length takes one byte


class OutboundFrames:
    """Our end of a stream of frames to a peer. Implements Stream, StreamUser and RoomTaker.

    Args:
        connection: whose stream it is.
        stream: the muxer's.
        protocol: the negotiated protocol.
        on_end: told if it ends, and not by `close`; in the next round, as its writer is.

    Attributes:
        protocol: the negotiated protocol.
        connection: whose stream it is.
        is_open: neither closed nor reset.
    """

    __slots__ = ("_on_end", "_stream", "_wants_room", "_writer", "connection", "is_open", "protocol")

    def __init__(
        self,
        connection: Connection,
        stream: YamuxStream,
        protocol: str,
        on_end: Callable[[OutboundFrames], None],
    ) -> None:
        self.connection = connection
        self.protocol = protocol
        self.is_open = True
        self._stream = stream
        self._on_end = on_end
        self._writer: FrameWriter | None = None
        self._wants_room = False

    def set_writer(self, writer: FrameWriter) -> None:
        """Keep the writer to be told."""
        self._writer = writer

    def write(self, frame: bytes) -> bool:
        """Send a frame, after its length: at once if it is the connection's first in this round, else with the next flush."""
        connection = self.connection
        flusher = connection.flusher
        if frame is not flusher.frame:
            flusher.begin(frame)
        number = flusher.round
        if connection.sent_round < number and frame:
            data = connection.session.pack(self._stream, flusher.framed)
            if data is not None:
                connection.sent_round = number
                flusher.frames += 1
                connection.transport.write(connection.channel.seal(data))
                return True
        return self._queue(frame, flusher.framed)

    def _queue(self, frame: bytes, framed: bytes) -> bool:
        """Queue a frame for the next flush of the connection."""
        if not self.is_open:
            return True
        connection, stream = self.connection, self._stream
        if connection.is_full or (stream.pending and self._is_crowded):
            if not self._wants_room:
                self._wants_room = True
                connection.wanting.append(self)
            return False
        if frame:
            connection.flusher.frames += 1
        connection.session.write(stream, framed)
        if not connection.is_flushing:
            connection.wake()
        return True

    @property
    def _is_crowded(self) -> bool:
        """Whether the stream takes no more for now."""
        return len(self._stream.pending) >= PENDING or self._stream.pending_bytes >= PENDING_BYTES

    def offer_room(self) -> None:
        """Tell the writer, if there is room now."""
        if self._is_crowded:
            self.connection.wanting.append(self)
            return
        self._wants_room = False
        if self._writer is not None and self.is_open:
            self._writer.writable()

    def close(self) -> None:
        """Finish the stream after the queued frames, if it is open."""
        if self.is_open:
            self.is_open = False
            self.connection.session.finish(self._stream)
            self.connection.wake_if_needed()

    def reset(self) -> None:
        """Reset the stream; its owner is told in the next round."""
        if self.is_open:
            self.connection.session.reset(self._stream, CANCELLED)
            self.connection.wake_if_needed()
            self.was_reset()

    def break_off(self) -> None:
        """Reset the stream and tell its owner at once: before it hears of what the peer sends in a new stream of its own."""
        if self.is_open:
            self.is_open = False
            self.connection.session.reset(self._stream, CANCELLED)
            self.connection.wake_if_needed()
            self._tell_end()

    def received(self, data: bytes) -> None:
        """A reader never writes: to go-libp2p-pubsub, too, a byte here means that the peer is dead."""
        self.reset()

    def finished(self) -> None:
        """The reader is gone, unless we have closed the stream."""
        self.reset()

    def was_reset(self) -> None:
        """The stream is over, and not by `close`."""
        if self.is_open:
            self.is_open = False
            self.connection.loop.call_soon(self._tell_end)

    def _tell_end(self) -> None:
        if self._writer is not None:
            self._writer.ended()
        self._on_end(self)


class InboundFrames:
    """Our end of a stream of frames from a peer. Implements Inbound and StreamUser.

    Bytes are credited to the peer once they are taken or collected as the beginning of a frame; while the reader has no
    room they are kept and not credited, so there are never more of them than a window.

    Args:
        connection: whose stream it is.
        stream: the muxer's.
        on_blocked: told when the reader had no room: `go_on` is to be called when it has.
        on_end: told when the stream is over.

    Attributes:
        peer: who writes.
        connection: whose stream it is.
        reader: takes its frames.
        is_open: neither finished nor reset.
        is_blocked: whether a frame found no room.
    """

    __slots__ = (
        "_held",
        "_is_amid",
        "_is_finished",
        "_needed",
        "_on_blocked",
        "_on_end",
        "_owed",
        "_partial",
        "_start",
        "_stream",
        "connection",
        "is_blocked",
        "is_open",
        "peer",
        "reader",
    )

    def __init__(
        self,
        connection: Connection,
        stream: YamuxStream,
        on_blocked: Callable[[InboundFrames], None],
        on_end: Callable[[InboundFrames], None],
    ) -> None:
        self.connection = connection
        self.peer = connection.peer
        self.reader: FrameReader
        self.is_open = True
        self.is_blocked = False
        self._stream = stream
        self._on_blocked = on_blocked
        self._on_end = on_end
        self._partial = bytearray()  # the beginning of a frame
        self._needed = 0  # its bytes with its length; 0 as long as the length is not there
        self._start = 0  # where it begins, behind its length
        self._held = bytearray()  # from the frame on that found no room
        self._owed = 0  # received bytes that are not credited, as a frame found no room
        self._is_finished = False
        self._is_amid = False  # inside a frame, or blocked
        stream.taker = self

    def take_whole(self, data: bytes) -> None:
        """Take a frame of the muxer whose data are, as nearly always, one frame of ours: without another copy."""
        if not self._is_amid:
            end = len(data)
            size = data[HEADER_BYTES]
            if size > 0x7F and end > _AFTER_ONE:
                more = data[_AFTER_ONE]
                start = _AFTER_ONE + 1
                size += (
                    more * 0x80 - 0x80 if more < 0x80 else end
                )  # longer lengths are for `received`, as too large ones
            else:
                start = _AFTER_ONE
            if start + size == end:
                if not self.reader.frame(data[start:]):
                    self._block(data[HEADER_BYTES:])
                    self._owed = end - HEADER_BYTES
                    self.connection.session.credit(self._stream, -self._owed)
                return
        self.connection.session.credit(self._stream, HEADER_BYTES - len(data))
        try:
            self.received(data[HEADER_BYTES:])
        except Libp2pError:
            self.connection.refuse(self._stream)

    def received(self, data: bytes | memoryview) -> None:
        """Cut frames out of the received bytes."""
        if self.is_blocked:
            self._held += data
            self._owed += len(data)
            return
        partial = self._partial
        if partial:
            partial += data
            is_taken = len(partial) < self._needed or self._take_collected(partial)
        else:
            is_taken = self._cut(data)
        if is_taken:
            self._is_amid = bool(self._partial)
            self.connection.session.credit(self._stream, len(data))
        else:
            self._owed = len(data)

    def go_on(self) -> None:
        """There is room again for the frame that was refused."""
        if not self.is_blocked or not self.is_open:
            return
        self.is_blocked = False
        held, self._held = bytes(self._held), bytearray()
        try:
            if not self._cut(held):
                return
        except Libp2pError:
            self.reset()
            return
        self._is_amid = bool(self._partial)
        owed, self._owed = self._owed, 0
        self.connection.session.credit(self._stream, owed)
        self.connection.wake_if_needed()
        if self._is_finished:
            self.finished()

    def _cut(self, data: bytes | memoryview) -> bool:
        """Give whole frames to the reader and keep what is left; False if a frame found no room."""
        position, end = 0, len(data)
        while position < end and self.is_open:
            start = position
            size = data[position]
            position += 1
            if size >= 0x80:
                if position < end and data[position] < 0x80:  # two bytes, as most have
                    size += (data[position] << 7) - 0x80
                    position += 1
                else:
                    found = decode_varint(data, start, layer="pubsub")
                    if found is None:
                        self._keep(data[start:], 0)
                        return True
                    size, position = found
            stop = position + size
            if stop > end:
                if size > self.reader.limit_bytes:
                    self.reset()
                else:
                    self._keep(data[start:], stop - start, position - start)
                return True
            if not self.reader.frame(bytes(data[position:stop])):
                self._block(data[start:])
                return False
            position = stop
        return True

    def _block(self, data: bytes | bytearray | memoryview) -> None:
        """Hold what begins with a frame that found no room."""
        self._held += data
        self.is_blocked = self._is_amid = True
        self._on_blocked(self)

    def _keep(self, data: bytes | memoryview, needed: int, start: int = 0) -> None:
        self._partial += data
        self._needed = needed
        self._start = start

    def _take_collected(self, partial: bytearray) -> bool:
        """Give the collected frame to the reader, copied once, and what stands behind it; False if one found no room."""
        start, stop = self._start, self._needed
        if not stop:  # so far, not even its length is known
            data = bytes(partial)
            partial.clear()
            return self._cut(data)
        with memoryview(partial) as view:
            frame, behind = bytes(view[start:stop]), bytes(view[stop:])
        if not self.reader.frame(frame):
            self._block(partial)
            partial.clear()
            return False
        partial.clear()
        return not behind or self._cut(behind)

    def finished(self) -> None:
        """The peer has closed the stream: finish our direction too, after what is held."""
        if self.is_blocked:
            self._is_finished = True
        elif self.is_open:
            self.connection.session.finish(self._stream)
            self._end(clean=not self._partial)

    def was_reset(self) -> None:
        """The peer has given the stream up."""
        self._end(clean=False)

    def reset(self) -> None:
        """Refuse all further frames."""
        if self.is_open:
            self.connection.session.reset(self._stream, CANCELLED)
            self.connection.wake_if_needed()
            self._end(clean=False)

    def _end(self, *, clean: bool) -> None:
        if self.is_open:
            self.is_open = False
            self._held = bytearray()
            self._partial = bytearray()
            self.connection.loop.call_soon(self.reader.ended, clean)
            self._on_end(self)
