"""Length-prefixed frames on a byte stream: an unsigned varint, then as many bytes (libp2p pubsub specification).

All that writes, reads or counts the bytes of a length uses these functions.
"""

from __future__ import annotations

from pubsub_sim.errors import FrameTooLarge, MalformedFrame

MAX_UVARINT_BYTES = 9
"""Bytes of the longest unsigned varint, so that a number has at most 63 bits (multiformats unsigned-varint)."""

_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))


def encode_uvarint(number: int) -> bytes:
    """Return the unsigned LEB128 form of a number >= 0."""
    if number < 0x80:
        return _ONE_BYTE[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80,)) + encode_uvarint(number >> 7)


def uvarint_bytes(number: int) -> int:
    """Return how many bytes `encode_uvarint` gives for a number >= 0."""
    return max(1, (number.bit_length() + 6) // 7)


def read_uvarint(data: bytes | bytearray, position: int, max_bytes: int = MAX_UVARINT_BYTES, /) -> tuple[int, int]:
    """Read an unsigned varint at `position`.

    Args:
        data: received bytes.
        position: where the varint begins.
        max_bytes: longest varint accepted.

    Returns:
        The number and the position after it; (0, 0) if more bytes are needed.

    Raises:
        MalformedFrame: the varint is longer than `max_bytes`.
    """
    number = shift = 0
    longest = position + max_bytes
    stop = min(longest, len(data))
    while position < stop:
        byte = data[position]
        position += 1
        if byte < 0x80:
            return number | byte << shift, position
        number |= (byte & 0x7F) << shift
        shift += 7
    if position == longest:
        raise MalformedFrame(max_bytes, f"the length is no unsigned varint of at most {max_bytes} bytes")
    return 0, 0


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
        """Return the next whole frame, or None until more bytes arrive.

        Raises:
            FrameTooLarge: the announced length is over the limit.
            MalformedFrame: the length is no varint.
        """
        length, position = read_uvarint(self._buffer, self._start)
        if not position:
            return None
        if length > self._limit_bytes:
            raise FrameTooLarge(length, self._limit_bytes)
        stop = position + length
        if stop > len(self._buffer):
            return None
        self._start = stop
        return bytes(self._buffer[position:stop])
