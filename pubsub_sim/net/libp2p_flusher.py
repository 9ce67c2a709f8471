"""The rounds of a libp2p host: what its connections have to send is written in one call of the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pubsub_sim.libp2p.varint import encode_varint

if TYPE_CHECKING:
    import asyncio

    from pubsub_sim.net.libp2p_connection import Connection


class Flusher:
    """The rounds of one host: all connections that have something to send are flushed in one call at the end of a round.

    A frame is mostly written to many peers, one after the other, so that it gets its length only once.

    Args:
        loop: the event loop.

    Attributes:
        round: the number of the current round, from 1.
        frame: the frame written last in this round, if any.
        framed: the same after its length.
        frames: frames written to streams so far, empty ones not counted.
        waiting: connections to be flushed, first come first served; `schedule` is called with the first.
    """

    __slots__ = ("_flush_soon", "_is_scheduled", "_loop", "frame", "framed", "frames", "round", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.round = 1
        self.frame: bytes | None = None
        self.framed = b""
        self.frames = 0
        self.waiting: list[Connection] = []
        self._is_scheduled = False
        self._loop = loop
        self._flush_soon = self._flush  # one object, as it is scheduled for nearly every message

    def begin(self, frame: bytes) -> None:
        """Add a frame's length; the round ends with this turn of the loop."""
        self.frame = frame
        self.framed = encode_varint(len(frame)) + frame
        self.schedule()

    def schedule(self) -> None:
        """Flush in the next turn of the loop."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush_soon)

    def _flush(self) -> None:
        self._is_scheduled = False
        self.round += 1
        self.frame = None
        self.framed = b""
        waiting, self.waiting = self.waiting, []
        waiting.reverse()
        try:
            while waiting:
                waiting.pop().flush()
        finally:
            if waiting:  # a writer has raised, which ends this call and nobody else's flush
                self.waiting += reversed(waiting)
                self.schedule()
