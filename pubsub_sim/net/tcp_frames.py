"""The byte format of a TCP connection between two hosts: length prefixes and kinds of control frames.

A frame goes as it is, after its length as an unsigned varint. Length 0 announces an empty frame or a control frame:
kind, number of the stream, and a text after its length.
"""

from __future__ import annotations

import enum

from pubsub_sim.errors import FrameTooLarge

LONGEST = (1 << 28) - 1
"""Bytes of the longest frame: four bytes of varint."""

LONGEST_TEXT = 1 << 16
"""Bytes of the longest text of a control frame: more protocols than anybody speaks."""

_SHORT = tuple(bytes((size,)) for size in range(0x80))


class Kind(enum.IntEnum):
    """What follows a length of 0."""

    EMPTY = 0
    OPEN = 1  # the writer asks for a stream; the text holds its protocols, a line each
    ACCEPT = 2  # the reader gives the protocol
    REFUSE = 3  # the reader says why not
    CLOSE = 4  # the writer has no more
    RESET = 5  # the writer has given up
    STOP = 6  # the reader takes no more


KINDS = frozenset(Kind)
EMPTY_FRAME = bytes((0, Kind.EMPTY))


def prefix(size: int) -> bytes:
    """The length prefix of a frame: its size as an unsigned varint; raises FrameTooLarge."""
    if size < 0x80:
        return _SHORT[size]
    if size < 0x4000:
        return bytes((size & 0x7F | 0x80, size >> 7))
    if size > LONGEST:
        raise FrameTooLarge(size, LONGEST)
    return bytes((size & 0x7F | 0x80,)) + prefix(size >> 7)


def control_frame(kind: Kind, number: int, text: str) -> bytes:
    """The bytes of a control frame about stream `number`."""
    body = text.encode()
    return b"\0" + _SHORT[kind] + prefix(number) + prefix(len(body)) + body


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number and where it ends; (0, 0) if it is not all there, something over LONGEST if it is none of ours."""
    number = shift = 0
    for byte in data[position : position + 4]:
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
    return (LONGEST + 1, position) if shift == 28 else (0, 0)
