"""The memory network: connections and one-way streams of frames between hosts of one process.

Every host drains what has arrived for it in one scheduled call, in order of arrival. A stream takes at most `WINDOW`
frames that the other side has not taken yet, so a slow reader is felt by its writers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address
from typing import Any, Protocol

from pubsub_sim.errors import DialError, DialledItself, StreamRefused
from pubsub_sim.ids import PeerId, short
from pubsub_sim.net.clock import clock_of
from pubsub_sim.ports import FrameReader, FrameWriter, Inbound, Sealed

WINDOW = 32
"""Frames on their way in one stream."""

_FIRST_ADDRESS = IPv4Address("10.0.0.1")


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None:
        """Close it."""


def close_all(hosts: Iterable[Closable]) -> None:
    """Close hosts, each whatever becomes of the others; raises an ExceptionGroup."""
    errors = []
    for host in hosts:
        try:
            host.close()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("close of the network's hosts", errors)


class Addresses:
    """IP addresses of the hosts of a network, as peers see them: 10.0.0.1, 10.0.0.2, ... in the order hosts are added.

    A host that is added again keeps its address. No frame travels by these addresses; peers are scored and gated by them.
    """

    def __init__(self) -> None:
        self._numbers: dict[PeerId, int] = {}

    def of(self, peer_id: PeerId) -> str:
        """Give the address of a host."""
        return str(_FIRST_ADDRESS + self._numbers.setdefault(peer_id, len(self._numbers)))


class MemoryStream:
    """One direction of frames; both ends hold this object.

    Attributes:
        protocol: the negotiated protocol.
        peer: who writes.
        receiver: the host that reads.
        reader: who reads.
        take: what gives it a frame.
        writer: who is told that there is room, and of the end; None as long as nobody has asked.
    """

    __slots__ = ("is_open", "peer", "protocol", "reader", "receiver", "take", "unread", "wants_room", "writer")

    def __init__(self, protocol: str, peer: PeerId, receiver: MemoryHost) -> None:
        self.protocol = protocol
        self.peer = peer
        self.receiver = receiver
        self.reader: FrameReader
        self.take: Callable[[Any], bool]
        self.writer: FrameWriter | None = None
        self.is_open = True
        self.unread = 0
        self.wants_room = False

    def set_reader(self, reader: FrameReader) -> None:
        """Set the reader. One that does not take sealed frames is given their bytes."""
        self.reader = reader
        self.take = _taker(reader) if self.receiver.carries_objects else reader.frame

    def set_writer(self, writer: FrameWriter) -> None:
        """Keep the writer to be told."""
        self.writer = writer

    def write(self, frame: bytes | Sealed) -> bool:
        """Send a frame, or refuse it if the window is full."""
        if self.unread >= WINDOW:
            self.wants_room = True
            return False
        if self.is_open:
            self.unread += 1
            receiver = self.receiver
            if frame:
                receiver.frames += 1
            # as `_send` does: a call for each frame is 4 % of the calls of a measured run
            receiver.arrivals.append(self)
            receiver.contents.append(frame)
            if receiver.is_resting:
                receiver.wake()
        return True

    def close(self) -> None:
        """Send the end of the stream after the frames before it."""
        if self.is_open:
            self.is_open = False
            self._send(None)

    def _send(self, frame: bytes | Sealed | None) -> None:
        """Append a frame, or None for the end of the stream, to the receiver's arrivals."""
        receiver = self.receiver
        receiver.arrivals.append(self)
        receiver.contents.append(frame)
        if receiver.is_resting:
            receiver.wake()

    def reset(self) -> None:
        """Reset the stream from either end. Both ends are told, in the next round."""
        if self.is_open:
            self.is_open = False
            self.receiver.drop(self)
            loop = self.receiver.loop
            if self.writer is not None:
                loop.call_soon(self.writer.ended)
            loop.call_soon(self.reader.ended, False)

    def tell_room(self) -> None:
        """The reader took a frame: a writer that waits for room has some."""
        self.wants_room = False
        if self.writer is not None:
            self.writer.writable()


def _taker(reader: FrameReader) -> Callable[[bytes | Sealed], bool]:
    """What gives a reader frames of either kind."""
    take: Callable[[bytes | Sealed], bool] | None = getattr(reader, "take", None)
    if take is not None:
        return take
    return lambda frame: reader.frame(frame if isinstance(frame, bytes) else frame.to_bytes())


