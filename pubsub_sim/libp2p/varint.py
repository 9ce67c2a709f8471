"""Unsigned varints of multiformats: little-endian groups of seven bits, at most nine bytes, minimally encoded."""

from __future__ import annotations

from pubsub_sim.framing import MAX_UVARINT_BYTES, encode_uvarint
from pubsub_sim.libp2p.errors import ProtocolViolation

MOST_BYTES = MAX_UVARINT_BYTES

encode_varint = encode_uvarint
"""Encodes a number from 0 to 2**63 - 1."""


def decode_varint(
    data: bytes | bytearray | memoryview, position: int = 0, *, layer: str = "varint"
) -> tuple[int, int] | None:
    """Return a number and its end position; None if more bytes are needed.

    Raises:
        ProtocolViolation: it has more than nine bytes, or is not minimally encoded.
    """
    number = shift = 0
    for byte in data[position : position + MOST_BYTES]:
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise ProtocolViolation(layer, "a minimally encoded varint", number)
            return number, position
        shift += 7
    if shift == 7 * MOST_BYTES:
        raise ProtocolViolation(
            layer, f"a varint of at most {MOST_BYTES} bytes", bytes(data[position - MOST_BYTES : position])
        )
    return None
