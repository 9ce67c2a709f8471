"""Framing on a byte stream: an unsigned varint length precedes each frame (libp2p pubsub spec)."""

from __future__ import annotations

from pubsub_sim.errors import FrameTooLarge, MalformedFrame

_MAX_VARINT_BYTES = 9  # multiformats unsigned-varint: at most 63 bits


def encode_uvarint(number: int) -> bytes:
    """The unsigned LEB128 form of a number >= 0."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class FrameDecoder:
    """Cuts a byte stream into frames; feed it what arrives, in any pieces.

    Args:
        limit_bytes: longest frame accepted.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._start = 0

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def next_frame(self) -> bytes | None:
        """The next whole frame, or None until more bytes arrive.

        Raises:
            FrameTooLarge: the announced length is over the limit.
            MalformedFrame: the length is no varint.
        """
        buffer, position, end = self._buffer, self._start, len(self._buffer)
        length = shift = 0
        while True:
            if position == end:
                return None
            byte = buffer[position]
            position += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= 7 * _MAX_VARINT_BYTES:
                raise MalformedFrame(end - self._start, "the length is no unsigned varint")
        if length > self._limit_bytes:
            raise FrameTooLarge(length, self._limit_bytes)
        if position + length > end:
            return None
        self._start = position + length
        return bytes(buffer[position : self._start])