class MemoryHost:
    """One host of a memory network; implements the Host port.

    Attributes:
        ip: its address, as peers see it.
        arrivals: of each frame that waits to be read, in order of arrival, its stream.
        contents: the frames, parallel to `arrivals`; None marks the end of a stream. Two deques instead of one of tuples
            save an allocation per frame.
        carries_objects: whether frames may be sealed.
        is_resting: whether the next arrival has to wake the host: no drain is scheduled, and none is blocked.
        streams: streams that end here.
        frames: frames written to streams that end here, empty ones not counted.
    """

    def __init__(self, network: MemoryNetwork, peer_id: PeerId, ip: str) -> None:
        self.peer_id = peer_id
        self.ip = ip
        self.loop = network.loop
        self.carries_objects = network.carries_objects
        self.arrivals: deque[MemoryStream] = deque()
        self.contents: deque[bytes | Sealed | None] = deque()
        self.is_resting = True
        self.streams: list[MemoryStream] = []
        self.frames = 0
        self.links: dict[PeerId, MemoryHost] = {}
        self._dialled: set[PeerId] = set()  # peers in `links` that we dialled
        self._network = network
        self._call_soon = network.call_soon
        self._next_drain = self._drain  # bound once, as it is scheduled for every batch of frames
        self._is_blocked = False
        self._accept: dict[str, Callable[[Inbound], FrameReader]] = {}
        self._on_connected: list[Callable[[PeerId], None]] = []

    # --- connections ---------------------------------------------------------------------------------------------

    def connected_peers(self) -> Sequence[PeerId]:
        """List the peers of all connections, oldest first."""
        return tuple(self.links)

    def is_connected(self, peer: PeerId) -> bool:
        """Whether there is a connection with `peer`."""
        return peer in self.links

    def is_outbound(self, peer: PeerId) -> bool:
        """Whether we dialled the connection with `peer`."""
        return peer in self._dialled

    def addresses(self, peer: PeerId) -> Sequence[str]:
        """The other host's IP address, or none without a connection."""
        other = self.links.get(peer)
        return () if other is None else (other.ip,)

    async def connect(self, peer: PeerId) -> None:
        """Connect after one round trip. Raises DialError or DialledItself."""
        if peer == self.peer_id:
            raise DialledItself(short(peer))
        await self._network.round_trip(self.peer_id, peer)
        if peer not in self.links:
            self._network.link(self, self._network.host(peer))

    def linked(self, other: MemoryHost, *, outbound: bool) -> None:
        """A connection with `other` is up; `outbound` says that we dialled it."""
        self.links[other.peer_id] = other
        if outbound:
            self._dialled.add(other.peer_id)
        for callback in self._on_connected:
            self.loop.call_soon(callback, other.peer_id)

    def unlinked(self, other: MemoryHost) -> None:
        """The connection with `other` is gone, and with it the streams that came from there."""
        del self.links[other.peer_id]
        self._dialled.discard(other.peer_id)
        for stream in [s for s in self.streams if s.peer == other.peer_id]:
            stream.reset()

    def on_connected(self, callback: Callable[[PeerId], None]) -> None:
        """Add a callback that is called with the peer of each new connection."""
        self._on_connected.append(callback)

    def close(self) -> None:
        """Cut all connections."""
        for other in list(self.links.values()):
            self._network.unlink(self, other)

    # --- streams -------------------------------------------------------------------------------------------------

    def serve(self, protocols: Iterable[str], accept: Callable[[Inbound], FrameReader]) -> None:
        """Keep the function that accepts streams of these protocols."""
        self._accept.update(dict.fromkeys(protocols, accept))

    async def open_stream(self, peer: PeerId, protocols: Sequence[str]) -> MemoryStream:
        """Open a stream at the connected host after one round trip. Raises StreamRefused."""
        await self._network.round_trip(self.peer_id, peer)
        receiver = self.links.get(peer)
        if receiver is None:
            raise StreamRefused(short(peer), "not connected")
        return receiver.accept_stream(self.peer_id, protocols)

    def accept_stream(self, peer: PeerId, protocols: Sequence[str]) -> MemoryStream:
        """A peer opens a stream to us; raises StreamRefused."""
        protocol = next((p for p in protocols if p in self._accept), None)
        if protocol is None:
            raise StreamRefused(short(self.peer_id), f"supports none of {', '.join(protocols)}")
        stream = self._network.new_stream(protocol, peer, self)
        self.streams.append(stream)
        stream.set_reader(self._accept[protocol](stream))
        return stream

    def drop(self, stream: MemoryStream) -> None:
        """A stream was reset: what has not been read of it is lost."""
        self.streams.remove(stream)
        if stream.unread:
            kept = [pair for pair in zip(self.arrivals, self.contents, strict=True) if pair[0] is not stream]
            self.arrivals.clear()
            self.contents.clear()
            for one, frame in kept:
                self.arrived(one, frame)

    def arrived(self, stream: MemoryStream, frame: bytes | Sealed | None) -> None:
        """A frame waits to be read, or the end of a stream (None)."""
        self.arrivals.append(stream)
        self.contents.append(frame)

    def refused(self, stream: MemoryStream, frame: bytes | Sealed) -> None:
        """A reader has no room for the first frame that waits: nothing is read until it has."""
        self.arrivals.appendleft(stream)
        self.contents.appendleft(frame)
        self._is_blocked = True

    # --- reading -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Schedule a drain."""
        self.is_resting = False
        call_soon = self._call_soon  # read before the call: as a method it would be searched for in the class first
        call_soon(self._next_drain)

    def resume_reading(self) -> None:
        """Drain what has arrived, if a reader had refused a frame."""
        if self._is_blocked:
            self._is_blocked = False
            self._drain()

    def _drain(self) -> None:
        arrivals, contents = self.arrivals, self.contents
        try:
            while arrivals:
                stream, frame = arrivals.popleft(), contents.popleft()
                if frame is None:
                    self.streams.remove(stream)
                    stream.reader.ended(True)
                    continue
                take = stream.take  # called at once, CPython 3.11 would search the class for a method
                if take(frame):
                    stream.unread -= 1
                    if stream.wants_room and stream.is_open:  # the reader may have reset it
                        stream.tell_room()
                else:
                    self.refused(stream, frame)
                    return
        except BaseException:  # raised by a reader: the frames after this one are read all the same
            self.wake()
            raise
        self.is_resting = True


