"""yamux 1.0.0: a sans-I/O implementation of many streams over one connection.

A frame has a header of twelve bytes, big-endian: version 0, type, flags, stream, length. Each end may initially send
`WINDOW` bytes of data in a stream, and more after window updates of the other end. Windows count the bytes of data frames
only. The body of a data frame is passed on incrementally, so that frames are never buffered.

Output is queued in the session until `take` is called: answers and window updates before data, and the data of all streams
in turn, in frames of at most `LONGEST_FRAME` bytes.

The memory a peer can occupy is bounded: streams by `YamuxLimits.inbound`, data by the windows, answers by
`YamuxLimits.unsent_bytes`. The length in a header is checked immediately. Frames of streams that were reset are dropped.

Source: hashicorp/yamux spec.md, and libp2p/specs yamux for the number of streams without an answer.
"""

from __future__ import annotations

from struct import Struct

from pubsub_sim.libp2p.errors import ProtocolViolation, TooManyStreams, TooMuchUnsent
from pubsub_sim.libp2p.yamux_streams import (
    ACK,
    CANCELLED,
    DATA,
    FIN,
    GO_AWAY,
    HEADER_BYTES,
    LARGEST_WINDOW,
    LONGEST_FRAME,
    NORMAL,
    PING,
    RESOURCE_LIMIT,
    RST,
    SYN,
    WINDOW,
    WINDOW_UPDATE,
    Event,
    Finished,
    GoneAway,
    Opened,
    PingAnswered,
    Received,
    WasReset,
    WholeTaker,
    YamuxLimits,
    YamuxStream,
)

YAMUX = "/yamux/1.0.0"
"""The protocol's name in multistream-select."""

_HEADER = Struct(">HHII")  # version 0 and type in one number
_pack, _unpack_from = _HEADER.pack, _HEADER.unpack_from
_PLAIN_HEADER = Struct(">QI")  # of a data frame without flags, whose first eight bytes are the number of its stream
_pack_plain, _unpack_plain = _PLAIN_HEADER.pack, _PLAIN_HEADER.unpack_from
_LAYER = "yamux"
_CREDIT_AT = WINDOW // 2  # bytes consumed in a stream before a window update is sent
_VIEW_BYTES = 4096  # from this size on data are not copied, for users that can do without
_CREDIT_BELOW = WINDOW - _CREDIT_AT  # the receive window up to which so many may have been consumed
_NO_STREAM = YamuxStream(0, is_local=True)  # stands for a stream that takes nothing


