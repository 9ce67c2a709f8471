"""Readers and writers of bare streams, for tests of networks: what arrived, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pubsub_sim.ids import PeerId
from pubsub_sim.ports import Host, Inbound, Stream


class Reader:
    """Takes frames while it has room, and notes what it took, when, and how the stream ended."""

    def __init__(self, inbound: Inbound, now_ns: Callable[[], int]) -> None:
        self.inbound = inbound
        self.frames: list[bytes] = []
        self.times_ns: list[int] = []
        self.ends: list[bool] = []
        self.room = 1 << 30
        self.limit_bytes = 1 << 28
        self._now_ns = now_ns

    def frame(self, frame: bytes) -> bool:
        if not self.room:
            return False
        self.room -= 1
        self.frames.append(frame)
        self.times_ns.append(self._now_ns())
        return True

    def ended(self, clean: bool) -> None:
        self.ends.append(clean)


class Writer:
    """Notes what it is told about a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.rooms = 0
        self.closes = 0
        stream.set_writer(self)

    def writable(self) -> None:
        self.rooms += 1

    def ended(self) -> None:
        self.closes += 1


PROTOCOL = "/test/1"


def serve(host: Host, now_ns: Callable[[], int], protocols: Sequence[str] = (PROTOCOL,)) -> list[Reader]:
    """The readers of all streams that hosts open to this one, oldest first."""
    readers: list[Reader] = []

    def accept(inbound: Inbound) -> Reader:
        readers.append(Reader(inbound, now_ns))
        return readers[-1]

    host.serve(protocols, accept)
    return readers


def peer(number: int) -> PeerId:
    """Some id."""
    return PeerId(bytes([number]) * 38)
