"""Unsigned varints of multiformats: little-endian groups of seven bits, at most nine bytes, no needless zeros."""

from __future__ import annotations

from pubsub_sim.libp2p.errors import ProtocolViolation

MOST_BYTES = 9

_SHORT = tuple(bytes((number,)) for number in range(0x80))


def encode_varint(number: int) -> bytes:
    """The bytes of a number from 0 to 2**63 - 1."""
    if number < 0x80:
        return _SHORT[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80,)) + encode_varint(number >> 7)


def decode_varint(data: bytes | bytearray, position: int = 0, *, layer: str = "varint") -> tuple[int, int] | None:
    """A number and where it ends; None if it is not all there.

    Raises:
        ProtocolViolation: it has more than nine bytes, or is not written in as few as possible.
    """
    number = shift = 0
    for byte in data[position : position + MOST_BYTES]:
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise ProtocolViolation(layer, "a varint of as few bytes as possible", number)
            return number, position
        shift += 7
    if shift == 7 * MOST_BYTES:
        raise ProtocolViolation(
            layer, f"a varint of at most {MOST_BYTES} bytes", bytes(data[position - MOST_BYTES : position])
        )
    return None
