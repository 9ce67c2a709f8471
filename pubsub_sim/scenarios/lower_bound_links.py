"""Links between the lower bound's hosts: queues in memory, or loopback sockets with a length before each frame.

There is no back pressure: a queue has no bound, and what a socket does not take at once waits in its transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from pubsub_sim.errors import OptionConflict
from pubsub_sim.framing import FrameDecoder
from pubsub_sim.net.sockets import Sockets
from pubsub_sim.net.tcp_frames import LONGEST, prefix
from pubsub_sim.net.virtual import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LOOPBACK = "127.0.0.1"


class Linked(Protocol):
    """A host as its links see it."""

    @property
    def peer_id(self) -> bytes:
        """Who it is."""

    def linked(self, peer: bytes, send: Callable[[bytes], None]) -> None:
        """There is a link now; `send` takes what `Links.packed` gives."""

    def take(self, sender: bytes, frame: bytes) -> None:
        """A frame has come."""


class Links(Protocol):
    """How all hosts of a run are connected."""

    async def connect_all(self, hosts: Sequence[Linked]) -> None:
        """Link every pair."""

    def packed(self, frame: bytes) -> bytes:
        """Return a frame as it is handed to each link, made once however many peers it goes to."""

    async def close(self) -> None:
        """Leave nothing open."""


class Queues:
    """A queue per host, in memory.

    Args:
        loop: the event loop; a host reads in the round after frames have come.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def connect_all(self, hosts: Sequence[Linked]) -> None:
        """Link every pair through the queues of both hosts."""
        ways = [self._way_to(host) for host in hosts]
        for number, host in enumerate(hosts):
            for other in range(number + 1, len(hosts)):
                host.linked(hosts[other].peer_id, ways[other](host.peer_id))
                hosts[other].linked(host.peer_id, ways[number](hosts[other].peer_id))

    def packed(self, frame: bytes) -> bytes:
        """Return the frame itself."""
        return frame

    async def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _way_to(self, host: Linked) -> Callable[[bytes], Callable[[bytes], None]]:
        """Return a function that makes the way from a peer into a host's queue."""
        inbox: deque[tuple[bytes, bytes]] = deque()
        take, call_soon = host.take, self._loop.call_soon

        def drain() -> None:
            while inbox:
                take(*inbox.popleft())

        def way_from(sender: bytes) -> Callable[[bytes], None]:
            def send(frame: bytes) -> None:
                inbox.append((sender, frame))
                if len(inbox) == 1:
                    call_soon(drain)

            return send

        return way_from


class Connections:
    """A socket on loopback per pair of hosts; no greeting but the dialler's id.

    Args:
        loop: the event loop.

    Raises:
        OptionError: it runs on virtual time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if isinstance(loop, VirtualLoop):
            raise OptionConflict("transport", "tcp", "clock", "virtual", "sockets need the wall clock")
        self._loop = loop
        self._sockets = Sockets()

    async def connect_all(self, hosts: Sequence[Linked]) -> None:
        """Connect every pair over a socket; of two hosts the later one dials."""
        for number, host in enumerate(hosts):
            greeted: list[bytes] = []
            others = hosts[number + 1 :]
            server = await self._loop.create_server(partial(Connection, host, self._sockets, greeted), _LOOPBACK, 0)
            try:
                address = server.sockets[0].getsockname()
                for other in others:
                    dialler = partial(Connection, other, self._sockets, greeted, host.peer_id)
                    await self._loop.create_connection(dialler, *address)
                while len(greeted) < len(others):  # noqa: ASYNC110 - a greeting takes a round of the loop or two
                    await asyncio.sleep(0)
            finally:
                server.close()

    def packed(self, frame: bytes) -> bytes:
        """Return the frame with its length in front, as `net.tcp` has it."""
        return prefix(len(frame)) + frame

    async def close(self) -> None:
        """Close all sockets."""
        await self._sockets.close()


class Connection(asyncio.Protocol):
    """One end of a connection: cuts what is received into frames; what is sent leaves at once.

    Args:
        host: whose end it is.
        sockets: told of this one.
        greeted: gets the dialler's id when it has come; the listener's business.
        peer: who is at the other end; b"" for the listener, who reads it from the first frame.
    """

    def __init__(self, host: Linked, sockets: Sockets, greeted: list[bytes], peer: bytes = b"") -> None:
        self._host = host
        self._sockets = sockets
        self._greeted = greeted
        self._peer = peer
        self._frames = FrameDecoder(LONGEST)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the socket; a dialler sends its id and links its host."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._sockets.opened(self._transport)
        if self._peer:
            self._transport.write(prefix(len(self._host.peer_id)) + self._host.peer_id)
            self._host.linked(self._peer, self._transport.write)

    def data_received(self, data: bytes) -> None:
        """Cut the bytes into frames and take each."""
        frames = self._frames
        frames.feed(data)
        while (frame := frames.next_frame()) is not None:
            self._take(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the socket as closed."""
        self._sockets.closed(self._transport)

    def _take(self, frame: bytes) -> None:
        if self._peer:
            self._host.take(self._peer, frame)
            return
        self._peer = frame
        self._greeted.append(frame)
        self._host.linked(frame, self._transport.write)