class Session:
    """One end of a multiplexed connection.

    Args:
        is_dialler: whether this is the dialling end, whose streams have odd numbers.
        limits: the limits.

    Attributes:
        streams: open streams by number.
        is_going_away: whether either end has announced the end of the session.
        has_output: whether `take` has output.
    """

    __slots__ = (
        "_body_flags",
        "_body_left",
        "_body_stream",
        "_control",
        "_credits",
        "_inbound",
        "_is_amid",
        "_limits",
        "_next_number",
        "_partial",
        "_queued",
        "_recent",
        "_remote_parity",
        "_unanswered",
        "has_output",
        "is_going_away",
        "streams",
    )

    def __init__(self, *, is_dialler: bool, limits: YamuxLimits | None = None) -> None:
        self.streams: dict[int, YamuxStream] = {}
        self.is_going_away = False
        self.has_output = False
        self._limits = YamuxLimits() if limits is None else limits
        self._next_number = 1 if is_dialler else 2
        self._remote_parity = 0 if is_dialler else 1
        self._inbound = 0
        self._unanswered = 0
        self._control: list[bytes] = []  # queued frames without data
        self._credits: dict[YamuxStream, None] = {}  # streams that need a window update
        self._queued: list[YamuxStream] = []  # streams with data to send within their windows
        self._recent = _NO_STREAM  # the stream of the last frame received whole
        self._is_amid = False  # whether the last bytes received ended inside a frame
        self._partial = b""  # an incomplete header
        self._body_left = 0  # remaining bytes of a data frame
        self._body_stream: YamuxStream | None = None  # its stream; None if unknown
        self._body_flags = 0

    # --- requests ------------------------------------------------------------------------------------------------

    def open(self) -> YamuxStream:
        """Open a new stream.

        Raises:
            TooManyStreams: too many streams are unanswered.
        """
        if self._unanswered >= self._limits.unanswered:
            raise TooManyStreams(self._unanswered)
        number = self._next_number
        self._next_number += 2
        stream = self.streams[number] = YamuxStream(number, is_local=True)
        self._unanswered += 1
        self._send(WINDOW_UPDATE, SYN, number, 0)
        return stream

    def write(self, stream: YamuxStream, data: bytes) -> None:
        """Queue data in a stream, to be sent within its window; no effect if it is not writable."""
        if not stream.is_writable:
            return
        stream.pending.append(data)
        stream.pending_bytes += len(data)
        if not stream.is_queued and stream.send_window:
            stream.is_queued = self.has_output = True
            self._queued.append(stream)

    def finish(self, stream: YamuxStream) -> None:
        """Finish a stream after the written data."""
        if stream.is_writable:
            stream.is_writable = False
            if stream.pending:
                stream.is_finishing = True
            else:
                self._send(WINDOW_UPDATE, FIN, stream.number, 0)
                self._forget_if_over(stream)

    def reset(self, stream: YamuxStream, code: int = CANCELLED) -> None:
        """Reset a stream in both directions; no effect if it is over."""
        if self.streams.get(stream.number) is stream:
            self._send(WINDOW_UPDATE, RST, stream.number, code)
            stream.is_reset = True
            self._forget(stream)

    def credit(self, stream: YamuxStream, count: int) -> None:
        """Note consumed bytes, which the other end may send again; a negative number takes back what counted as consumed."""
        stream.unconsumed -= count
        if stream.receive_window + stream.unconsumed <= _CREDIT_BELOW and stream.is_readable:
            self._credits[stream] = None
            self.has_output = True

    def ping(self, value: int) -> None:
        """Send a ping with a four-byte number."""
        self._send(PING, SYN, 0, value)

    def go_away(self, code: int = NORMAL) -> None:
        """Announce the end of the session."""
        self.is_going_away = True
        self._send(GO_AWAY, 0, 0, code)

    # --- output --------------------------------------------------------------------------------------------------

    def pack(self, stream: YamuxStream, data: bytes) -> bytes | None:
        """Return the frame with data that may be sent at once, which is the usual case.

        Returns:
            The frame; None if something else must be sent before, or the data exceed the window or a frame: they are for
            `write` then.
        """
        size = len(data)
        window = stream.send_window - size
        if window < 0 or size > LONGEST_FRAME or self.has_output or not stream.is_writable:
            return None
        stream.send_window = window
        return _pack_plain(stream.number, size) + data

    def take(self, limit_bytes: int = 4 * LONGEST_FRAME) -> bytes:
        """Return the bytes to send now: answers, then data, up to one frame more than the limit."""
        queued = self._queued
        if len(queued) == 1 and not self._control and not self._credits:  # the usual case
            stream = queued[0]
            size = stream.pending_bytes
            if size <= stream.send_window and size <= LONGEST_FRAME and not stream.is_finishing:
                queued.clear()
                stream.is_queued = self.has_output = False
                stream.send_window -= size
                data = b"".join((_pack(DATA, 0, stream.number, size), *stream.pending))
                stream.pending.clear()
                stream.pending_bytes = 0
                return data
        out: list[bytes | memoryview] = []
        if self._control:
            out += self._control
            self._control.clear()
        if self._credits:
            for stream in self._credits:
                self._tell_credit(stream, out)
            self._credits.clear()
        while queued and limit_bytes > 0:
            self._queued = []
            for stream in queued:
                limit_bytes -= self._take_frame(stream, out)
            queued = self._queued
        self.has_output = bool(queued)
        return b"".join(out)

    def _tell_credit(self, stream: YamuxStream, out: list[bytes | memoryview]) -> None:
        consumed = WINDOW - stream.receive_window - stream.unconsumed
        if stream.is_readable and consumed > 0:
            stream.receive_window += consumed
            out.append(_pack(WINDOW_UPDATE, 0, stream.number, consumed))

    def _take_frame(self, stream: YamuxStream, out: list[bytes | memoryview]) -> int:
        """Append one data frame of a queued stream, and requeue the stream if it has more; return the frame's size."""
        size = stream.pending_bytes
        room = stream.send_window
        if size <= room and size <= LONGEST_FRAME:
            if size:
                out.append(_pack(DATA, 0, stream.number, size))
                out += stream.pending
                stream.pending.clear()
                stream.pending_bytes = 0
                stream.send_window = room - size
            stream.is_queued = False
            if stream.is_finishing:
                stream.is_finishing = False
                out.append(_pack(WINDOW_UPDATE, FIN, stream.number, 0))
                self._forget_if_over(stream)
            return size
        size = min(size, room, LONGEST_FRAME)
        rest = memoryview(b"".join(stream.pending)) if len(stream.pending) > 1 else memoryview(stream.pending[0])
        out.append(_pack(DATA, 0, stream.number, size))
        out.append(rest[:size])
        stream.pending = [rest[size:]]
        stream.pending_bytes -= size
        stream.send_window = room - size
        if stream.send_window:
            self._queued.append(stream)
        else:
            stream.is_queued = False
        return size

    def _send(self, kind: int, flags: int, number: int, value: int) -> None:
        self._control.append(_pack(kind, flags, number, value))
        self.has_output = True

    # --- input ---------------------------------------------------------------------------------------------------

    def receive_whole(self, data: bytes) -> WholeTaker | None:
        """Process received bytes if they are a single data frame of a stream with a `taker`, which is the usual case.

        Returns:
            The taker, which is to take the bytes, header included; its data count as consumed. None if the bytes are
            anything else: nothing was processed then, and they are for `receive`.
        """
        size = len(data) - HEADER_BYTES
        if size <= 0 or self._is_amid:
            return None
        number, length = _unpack_plain(data)
        stream = self._recent
        if stream.number != number:
            stream = self._recent = self.streams.get(number, _NO_STREAM)
        taker = stream.taker
        window = stream.receive_window - size
        if taker is None or length != size or window < 0:
            return None
        stream.receive_window = window
        if window <= _CREDIT_BELOW:
            self.credit(stream, 0)
        return taker

    def receive(self, data: bytes) -> list[Event]:
        """Process received bytes; return the events, in order.

        Raises:
            ProtocolViolation: the bytes are invalid; the session cannot continue.
            TooMuchUnsent: the other end does not read the answers to its requests; the session cannot continue.
        """
        events: list[Event] = []
        if self._partial:
            data = self._partial + data
            self._partial = b""
        position, end = 0, len(data)
        while position < end:
            left = self._body_left
            if left:
                stop = position + left
                if stop > end:
                    stop = end
                stream = self._body_stream
                if stream is not None and stream.is_readable:
                    is_view = stop - position >= _VIEW_BYTES and stream.taker is not None
                    events.append(Received(stream, (memoryview(data) if is_view else data)[position:stop]))
                self._body_left = left - (stop - position)
                position = stop
                if not self._body_left:
                    self._end_body(events)
                continue
            if end - position < HEADER_BYTES:
                self._partial = data[position:]
                break
            kind, flags, number, length = _unpack_from(data, position)
            position += HEADER_BYTES
            if kind == DATA and not flags and number:  # the usual case
                stream = self.streams.get(number)
                if stream is not None:
                    if length > stream.receive_window or not stream.is_readable:
                        raise self._over_window(stream, length)
                    stream.receive_window -= length
                    stream.unconsumed += length
                self._body_stream = stream
                self._body_left = length
            else:
                self._read_header(kind, flags, number, length, events)
        self._is_amid = bool(self._body_left or self._partial)
        if len(self._control) * HEADER_BYTES > self._limits.unsent_bytes:
            raise TooMuchUnsent(len(self._control) * HEADER_BYTES, self._limits.unsent_bytes)
        return events

    def _over_window(self, stream: YamuxStream, length: int) -> ProtocolViolation:
        if not stream.is_readable:
            return ProtocolViolation(_LAYER, "no data in a stream that was finished", f"{length} bytes")
        return ProtocolViolation(_LAYER, f"data within a window of {stream.receive_window} bytes", f"{length} bytes")

    def _read_header(self, kind: int, flags: int, number: int, length: int, events: list[Event]) -> None:
        if kind > GO_AWAY:
            expected = "version 0" if kind > 0xFF else "a known type of frame"
            raise ProtocolViolation(_LAYER, expected, kind >> 8 if kind > 0xFF else kind)
        if kind >= PING:
            if number:
                raise ProtocolViolation(_LAYER, "stream 0 for pings and ends", number)
            self._read_session_frame(kind, flags, length, events)
            return
        if not number:
            raise ProtocolViolation(_LAYER, "a stream other than 0", number)
        stream = self._stream_of(flags, number, events)
        if flags & RST:
            self._was_reset(stream, length if kind == WINDOW_UPDATE else 0, events)
            stream = None
        if kind == WINDOW_UPDATE:
            if stream is not None:
                self._widen(stream, length)
                if flags & FIN:
                    self._finished(stream, events)
            return
        if stream is not None:
            if length and (length > stream.receive_window or not stream.is_readable):
                raise self._over_window(stream, length)
            stream.receive_window -= length
            stream.unconsumed += length
        self._body_stream = stream
        self._body_flags = flags
        self._body_left = length
        if not length:
            self._end_body(events)

    def _end_body(self, events: list[Event]) -> None:
        flags, self._body_flags = self._body_flags, 0
        stream, self._body_stream = self._body_stream, None
        if flags & FIN and stream is not None:
            self._finished(stream, events)

    def _stream_of(self, flags: int, number: int, events: list[Event]) -> YamuxStream | None:
        """Return the stream of a frame after processing its flags SYN and ACK; None if there is none."""
        stream = self.streams.get(number)
        if flags & SYN:
            if number & 1 != self._remote_parity:
                expected = "odd" if self._remote_parity else "even"
                raise ProtocolViolation(_LAYER, f"an {expected} number for a stream of the peer", number)
            if stream is not None:
                raise ProtocolViolation(_LAYER, "a new number for a new stream", number)
            return self._accept(number, events)
        if stream is not None and flags & ACK and not stream.is_answered:
            stream.is_answered = True
            self._unanswered -= 1
        return stream

    def _accept(self, number: int, events: list[Event]) -> YamuxStream | None:
        if self._inbound >= self._limits.inbound or self.is_going_away:
            self._send(WINDOW_UPDATE, RST, number, RESOURCE_LIMIT)
            return None
        self._inbound += 1
        stream = self.streams[number] = YamuxStream(number, is_local=False)
        self._send(WINDOW_UPDATE, ACK, number, 0)
        events.append(Opened(stream))
        return stream

    def _read_session_frame(self, kind: int, flags: int, value: int, events: list[Event]) -> None:
        if kind == GO_AWAY:
            self.is_going_away = True
            events.append(GoneAway(value))
        elif flags & SYN:
            self._send(PING, ACK, 0, value)
        elif flags & ACK:
            events.append(PingAnswered(value))

    def _widen(self, stream: YamuxStream, delta: int) -> None:
        stream.send_window += delta
        if stream.send_window > LARGEST_WINDOW:
            raise ProtocolViolation(_LAYER, f"a window of at most {LARGEST_WINDOW} bytes", stream.send_window)
        if stream.pending and not stream.is_queued and stream.send_window:
            stream.is_queued = self.has_output = True
            self._queued.append(stream)

    def _finished(self, stream: YamuxStream, events: list[Event]) -> None:
        if stream.is_readable:
            stream.is_readable = False
            stream.taker = None
            events.append(Finished(stream))
            self._forget_if_over(stream)

    def _was_reset(self, stream: YamuxStream | None, code: int, events: list[Event]) -> None:
        if stream is not None:
            self._forget(stream)
            events.append(WasReset(stream, code))

    def _forget_if_over(self, stream: YamuxStream) -> None:
        if not stream.is_readable and not stream.is_writable and not stream.is_finishing:
            self._forget(stream)

    def _forget(self, stream: YamuxStream) -> None:
        if self.streams.pop(stream.number, None) is None:
            return
        stream.is_readable = stream.is_writable = stream.is_finishing = False
        stream.taker = None
        if stream is self._recent:
            self._recent = _NO_STREAM
        stream.pending.clear()
        stream.pending_bytes = 0
        if stream.is_queued:
            stream.is_queued = False
            if stream in self._queued:
                self._queued.remove(stream)
        self._credits.pop(stream, None)
        self.has_output = bool(self._control or self._queued or self._credits)
        if not stream.is_local:
            self._inbound -= 1
        elif not stream.is_answered:
            self._unanswered -= 1