class MemoryNetwork:
    """Hosts of one process and the connections between them.

    Args:
        loop: the event loop all of them run on.
        carries_objects: whether frames may be sealed RPCs (see `wire.sealed`), for readers that take them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, carries_objects: bool = False) -> None:
        self.loop = loop
        self.carries_objects = carries_objects
        self.call_soon = clock_of(loop).call_soon
        self._addresses = Addresses()
        self._hosts: dict[PeerId, MemoryHost] = {}
        self._frames_of_removed = 0

    async def open(self) -> None:
        """Let the hosts added so far be dialled; they can be already."""

    async def close(self) -> None:
        """Close all hosts.

        Raises:
            ExceptionGroup: some could not be closed; all others are.
        """
        close_all(self._hosts.values())

    def add_host(self, peer_id: PeerId, ip: str | None = None) -> MemoryHost:
        """A new host without connections, with an IP address of its own unless one is given."""
        host = self._hosts[peer_id] = MemoryHost(self, peer_id, ip or self._addresses.of(peer_id))
        return host

    def remove_host(self, peer_id: PeerId) -> None:
        """A host is gone: its connections are cut, dials to it and from it fail. Another may come under its id."""
        host = self._hosts.pop(peer_id)
        host.close()
        self._frames_of_removed += host.frames

    def host(self, peer_id: PeerId) -> MemoryHost:
        """A host by its id; raises DialError."""
        try:
            return self._hosts[peer_id]
        except KeyError:
            raise DialError(short(peer_id), "no such host") from None

    async def round_trip(self, one: PeerId, other: PeerId) -> None:
        """What a dial and a negotiation take; here, a round of the loop."""
        await asyncio.sleep(0)

    def new_stream(self, protocol: str, peer: PeerId, receiver: MemoryHost) -> MemoryStream:
        """A stream in which `peer` writes."""
        return MemoryStream(protocol, peer, receiver)

    def link(self, dialler: MemoryHost, listener: MemoryHost) -> None:
        """Connect two hosts; both are told in the next round, the dialler first. Raises DialError."""
        if self._hosts.get(dialler.peer_id) is not dialler:
            raise DialError(short(listener.peer_id), "the dialling host is gone")
        dialler.linked(listener, outbound=True)
        listener.linked(dialler, outbound=False)

    def disconnect(self, one: PeerId, other: PeerId) -> None:
        """Cut the connection of two hosts, if there is one."""
        if one in self._hosts and other in self._hosts:
            self.unlink(self._hosts[one], self._hosts[other])

    def unlink(self, one: MemoryHost, other: MemoryHost) -> None:
        """Cut the connection of two hosts."""
        if other.peer_id in one.links:
            one.unlinked(other)
            other.unlinked(one)

    @property
    def connections(self) -> int:
        """How many pairs of hosts are connected."""
        return sum(len(host.links) for host in self._hosts.values()) // 2

    @property
    def frames(self) -> int:
        """Frames written to streams so far, empty ones not counted."""
        return self._frames_of_removed + sum(host.frames for host in self._hosts.values())

    @property
    def is_quiet(self) -> bool:
        """Whether no frame is on its way."""
        return not any(host.arrivals for host in self._hosts.values())
