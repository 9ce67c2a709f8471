"""The binary encoding of Go's time.Time: version, seconds since the year 1, nanoseconds, zone in minutes."""

from __future__ import annotations

import struct
from typing import Final

UTC: Final = -1
"""The zone of a time in UTC, as opposed to a zone with an offset of zero."""
_EPOCH_S: Final = 62_135_596_800
"""Seconds from the year 1 to 1970."""
_LAYOUT: Final = struct.Struct(">bqih")


def pack_time(unix_ns: int, zone: int = UTC) -> bytes:
    """Return a time in Go's encoding.

    Args:
        unix_ns: Nanoseconds since 1970.
        zone: Minutes east of Greenwich, or `UTC`.
    """
    seconds, rest = divmod(unix_ns, 1_000_000_000)
    return _LAYOUT.pack(1, seconds + _EPOCH_S, rest, zone)


def unpack_time(data: bytes) -> tuple[int, int] | None:
    """Return nanoseconds since 1970 and the zone; None for another version of the encoding or Go's zero time."""
    if len(data) != _LAYOUT.size:
        return None
    version, seconds, rest, zone = _LAYOUT.unpack(data)
    if version != 1 or not seconds:
        return None
    return (seconds - _EPOCH_S) * 1_000_000_000 + rest, zone
