"""Length-prefixed frames on a byte stream: an unsigned varint, then as many bytes (libp2p pubsub specification).

All code that writes, reads or measures a length prefix uses these functions.
"""

from __future__ import annotations

from pubsub_sim.errors import FrameTooLarge, MalformedFrame

MAX_UVARINT_BYTES = 9
"""Maximal size of an unsigned varint in bytes, for numbers of at most 63 bits (multiformats unsigned-varint)."""

_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))


def encode_uvarint(number: int) -> bytes:
    """Return the unsigned LEB128 form of a number >= 0."""
    if number < 0x80:
        return _ONE_BYTE[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80,)) + encode_uvarint(number >> 7)


def uvarint_bytes(number: int) -> int:
    """Return the size of `encode_uvarint(number)` for a number >= 0."""
    return max(1, (number.bit_length() + 6) // 7)


def read_uvarint(data: bytes | bytearray, position: int, max_bytes: int = MAX_UVARINT_BYTES, /) -> tuple[int, int]:
    """Read an unsigned varint at `position`.

    Args:
        data: received bytes.
        position: start of the varint.
        max_bytes: maximal size accepted.

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
        raise MalformedFrame(max_bytes, f"the length is not an unsigned varint of at most {max_bytes} bytes")
    return 0, 0


class FrameDecoder:
    """An incremental decoder of a byte stream into frames.

    Args:
        limit_bytes: maximal size of a frame.
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
        """Return the next complete frame, or None if more bytes are needed.

        Raises:
            FrameTooLarge: the announced length exceeds the limit.
            MalformedFrame: the length is not a varint.
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
