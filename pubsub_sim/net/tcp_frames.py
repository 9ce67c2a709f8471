"""The byte format of a TCP connection between two hosts: length prefixes and kinds of control frames.

A frame goes as it is, after its length as an unsigned varint. Length 0 announces an empty frame or a control frame:
kind, number of the stream, and a text after its length.
"""

from __future__ import annotations

import enum

from pubsub_sim.errors import MessageTooLarge
from pubsub_sim.framing import encode_uvarint

LENGTH_BYTES = 4
"""Bytes of the longest varint."""

LONGEST = (1 << 7 * LENGTH_BYTES) - 1
"""Bytes of the longest frame."""

LONGEST_TEXT = 1 << 16
"""Bytes of the longest text of a control frame: more protocols than anybody speaks."""


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
    """The length prefix of a frame: its size as an unsigned varint; raises MessageTooLarge."""
    if size > LONGEST:
        raise MessageTooLarge(size, LONGEST)
    return encode_uvarint(size)


def control_frame(kind: Kind, number: int, text: str) -> bytes:
    """The bytes of a control frame about stream `number`."""
    body = text.encode()
    return bytes((0, kind)) + prefix(number) + prefix(len(body)) + body
